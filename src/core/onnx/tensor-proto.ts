// TensorProto <-> Tensor. Sizes are compared with what the file holds before anything is allocated.

import { byteLengthOf, type DataType, dataTypeOfOnnx, dataTypes } from "../dtype.ts";
import { AdderNetError, type ErrorCode, type ErrorDetails } from "../errors.ts";
import type { TensorNotes } from "../ir/model.ts";
import { type BigIntArray, elementCount, type NumberArray, type Tensor } from "../tensor.ts";
import { decodeEntries, encodeEntries } from "./entries.ts";
import { type ExternalReader, externalLocation } from "./external-data.ts";
import type { TensorProto } from "./generated/messages.js";

type TypedField = "floatData" | "int32Data" | "int64Data" | "doubleData" | "uint64Data" | "stringData";

const typedFields: readonly TypedField[] = [
  "floatData",
  "int32Data",
  "int64Data",
  "doubleData",
  "uint64Data",
  "stringData",
];

/** Types whose typed field is not int32_data. */
const fieldOfType: Partial<Record<DataType, TypedField>> = {
  float32: "floatData",
  complex64: "floatData",
  int64: "int64Data",
  float64: "doubleData",
  complex128: "doubleData",
  uint32: "uint64Data",
  uint64: "uint64Data",
  string: "stringData",
};

function failure(
  place: string,
  problem: string,
  details: ErrorDetails = {},
  code: ErrorCode = "ADN_ONNX_MODEL",
) {
  return new AdderNetError(code, problem, { where: place, ...details });
}

function readType(proto: TensorProto, place: string): DataType {
  const type = dataTypeOfOnnx(proto.dataType ?? 0);
  if (type !== undefined) return type;
  throw failure(place, "the tensor has an unknown element type", {
    expected: "1 to 26",
    found: `${proto.dataType ?? 0}`,
  });
}

function readDims(proto: TensorProto, place: string): number[] {
  return (proto.dims ?? []).map((dim) => {
    if (dim < 0n) throw failure(place, "the tensor has a negative dim", { found: `${dim}` });
    if (dim > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw failure(place, "a dim of the tensor is too large", { found: `${dim}` }, "ADN_LIMIT");
    }
    return Number(dim);
  });
}

/** Elements in all; a product beyond 2^47, more than any memory holds, is ADN_LIMIT. */
function countElements(dims: readonly number[], place: string): number {
  if (dims.includes(0)) return 0;
  let count = 1;
  for (const dim of dims) {
    count *= dim;
    if (count > 2 ** 47) {
      const found = `[${dims.slice(0, 8).join(", ")}${dims.length > 8 ? ", …" : ""}]`;
      throw failure(place, "the tensor is too large", { found }, "ADN_LIMIT");
    }
  }
  return count;
}

