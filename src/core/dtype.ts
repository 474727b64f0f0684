// Element types: onnxruntime's names, ONNX's numbers, JavaScript's arrays.

interface DataTypeRow {
  /** TensorProto.DataType. */
  readonly onnx: number;
  readonly bits: number;
  /** Array that holds the elements; types without one are kept as raw little-endian bytes. */
  readonly array: TypedArrayConstructor | "string" | "raw";
}

type TypedArrayConstructor =
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | Uint8ArrayConstructor
  | Int8ArrayConstructor
  | Uint16ArrayConstructor
  | Int16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor;

export const dataTypes = {
  float32: { onnx: 1, bits: 32, array: Float32Array },
  uint8: { onnx: 2, bits: 8, array: Uint8Array },
  int8: { onnx: 3, bits: 8, array: Int8Array },
  uint16: { onnx: 4, bits: 16, array: Uint16Array },
  int16: { onnx: 5, bits: 16, array: Int16Array },
  int32: { onnx: 6, bits: 32, array: Int32Array },
  int64: { onnx: 7, bits: 64, array: BigInt64Array },
  string: { onnx: 8, bits: 0, array: "string" },
  bool: { onnx: 9, bits: 8, array: Uint8Array },
  float16: { onnx: 10, bits: 16, array: Uint16Array },
  float64: { onnx: 11, bits: 64, array: Float64Array },
  uint32: { onnx: 12, bits: 32, array: Uint32Array },
  uint64: { onnx: 13, bits: 64, array: BigUint64Array },
  complex64: { onnx: 14, bits: 64, array: "raw" },
  complex128: { onnx: 15, bits: 128, array: "raw" },
  bfloat16: { onnx: 16, bits: 16, array: Uint16Array },
  float8e4m3fn: { onnx: 17, bits: 8, array: "raw" },
  float8e4m3fnuz: { onnx: 18, bits: 8, array: "raw" },
  float8e5m2: { onnx: 19, bits: 8, array: "raw" },
  float8e5m2fnuz: { onnx: 20, bits: 8, array: "raw" },
  uint4: { onnx: 21, bits: 4, array: "raw" },
  int4: { onnx: 22, bits: 4, array: "raw" },
  float4e2m1: { onnx: 23, bits: 4, array: "raw" },
  float8e8m0: { onnx: 24, bits: 8, array: "raw" },
  uint2: { onnx: 25, bits: 2, array: "raw" },
  int2: { onnx: 26, bits: 2, array: "raw" },
} as const satisfies Record<string, DataTypeRow>;

export type DataType = keyof typeof dataTypes;

const byOnnxNumber = new Map<number, DataType>(
  Object.entries(dataTypes).map(([name, row]) => [row.onnx, name as DataType]),
);

export function dataTypeOfOnnx(number: number): DataType | undefined {
  return byOnnxNumber.get(number);
}

export function isFloat(type: DataType): type is "float32" | "float64" | "float16" | "bfloat16" {
  return type === "float32" || type === "float64" || type === "float16" || type === "bfloat16";
}

/** Bytes that `count` elements of `type` take in ONNX raw data; sub-byte types are packed. */
export function byteLengthOf(type: DataType, count: number): number {
  return Math.ceil((dataTypes[type].bits * count) / 8);
}
