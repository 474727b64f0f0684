// Tensors between JavaScript and OrtValue.

import { type DataType, dataTypeOfOnnx, dataTypes } from "../../../core/dtype.ts";
import { AdderNetError } from "../../../core/errors.ts";
import { elementCount, type Tensor } from "../../../core/tensor.ts";
import { dimsOf } from "../node-info.ts";
import { answeredPointer, askOrt, callOrt } from "../ort-host.ts";
import type { NodeHost } from "./node-host.ts";
import type { Kept } from "./session-options.ts";

const tensorKind = 1;

function stringValue(host: NodeHost, { data, dims }: Tensor, kept: Kept): number {
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const shape = kept.words(dims);
  const value = askOrt(host, "CreateTensorAsOrtValue", allocator, shape, dims.length, dataTypes.string.onnx);
  const texts = kept.words((data as string[]).map((text) => kept.text(text)));
  callOrt(host, "FillStringTensor", value, texts, data.length);
  return value;
}

/** An OrtValue over a tensor's own data where that can be: valid as long as `kept` is. The caller releases it. */
export function ortValueOf(
  host: NodeHost,
  memory: number,
  tensor: Tensor,
  where: string,
  kept: Kept,
): number {
  const { type, data, dims } = tensor;
  const row = dataTypes[type as DataType];
  if (row === undefined || data === undefined) {
    throw new AdderNetError("ADN_FEED", "the tensor cannot be fed", { where, found: String(type) });
  }
  if (type === "string") return stringValue(host, tensor, kept);
  const { buffer, byteOffset, byteLength } = data as Uint8Array;
  const bytes = kept.bytes(new Uint8Array(buffer, byteOffset, byteLength));
  const shape = kept.words(dims);
  return askOrt(
    host,
    "CreateTensorWithDataAsOrtValue",
    ...[memory, bytes, byteLength, shape, dims.length, row.onnx],
  );
}

function elementTypeOf(host: NodeHost, value: number): DataType | undefined {
  const info = askOrt(host, "GetTensorTypeAndShape", value);
  try {
    callOrt(host, "GetTensorElementType", info, host.mailbox);
    return dataTypeOfOnnx(host.answers.getInt32(0, true));
  } finally {
    host.call("ReleaseTensorTypeAndShapeInfo", info);
  }
}

function stringsOf(host: NodeHost, value: number, count: number): string[] {
  const total = askOrt(host, "GetStringTensorDataLength", value);
  const content = new Uint8Array(new ArrayBuffer(Math.max(64, total)));
  const offsets = new BigUint64Array(new ArrayBuffer(Math.max(64, 8 * count)));
  const places = [content, new Uint8Array(offsets.buffer)].map(host.addressOf);
  callOrt(host, "GetStringTensorContent", value, places[0]!, total, places[1]!, count);
  return Array.from({ length: count }, (_, index) => {
    const end = index + 1 < count ? Number(offsets[index + 1]) : total;
    return new TextDecoder().decode(content.subarray(Number(offsets[index]), end));
  });
}

/** A copy of an OrtValue. Throws ADN_NATIVE for what is no tensor. */
export function tensorOf(host: NodeHost, value: number, where: string): Tensor {
  callOrt(host, "GetValueType", value, host.mailbox);
  const type = host.answers.getInt32(0, true) === tensorKind ? elementTypeOf(host, value) : undefined;
  const array = type && dataTypes[type].array;
  if (type === undefined || array === "raw") {
    throw new AdderNetError("ADN_NATIVE", "the output is no tensor that JavaScript has", { where });
  }
  const dims = dimsOf(host, value);
  const count = elementCount(dims);
  if (type === "string") return { type, data: stringsOf(host, value, count), dims };
  const bytes = (count * dataTypes[type].bits) / 8;
  const buffer = new ArrayBuffer(bytes);
  if (bytes > 0) {
    callOrt(host, "GetTensorMutableData", value, host.mailbox);
    host.copy(host.addressOf(new Uint8Array(buffer)), answeredPointer(host), bytes);
  }
  return { type, data: new (array as Float32ArrayConstructor)(buffer), dims };
}