function checkSize(place: string, unit: string, expected: number, found: number): void {
  if (expected === found) return;
  throw failure(place, "the tensor's data does not fit its type and dims", {
    expected: `${expected} ${unit}`,
    found: `${found}`,
    fix: "the file is damaged",
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readStrings(proto: TensorProto, place: string): string[] {
  try {
    return (proto.stringData ?? []).map((bytes) => utf8.decode(bytes));
  } catch {
    throw failure(place, "a string of the tensor is not UTF-8");
  }
}

const isBinary = (value: number): number => (value === 0 ? 0 : 1);

function arrayOfBytes(type: DataType, bytes: Uint8Array): NumberArray | BigIntArray {
  const { array } = dataTypes[type];
  if (type === "bool") return Uint8Array.from(bytes, isBinary);
  const copy = new Uint8Array(bytes);
  return array === "raw" || array === "string" ? copy : new array(copy.buffer);
}

/** int32_data and 32-bit uint64_data: every value has to fit the type. Types kept as raw bytes have one in each value. */
function narrowed(type: DataType, values: readonly number[], place: string): NumberArray {
  if (type === "bool") return Uint8Array.from(values, isBinary);
  const { array } = dataTypes[type];
  const result = (array === "raw" ? Uint8Array : (array as Int32ArrayConstructor)).from(values);
  const wrong = values.findIndex((value, index) => value !== result[index]);
  if (wrong === -1) return result;
  throw failure(place, `a value of the tensor is no ${type}`, { found: `${values[wrong]}` });
}

const bytesOf = (array: { readonly buffer: ArrayBuffer }) => new Uint8Array(array.buffer);

function arrayOfValues(type: DataType, proto: TensorProto, place: string): NumberArray | BigIntArray {
  switch (fieldOfType[type] ?? "int32Data") {
    case "floatData": {
      const floats = Float32Array.from(proto.floatData ?? []);
      return type === "complex64" ? bytesOf(floats) : floats;
    }
    case "doubleData": {
      const doubles = Float64Array.from(proto.doubleData ?? []);
      return type === "complex128" ? bytesOf(doubles) : doubles;
    }
    case "int64Data":
      return BigInt64Array.from(proto.int64Data ?? []);
    case "uint64Data": {
      const values = proto.uint64Data ?? [];
      return type === "uint64" ? BigUint64Array.from(values) : narrowed(type, values.map(Number), place);
    }
    default:
      return narrowed(type, proto.int32Data ?? [], place);
  }
}

/** How many values of its typed field a tensor takes. */
function countValues(type: DataType, count: number): number {
  if (type === "complex64" || type === "complex128") return 2 * count;
  return dataTypes[type].array === "raw" ? byteLengthOf(type, count) : count;
}

function readTyped(type: DataType, proto: TensorProto, count: number, place: string) {
  const field = fieldOfType[type] ?? "int32Data";
  checkSize(place, `values in ${field}`, countValues(type, count), proto[field]?.length ?? 0);
  return type === "string" ? readStrings(proto, place) : arrayOfValues(type, proto, place);
}

/** Reads a tensor wherever its data is: raw, in a typed field, or in another file. `place` names it in messages. */
export function decodeTensor(proto: TensorProto, place: string, readExternal: ExternalReader): Tensor {
  const type = readType(proto, place);
  const dims = readDims(proto, place);
  const count = countElements(dims, place);
  if (proto.segment) throw failure(place, "tensors in segments are not supported");
  if (proto.dataLocation === externalLocation && type !== "string") {
    const bytes = readExternal(proto.externalData ?? [], byteLengthOf(type, count), place);
    return { type, data: arrayOfBytes(type, bytes), dims };
  }
  const hasTypedData = typedFields.some((field) => proto[field]?.length);
  if (proto.rawData?.length && hasTypedData) throw failure(place, "the tensor has its data twice");
  if (hasTypedData || !proto.rawData?.length || type === "string") {
    return { type, data: readTyped(type, proto, count, place), dims };
  }
  checkSize(place, "bytes", byteLengthOf(type, count), proto.rawData.length);
  return { type, data: arrayOfBytes(type, proto.rawData), dims };
}

const encoder = new TextEncoder();

/** The data as ONNX raw bytes, sharing its memory. Strings have none. */
export function rawBytes({ data }: Tensor): Uint8Array {
  if (Array.isArray(data)) return new Uint8Array();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Notes of a tensor, with its name only where the name is not kept elsewhere; undefined when the file has none. */
export function decodeNotes(
  { name, docString, metadataProps }: TensorProto,
  keepName: boolean,
): TensorNotes | undefined {
  const notes: TensorNotes = {
    ...(keepName && name && { name }),
    ...(docString && { docString }),
    ...(metadataProps?.length && { metadata: decodeEntries(metadataProps) }),
  };
  return Object.keys(notes).length === 0 ? undefined : notes;
}

/** The tensor with its data inside the file. Throws ADN_SHAPE when data and dims disagree. */
export function encodeTensor(tensor: Tensor, name: string, notes: TensorNotes = {}): TensorProto {
  const { type, data } = tensor;
  checkTensor(tensor, name);
  const head: TensorProto = {
    dims: tensor.dims.map(BigInt),
    dataType: dataTypes[type].onnx,
    ...(name && { name }),
    ...(notes.docString && { docString: notes.docString }),
    metadataProps: encodeEntries(notes.metadata),
  };
  if (Array.isArray(data)) return { ...head, stringData: data.map((text) => encoder.encode(text)) };
  return { ...head, rawData: rawBytes(tensor) };
}

/** `proto` with its raw data at `offset` of the file `location` instead. */
export function moveOutside(
  { rawData, ...head }: TensorProto,
  location: string,
  offset: number,
): TensorProto {
  const entries = { location, offset: `${offset}`, length: `${rawData?.length ?? 0}` };
  return {
    ...head,
    externalData: encodeEntries(new Map(Object.entries(entries))),
    dataLocation: externalLocation,
  };
}

function checkTensor({ type, data, dims }: Tensor, name: string): void {
  const count = elementCount(dims);
  const expected = dataTypes[type].array === "raw" ? byteLengthOf(type, count) : count;
  if (data.length === expected) return;
  throw new AdderNetError("ADN_SHAPE", "the tensor's data does not fit its dims", {
    where: `tensor "${name}"`,
    expected: `${expected} values for ${type}[${dims.join(", ")}]`,
    found: `${data.length}`,
  });
}
