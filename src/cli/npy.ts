// NumPy's .npy files, versions 1 to 3, as tensors. The header is a Python literal; only the three keys NumPy writes are read.

import { type DataType, dataTypes } from "../core/dtype.ts";
import { AdderNetError } from "../core/errors.ts";
import { allocate, elementCount, stridesOf, type Tensor, type TensorData } from "../core/tensor.ts";

/** Bytes; NumPy itself refuses headers beyond 10,000. */
const longestHeader = 65_536;

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

const typeOfDescr: Readonly<Record<string, DataType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

const descrOfType = new Map(Object.entries(typeOfDescr).map(([descr, type]) => [type, descr]));

interface Header {
  readonly type: DataType;
  readonly bigEndian: boolean;
  readonly fortranOrder: boolean;
  readonly dims: readonly number[];
  readonly dataOffset: number;
}

function npyError(
  where: string,
  problem: string,
  details: { expected?: string; found?: string; fix?: string } = {},
): AdderNetError {
  return new AdderNetError("ADN_NPY", problem, { where, ...details });
}

/** Shows file content in a message: short, and without control characters. */
function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function headerText(bytes: Uint8Array, where: string): { text: string; dataOffset: number } {
  if (magic.some((byte, index) => bytes[index] !== byte)) {
    const fix = "save it with numpy.save";
    throw npyError(where, bytes.length === 0 ? "the file is empty" : "not an .npy file", { fix });
  }
  const version = bytes[6];
  if (version !== 1 && version !== 2 && version !== 3) {
    throw npyError(where, "unknown version of the .npy format", {
      expected: "1, 2 or 3",
      found: `${version}`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) throw npyError(where, "the header is cut off");
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataOffset = start + length;
  if (dataOffset > bytes.length) throw npyError(where, "the header is cut off");
  if (length > longestHeader) throw npyError(where, "the header is longer than any shape needs");
  const encoding = version === 3 ? "utf-8" : "latin1";
  return { text: new TextDecoder(encoding).decode(bytes.subarray(start, dataOffset)), dataOffset };
}

function readDescr(text: string, where: string): { type: DataType; bigEndian: boolean } {
  const descr = /['"]descr['"]\s*:\s*['"]([<>|=]?)([a-zA-Z]\d*)['"]/.exec(text);
  const type = descr ? typeOfDescr[descr[2]!] : undefined;
  if (descr === null || type === undefined) {
    throw npyError(where, "the elements are of a kind that cannot be read", {
      expected: "float16/32/64, int8 to int64, uint8 to uint64 or bool",
      found: descr ? descr[2]! : quote(text.trim()),
      fix: "save it as numbers, for example x.astype(numpy.float32)",
    });
  }
  return { type, bigEndian: descr[1] === ">" };
}

function readDims(text: string, where: string): number[] {
  const shape = /['"]shape['"]\s*:\s*\(([^()]*)\)/.exec(text);
  const parts = shape?.[1]?.split(",").map((part) => part.trim());
  if (parts?.at(-1) === "") parts.pop();
  if (parts === undefined || parts.some((part) => !/^\d{1,16}L?$/.test(part))) {
    throw npyError(where, "the shape is no list of lengths >= 0", {
      found: quote(shape?.[1] ?? text.trim()),
    });
  }
  return parts.map((part) => Number.parseInt(part, 10));
}

function readHeader(bytes: Uint8Array, where: string): Header {
  const { text, dataOffset } = headerText(bytes, where);
  if (!/^\s*\{.*\}\s*$/s.test(text)) throw npyError(where, "the header is damaged", { found: quote(text) });
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  if (order === null) throw npyError(where, "the header does not say fortran_order", { found: quote(text) });
  const fortranOrder = order[1] === "True";
  return { ...readDescr(text, where), fortranOrder, dims: readDims(text, where), dataOffset };
}

/** The file's length decides before anything is allocated. */
function checkLength(header: Header, available: number, where: string): void {
  const bytesPerElement = dataTypes[header.type].bits / 8;
  const wanted = elementCount(header.dims) * bytesPerElement;
  if (wanted === available && header.dims.every(Number.isSafeInteger)) return;
  const problem = wanted > available ? "the data is cut off" : "more data than the shape says";
  throw npyError(where, problem, {
    expected: `${wanted} bytes for ${header.type} [${header.dims.join(", ")}]`,
    found: `${available}`,
  });
}

/** The elements in file order, in an array of their own. */
function readElements(bytes: Uint8Array, { type, bigEndian }: Header): TensorData {
  // Not slice(): that of a Buffer is a view into shared memory.
  const copy = new Uint8Array(bytes);
  const width = dataTypes[type].bits / 8;
  if (bigEndian && width > 1) {
    for (let at = 0; at < copy.length; at += width) copy.subarray(at, at + width).reverse();
  }
  const data = allocate(type, 0) as Exclude<TensorData, string[]>;
  const make = data.constructor as new (buffer: ArrayBufferLike) => TensorData;
  return make === (Uint8Array as unknown) ? copy : new make(copy.buffer);
}

/** Column-major to row-major. */
function toRowMajor(data: TensorData, type: DataType, dims: readonly number[]): TensorData {
  const result = allocate(type, data.length) as unknown[];
  const steps = stridesOf([...dims].reverse()).reverse();
  const index = new Array<number>(dims.length).fill(0);
  for (let target = 0, source = 0; target < data.length; target++) {
    result[target] = data[source]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      source -= steps[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
  return result as unknown as TensorData;
}

/** Reads an .npy file. Errors: ADN_NPY. `where` names the file in messages. */
export function decodeNpy(bytes: Uint8Array, where: string): Tensor {
  const header = readHeader(bytes, where);
  const content = bytes.subarray(header.dataOffset);
  checkLength(header, content.length, where);
  const { type, dims } = header;
  const data = readElements(content, header);
  if (type === "bool" && (data as Uint8Array).some((value) => value > 1)) {
    throw npyError(where, "a truth value is neither 0 nor 1");
  }
  const isColumnMajor = header.fortranOrder && dims.length > 1;
  return { type, data: isColumnMajor ? toRowMajor(data, type, dims) : data, dims };
}

/** A version 1 file, little-endian, row-major. */
export function encodeNpy(tensor: Tensor): Uint8Array {
  const descr = descrOfType.get(tensor.type);
  if (descr === undefined || Array.isArray(tensor.data)) {
    throw new AdderNetError("ADN_NPY", `a ${tensor.type} tensor cannot be written as .npy`);
  }
  const byteOrder = dataTypes[tensor.type].bits === 8 ? "|" : "<";
  const shape = tensor.dims.length === 1 ? `(${tensor.dims[0]},)` : `(${tensor.dims.join(", ")})`;
  const text = `{'descr': '${byteOrder}${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const { data } = tensor;
  const bytes = new Uint8Array(10 + padded.length + data.byteLength);
  bytes.set([...magic, 1, 0, padded.length & 255, padded.length >> 8]);
  bytes.set(new TextEncoder().encode(padded), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + padded.length);
  return bytes;
}
