// Walking several row-major tensors at once: broadcasting, transposing and slicing are all steps per axis.

import { dataTypes } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import { allocate, elementCount, stridesOf, type Tensor, type TensorData } from "../tensor.ts";

/** One shape and, for every operand, how many elements it advances along each axis. Never of rank 0. */
export interface Walk {
  readonly dims: readonly number[];
  readonly steps: readonly (readonly number[])[];
}

/** The same walk over as few axes as possible: neighbours that every operand crosses evenly become one. */
export function makeWalk(dims: readonly number[], steps: readonly (readonly number[])[]): Walk {
  const merged: number[] = [];
  const mergedSteps: number[][] = steps.map(() => []);
  for (let axis = 0; axis < dims.length; axis++) {
    const dim = dims[axis]!;
    if (dim === 1) continue;
    const last = merged.length - 1;
    const continues =
      last >= 0 && steps.every((step, operand) => mergedSteps[operand]![last] === step[axis]! * dim);
    if (continues) merged[last]! *= dim;
    else merged.push(dim);
    for (const [operand, step] of steps.entries()) mergedSteps[operand]![merged.length - 1] = step[axis]!;
  }
  if (merged.length > 0) return { dims: merged, steps: mergedSteps };
  return { dims: [1], steps: steps.map(() => [0]) };
}

/** Calls `visit` with the offset of every operand at the start of each innermost row; the array is reused. */
export function forEachRow({ dims, steps }: Walk, visit: (offsets: readonly number[]) => void): void {
  if (dims.includes(0)) return;
  const offsets = new Array<number>(steps.length).fill(0);
  const index = new Array<number>(dims.length).fill(0);
  for (;;) {
    visit(offsets);
    let axis = dims.length - 2;
    for (; axis >= 0; axis--) {
      index[axis]!++;
      const wraps = index[axis] === dims[axis];
      const advance = wraps ? 1 - dims[axis]! : 1;
      for (let operand = 0; operand < steps.length; operand++) {
        offsets[operand]! += advance * steps[operand]![axis]!;
      }
      if (!wraps) break;
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

/** Steps of a tensor of shape `from` read as if it had the shape `to` it broadcasts to. */
export function broadcastSteps(from: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(from);
  const missing = to.length - from.length;
  return to.map((_, axis) => (axis < missing || from[axis - missing] === 1 ? 0 : strides[axis - missing]!));
}

/** A view on the same bytes in the fewest kinds of array, so that copies need not know the element type. */
export function plainArray(data: TensorData): TensorData {
  if (Array.isArray(data) || data instanceof BigInt64Array || data instanceof Float64Array) return data;
  const { buffer, byteOffset, length, BYTES_PER_ELEMENT: width } = data;
  if (width === 4) return new Int32Array(buffer, byteOffset, length);
  if (width === 8) return new BigInt64Array(buffer, byteOffset, length);
  return width === 2
    ? new Uint16Array(buffer, byteOffset, length)
    : new Uint8Array(buffer, byteOffset, length);
}

export interface CopyPart {
  readonly dims: readonly number[];
  readonly fromOffset?: number;
  readonly fromSteps: readonly number[];
  readonly toOffset?: number;
  readonly toSteps: readonly number[];
}

/** Copies one strided block of elements of any type onto another: to[…] = from[…]. */
export function copyStrided(from: TensorData, to: TensorData, part: CopyPart): void {
  const walk = makeWalk(part.dims, [part.fromSteps, part.toSteps]);
  const [source, target] = [plainArray(from) as Int32Array, plainArray(to) as Int32Array];
  const length = walk.dims.at(-1)!;
  const [fromStep, toStep] = [walk.steps[0]!.at(-1)!, walk.steps[1]!.at(-1)!];
  const [fromOffset, toOffset] = [part.fromOffset ?? 0, part.toOffset ?? 0];
  const isBlock = fromStep === 1 && toStep === 1 && length >= 16 && !Array.isArray(source);
  forEachRow(walk, (offsets) => {
    const start = offsets[0]! + fromOffset;
    let write = offsets[1]! + toOffset;
    if (isBlock) {
      target.set(source.subarray(start, start + length), write);
      return;
    }
    for (let i = 0, read = start; i < length; i++, read += fromStep, write += toStep) {
      target[write] = source[read]!;
    }
  });
}

/** A new tensor of shape `dims` that reads `tensor` by `steps` from `offset`. */
export function gatherStrided(
  tensor: Tensor,
  dims: readonly number[],
  fromSteps: readonly number[],
  fromOffset = 0,
): Tensor {
  const data = allocateLike(tensor, elementCount(dims));
  copyStrided(tensor.data, data, { dims, fromSteps, fromOffset, toSteps: stridesOf(dims) });
  return { type: tensor.type, data, dims };
}

/** A zeroed array of the tensor's own kind of array, whatever its element type. */
export function allocateLike({ type, data }: Tensor, count: number): TensorData {
  if (Array.isArray(data) || dataTypes[type].array === "raw") return allocate(type, count);
  return new (data.constructor as new (length: number) => TensorData)(count);
}

/** The same elements under another shape; the data is shared. */
export function reshaped(tensor: Tensor, dims: readonly number[], where: string): Tensor {
  if (elementCount(dims) === elementCount(tensor.dims)) return { ...tensor, dims };
  throw new AdderNetError("ADN_SHAPE", "the number of elements would change", {
    where,
    expected: `[${tensor.dims.join(", ")}]`,
    found: `[${dims.join(", ")}]`,
  });
}
