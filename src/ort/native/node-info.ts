// What onnxruntime tells of a node when it makes a kernel for it: name, attributes, which inputs there are and which are constant.

import { type DataType, dataTypes } from "../../core/dtype.ts";
import type { Attribute, Node } from "../../core/ir/model.ts";
import { elementCount, type Tensor } from "../../core/tensor.ts";
import { type AttributeKind, type CustomOp, customDomain } from "./custom-ops.ts";
import type { LayerSource } from "./layer.ts";
import type { OrtFunction } from "./ort-api.ts";
import { answeredPointer, askOrt, callOrt, type OrtHost, takeStatus } from "./ort-host.ts";

/** Text of a function that wants a buffer and its size behind `args`; undefined where it refuses. */
function textFrom(host: OrtHost, room: number, name: OrtFunction, ...args: number[]): string | undefined {
  const size = host.mailbox;
  const buffer = host.mailbox + 8;
  setSize(host, room);
  const status = host.call(name, ...args, buffer, size);
  if (status === 0) return host.text(buffer);
  takeStatus(host, status);
  return undefined;
}

/** What room there is, at the start of the mailbox. */
function setSize({ answers }: OrtHost, value: number): void {
  answers.setUint32(0, value, true);
  answers.setUint32(4, 0, true);
}

/** Room for names in the mailbox; longer ones are told without their name. */
const textBytes = 480;
const mostInts = 16;

/** Zero-terminated names of attributes by address. */
export type AttributeNames = ReadonlyMap<string, number>;

function refused(host: OrtHost, status: number): boolean {
  if (status !== 0) takeStatus(host, status);
  return status !== 0;
}

const readers: Record<AttributeKind, (host: OrtHost, info: number, name: number) => Attribute | undefined> = {
  int(host, info, name) {
    if (refused(host, host.call("KernelInfoGetAttribute_int64", info, name, host.mailbox))) return undefined;
    return { type: "INT", value: host.answers.getBigInt64(0, true) };
  },
  float(host, info, name) {
    if (refused(host, host.call("KernelInfoGetAttribute_float", info, name, host.mailbox))) return undefined;
    return { type: "FLOAT", value: host.answers.getFloat32(0, true) };
  },
  ints(host, info, name) {
    const [size, numbers] = [host.mailbox, host.mailbox + 8];
    setSize(host, mostInts);
    if (refused(host, host.call("KernelInfoGetAttributeArray_int64", info, name, numbers, size))) {
      return undefined;
    }
    const count = host.answers.getUint32(0, true);
    return {
      type: "INTS",
      value: Array.from({ length: count }, (_, index) => host.answers.getBigInt64(8 + 8 * index, true)),
    };
  },
  string(host, info, name) {
    const text = textFrom(host, textBytes, "KernelInfoGetAttribute_string", info, name);
    return text === undefined ? undefined : { type: "STRING", value: new TextEncoder().encode(text) };
  },
};

/** An int64 in the mailbox that is a length: dims of values that exist are not negative. */
function lengthAt({ answers }: OrtHost, at: number): number {
  return answers.getUint32(at, true) + answers.getUint32(at + 4, true) * 2 ** 32;
}

/** The dims of a tensor value. */
export function dimsOf(host: OrtHost, value: number): number[] {
  const info = askOrt(host, "GetTensorTypeAndShape", value);
  try {
    const rank = askOrt(host, "GetDimensionsCount", info);
    if (rank === 0) return [];
    callOrt(host, "GetDimensions", info, host.mailbox, rank);
    return Array.from({ length: rank }, (_, axis) => lengthAt(host, 8 * axis));
  } finally {
    host.call("ReleaseTensorTypeAndShapeInfo", info);
  }
}

/** A copy of a tensor value, in words of this machine's order. */
function tensorOf(host: OrtHost, value: number, type: DataType): Tensor {
  const dims = dimsOf(host, value);
  const address = askOrt(host, "GetTensorMutableData", value);
  const array = dataTypes[type].array as Float32ArrayConstructor;
  const data = new array(elementCount(dims));
  if (data.byteLength > 0) {
    const { buffer, byteOffset } = host.view(address, data.byteLength);
    new Uint8Array(data.buffer).set(new Uint8Array(buffer, byteOffset, data.byteLength));
  }
  return { type, data, dims };
}

/** The constant at an input; undefined where runs give it. */
function constantAt(host: OrtHost, info: number, index: number, type: DataType): Tensor | undefined {
  const [isConstant, value] = [host.mailbox, host.mailbox + 8];
  callOrt(host, "KernelInfoGetConstantInput_tensor", info, index, isConstant, value);
  if (host.answers.getInt32(0, true) === 0) return undefined;
  const address = answeredPointer(host, 8);
  return address === 0 ? undefined : tensorOf(host, address, type);
}

/** The node that `info` describes. X counts as fed even where it is constant. */
export function readNode(host: OrtHost, op: CustomOp, info: number, names: AttributeNames): LayerSource {
  const count = Math.min(askOrt(host, "KernelInfo_GetInputCount", info), op.inputs.length);
  const constants = new Map<string, Tensor>();
  const inputs = op.inputs.slice(0, count).map(({ name, type }, index) => {
    if (textFrom(host, textBytes, "KernelInfo_GetInputName", info, index) === "") return "";
    const constant = index === 0 ? undefined : constantAt(host, info, index, type);
    if (constant !== undefined) constants.set(name, constant);
    return name;
  });
  const attributes = new Map<string, Attribute>();
  for (const [name, kind] of Object.entries(op.attributes)) {
    const attribute = readers[kind](host, info, names.get(name)!);
    if (attribute !== undefined) attributes.set(name, attribute);
  }
  const node: Node = {
    opType: op.opType,
    domain: customDomain,
    name: textFrom(host, textBytes, "KernelInfo_GetNodeName", info) ?? "",
    inputs,
    outputs: ["Y"],
    attributes,
  };
  return { node, constants, types: new Map(op.inputs.map(({ name, type }) => [name, type])) };
}
