// .safetensors: the length of a JSON header, the header, then the bytes of all tensors, each between two offsets.

import { elementCount, stridesOf, type Tensor } from "../../src/core/tensor.ts";
import { checkpointError, quote } from "./checkpoint.ts";
import { mostTensors, tooManyTensors } from "./collect.ts";
import { safetensorsTypes } from "./element-types.ts";
import { type Budget, readTensor } from "./tensor-view.ts";

/** Bytes; a network of a thousand tensors needs a tenth of a million. */
const longestHeader = 2 ** 22;

interface Entry {
  readonly name: string;
  readonly typeName: string;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < 10) return -1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Number(view.getBigUint64(0, true));
}

/** A header's length, and the brace it begins with. */
export function isSafetensors(bytes: Uint8Array): boolean {
  const length = headerLength(bytes);
  return length >= 2 && length <= 2 ** 40 && bytes[8] === 0x7b;
}

function readHeader(bytes: Uint8Array, where: string): Record<string, unknown> {
  const length = headerLength(bytes);
  if (length > bytes.length - 8)
    throw checkpointError(where, "the header of the safetensors file is cut off");
  if (length > longestHeader) {
    throw checkpointError(where, "the header of the safetensors file is longer than any network needs", {
      expected: `at most ${longestHeader} bytes`,
      found: `${length}`,
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch (cause) {
    throw checkpointError(where, "the header of the safetensors file is no JSON", { cause });
  }
}

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);

function readEntry(name: string, value: unknown, where: string): Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw checkpointError(where, `tensor ${quote(name)} is described in a way that is not read`, {
      expected: "dtype, shape and two data_offsets",
    });
  }
  return { name, typeName: dtype, dims: shape, begin: offsets[0]!, end: offsets[1]! };
}

function readEntryTensor(entry: Entry, content: Uint8Array, budget: Budget, where: string): Tensor {
  const { name, typeName, dims, begin, end } = entry;
  const element = safetensorsTypes.get(typeName);
  if (element === undefined) {
    throw checkpointError(where, `tensor ${quote(name)} is of a type that is not read`, {
      found: quote(typeName),
    });
  }
  const count = elementCount(dims);
  if (end > content.length) throw checkpointError(where, `tensor ${quote(name)} is cut off`);
  if (end - begin !== count * element.bytesPerElement) {
    throw checkpointError(where, `tensor ${quote(name)} has the wrong number of bytes`, {
      expected: `${count * element.bytesPerElement} for ${typeName} [${dims.join(", ")}]`,
      found: `${end - begin}`,
    });
  }
  const source = { bytes: content.subarray(begin, end) };
  const storage = { key: name, typeName, ...element, count, startBytes: 0, source };
  return readTensor({ storage, offset: 0, dims, strides: stridesOf(dims) }, budget, where);
}

/** The tensors in the order of their names, numbers counted as numbers. Errors: ADN_CHECKPOINT. */
export function readSafetensors(bytes: Uint8Array, budget: Budget, where: string): Map<string, Tensor> {
  const header = readHeader(bytes, where);
  const content = bytes.subarray(8 + headerLength(bytes));
  const described = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (described.length > mostTensors) throw tooManyTensors(described.length, where);
  const entries = described.map(([name, value]) => readEntry(name, value, where));
  let last = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < last) throw checkpointError(where, `tensor ${quote(name)} lies on top of another`);
    last = end;
  }
  const byName = new Intl.Collator("en", { numeric: true });
  entries.sort((a, b) => byName.compare(a.name, b.name));
  return new Map(entries.map((entry) => [entry.name, readEntryTensor(entry, content, budget, where)]));
}
