// A tensor as files describe it, a strided window on a storage, and its elements written out in row-major order.

import { type DataType, dataTypes } from "../../src/core/dtype.ts";
import { allocate, elementCount, stridesOf, type Tensor, type TensorData } from "../../src/core/tensor.ts";
import { checkpointError, quote } from "./checkpoint.ts";

/** Bytes that tensors share. */
export interface Storage {
  /** The file's name for it, for messages. */
  readonly key: string;
  /** Absent for element types that are not read: quantized and complex ones. */
  readonly type?: DataType | undefined;
  /** The type's name, for messages. */
  readonly typeName: string;
  readonly bytesPerElement: number;
  /** How many elements the file announces. */
  readonly count: number;
  /** Where its first element lies in the source. */
  readonly startBytes: number;
  readonly source: StorageSource;
}

/** Shared by a storage and its parts. */
export interface StorageSource {
  /** Little-endian; absent until the file's data has been reached. */
  bytes?: Uint8Array;
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

export interface TensorView {
  readonly storage: Storage;
  /** Elements, as are the strides. */
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

/** Elements [offset, offset + length) of a storage, as a storage of their own. */
export function partOf(
  storage: Storage,
  part: readonly [offset: number, length: number] | undefined,
  where: string,
): Storage {
  if (part === undefined) return storage;
  const [offset, length] = part;
  if (!(isCount(offset) && isCount(length) && offset + length <= storage.count)) {
    throw checkpointError(where, `a part of storage ${quote(storage.key)} lies outside of it`);
  }
  return { ...storage, count: length, startBytes: storage.startBytes + offset * storage.bytesPerElement };
}

/** How many bytes of tensors a file may still produce: views that overlap could otherwise fill the memory. */
export interface Budget {
  bytesLeft: number;
}

const mostDimensions = 16;

/** Generous for any file whose tensors share storages, and far below what an attack would ask for. */
export function budgetFor(fileBytes: number): Budget {
  return { bytesLeft: Math.max(2 ** 26, 4 * fileBytes) };
}

/** Elements from the first to the last one that a view touches. */
function spanOf({ dims, strides }: TensorView): number {
  return dims.includes(0) ? 0 : dims.reduce((span, dim, axis) => span + (dim - 1) * strides[axis]!, 1);
}

function checkNumbers({ offset, dims, strides }: TensorView, where: string): void {
  if (dims.length > mostDimensions || strides.length !== dims.length) {
    throw checkpointError(where, "a tensor's shape and strides do not belong together", {
      found: `${dims.length} dimensions, ${strides.length} strides`,
    });
  }
  if ([offset, ...dims, ...strides].every(isCount)) return;
  throw checkpointError(where, "a tensor's offset, shape or strides are no counts", {
    found: `offset ${offset}, shape [${dims.join(", ")}], strides [${strides.join(", ")}]`,
  });
}

/** Everything that sizes memory is checked here, before any is taken. */
function checkView(view: TensorView, budget: Budget, where: string): void {
  checkNumbers(view, where);
  const { storage, offset, dims } = view;
  const span = spanOf(view);
  if (span > 0 && offset + span > storage.count) {
    throw checkpointError(where, "a tensor reaches beyond its storage", {
      expected: `at most ${storage.count} elements`,
      found: `${offset + span}`,
    });
  }
  const bytes = (elementCount(dims) + (isRowMajor(view) ? 0 : span)) * storage.bytesPerElement;
  if (!Number.isSafeInteger(bytes) || bytes > budget.bytesLeft) {
    throw checkpointError(where, "the tensors are far larger than the file that holds them", {
      found: `shape [${dims.join(", ")}]`,
    });
  }
  budget.bytesLeft -= bytes;
}

function storageBytes(storage: Storage, where: string): Uint8Array {
  const wanted = storage.count * storage.bytesPerElement;
  const bytes = storage.source.bytes?.subarray(storage.startBytes);
  if (bytes === undefined) throw checkpointError(where, `storage ${quote(storage.key)} is not in the file`);
  if (bytes.length >= wanted) return bytes;
  throw checkpointError(where, `storage ${quote(storage.key)} is cut off`, {
    expected: `${wanted} bytes`,
    found: `${bytes.length}`,
  });
}

/** `count` elements from `start` on, in an array of their own. */
function copyElements(bytes: Uint8Array, type: DataType, start: number, count: number): TensorData {
  const width = dataTypes[type].bits / 8;
  const data = allocate(type, count) as Exclude<TensorData, string[]>;
  const target = new Uint8Array(data.buffer);
  target.set(bytes.subarray(start * width, (start + count) * width));
  return data;
}

function isRowMajor({ dims, strides }: TensorView): boolean {
  const expected = stridesOf(dims);
  return dims.every((dim, axis) => dim === 1 || strides[axis] === expected[axis]);
}

/** Walks the view in row-major order; the last axis is the inner loop. */
function gather(view: TensorView, source: TensorData, result: TensorData): void {
  const { dims, strides } = view;
  const [from, to] = [source as unknown[], result as unknown[]];
  const index = new Array<number>(dims.length).fill(0);
  const inner = dims.length - 1;
  const [length, step] = [dims[inner]!, strides[inner]!];
  for (let target = 0, start = 0; target < to.length; ) {
    for (let at = start, end = target + length; target < end; at += step) to[target++] = from[at];
    for (let axis = inner - 1; axis >= 0; axis--) {
      start += strides[axis]!;
      if (++index[axis]! < dims[axis]!) break;
      start -= strides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
}

/**
 * The elements of a view, row-major. Errors: ADN_CHECKPOINT for a window beyond its storage, a storage that is cut off, an element type that
 * is not read, or more than the budget.
 */
export function readTensor(view: TensorView, budget: Budget, where: string): Tensor {
  const { storage, offset, dims } = view;
  const { type } = storage;
  if (type === undefined) {
    throw checkpointError(where, `${storage.typeName} elements are not read`, {
      expected: "float64, float32, float16, bfloat16, an integer type or bool",
      fix: "convert the tensor before saving, for example with .float()",
    });
  }
  checkView(view, budget, where);
  const bytes = storageBytes(storage, where);
  const count = elementCount(dims);
  if (count === 0) return { type, data: allocate(type, 0), dims };
  if (isRowMajor(view)) return { type, data: copyElements(bytes, type, offset, count), dims };
  const data = allocate(type, count);
  gather(view, copyElements(bytes, type, offset, spanOf(view)), data);
  return { type, data, dims };
}
