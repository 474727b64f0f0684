// Ops that pick elements by index: Gather and its kin, ScatterElements, OneHot.

import { AdderNetError } from "../errors.ts";
import { getInt, getString } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import {
  allocate,
  elementCount,
  type NumberArray,
  stridesOf,
  type Tensor,
  type TensorData,
  toNumbers,
} from "../tensor.ts";
import type { Inferred, Inputs, OpContext, OpDefinition, ValueFact } from "./define-op.ts";
import { elementsOf, integersOf, shapesFor, standardOp, withElements } from "./facts.ts";
import { axisFromFront, requireSameType, shapeOfRank } from "./operands.ts";
import { allocateLike, forEachRow, makeWalk, plainArray } from "./strided.ts";

type Facts = readonly (ValueFact | undefined)[];

/** Indices from the front of an axis of `length`. One outside the axis is ADN_SHAPE. */
function indicesFromFront(indices: Tensor, length: number, where: string): Float64Array {
  const result = new Float64Array(indices.data.length);
  for (let at = 0; at < result.length; at++) {
    const index = Number(indices.data[at]);
    if (!(index >= -length && index < length)) {
      throw new AdderNetError("ADN_SHAPE", "an index is out of range", {
        where,
        expected: `${-length} to ${length - 1}`,
        found: `${index}`,
      });
    }
    result[at] = index < 0 ? index + length : index;
  }
  return result;
}

/** Blocks of `length` elements of `from`, starting at the given elements, one after the other. */
function copyBlocks(from: TensorData, to: TensorData, starts: Float64Array, length: number): void {
  const [source, target] = [plainArray(from) as Int32Array, plainArray(to) as Int32Array];
  const isBlock = length >= 16 && !Array.isArray(source);
  let write = 0;
  for (let block = 0; block < starts.length; block++) {
    const start = starts[block]!;
    if (isBlock) target.set(source.subarray(start, start + length), write);
    else for (let index = 0; index < length; index++) target[write + index] = source[start + index]!;
    write += length;
  }
}

/** Elements of one axis picked by indices (from the front, in range); the axis is replaced by `indexDims`. */
export function gatherAxis(
  data: Tensor,
  axis: number,
  indices: ArrayLike<number>,
  indexDims: readonly number[],
): Tensor {
  const [before, after] = [data.dims.slice(0, axis), data.dims.slice(axis + 1)];
  const [outer, length, block] = [elementCount(before), data.dims[axis]!, elementCount(after)];
  const starts = new Float64Array(outer * indices.length);
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (let index = 0; index < indices.length; index++) {
      starts[at++] = (row * length + indices[index]!) * block;
    }
  }
  const result = allocateLike(data, starts.length * block);
  copyBlocks(data.data, result, starts, block);
  return { type: data.type, data: result, dims: [...before, ...indexDims, ...after] };
}

function requireIndices(fact: ValueFact | undefined, where: string): void {
  if (fact === undefined || fact.elemType === "int64" || fact.elemType === "int32") return;
  throw new AdderNetError("ADN_TYPE", "indices have an unsupported type", {
    where,
    expected: "int32 or int64",
    found: fact.elemType,
  });
}

function gatheredElements(data: ValueFact, indices: ValueFact | undefined, where: string): Dim[] | undefined {
  const elements = elementsOf(data);
  const at = elements && (indices?.shape?.length ?? 2) < 2 ? integersOf(indices) : undefined;
  return at?.map((index) => elements![axisFromFront(index, elements!.length, where)]!);
}

function inferGather(node: Node, [data, indices]: Facts, { where }: OpContext): Inferred {
  requireIndices(indices, where);
  if (data === undefined) return [undefined];
  const { elemType, shape } = data;
  if (shape === undefined) return [{ elemType }];
  const axis = axisFromFront(getInt(node, "axis") ?? 0, shape.length, where);
  if (indices?.shape === undefined) return [{ elemType }];
  const dims = [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)];
  return [withElements({ elemType, shape: dims }, gatheredElements(data, indices, where))];
}

function gather(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [data, indices] = [inputs[0]!, inputs[1]!];
  shapesFor(inferGather, node, inputs, context);
  const axis = axisFromFront(getInt(node, "axis") ?? 0, data.dims.length, context.where);
  const at = indicesFromFront(indices, data.dims[axis]!, context.where);
  return [gatherAxis(data, axis, at, indices.dims)];
}

function inferGatherElements(node: Node, [data, indices]: Facts, { where }: OpContext): Inferred {
  requireIndices(indices, where);
  if (data === undefined) return [undefined];
  const rank = data.shape?.length;
  if (rank !== undefined) {
    axisFromFront(getInt(node, "axis") ?? 0, rank, where);
    shapeOfRank(indices, "indices", rank, rank, where);
  }
  const { elemType } = data;
  return [indices?.shape === undefined ? { elemType } : { elemType, shape: indices.shape }];
}

/** Calls `visit` with the place in `indices` and the element of `data` that the index there means. */
function forEachIndexed(
  data: Tensor,
  indices: Tensor,
  axis: number,
  where: string,
  visit: (place: number, element: number) => void,
): void {
  if (indices.dims.some((dim, at) => at !== axis && dim > data.dims[at]!)) {
    throw new AdderNetError("ADN_SHAPE", "indices are larger than the data", {
      where,
      expected: `at most [${data.dims.join(", ")}]`,
      found: `[${indices.dims.join(", ")}]`,
    });
  }
  const at = indicesFromFront(indices, data.dims[axis]!, where);
  const strides = stridesOf(data.dims);
  const walk = makeWalk(indices.dims, [stridesOf(indices.dims), strides.with(axis, 0)]);
  const [length, step, stride] = [walk.dims.at(-1)!, walk.steps[1]!.at(-1)!, strides[axis]!];
  const placeStep = walk.steps[0]!.at(-1)!;
  forEachRow(walk, (offsets) => {
    for (let index = 0; index < length; index++) {
      const place = offsets[0]! + index * placeStep;
      visit(place, offsets[1]! + index * step + at[place]! * stride);
    }
  });
}

function gatherElements(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [data, indices] = [inputs[0]!, inputs[1]!];
  shapesFor(inferGatherElements, node, inputs, context);
  const axis = axisFromFront(getInt(node, "axis") ?? 0, data.dims.length, context.where);
  const result = allocateLike(data, elementCount(indices.dims));
  const [source, target] = [plainArray(data.data) as Int32Array, plainArray(result) as Int32Array];
  forEachIndexed(data, indices, axis, context.where, (place, element) => {
    target[place] = source[element]!;
  });
  return [{ type: data.type, data: result, dims: indices.dims }];
}

function inferGatherND(node: Node, [data, indices]: Facts, { where }: OpContext): Inferred {
  requireIndices(indices, where);
  if (data === undefined) return [undefined];
  const { elemType, shape } = data;
  const at = shapeOfRank(indices, "indices", 1, Number.POSITIVE_INFINITY, where);
  const depth = at?.at(-1);
  if (shape === undefined || at === undefined || typeof depth !== "number") return [{ elemType }];
  const batchDims = getInt(node, "batch_dims") ?? 0;
  if (batchDims < 0 || batchDims >= at.length || batchDims + depth > shape.length || depth < 1) {
    throw new AdderNetError("ADN_SHAPE", "indices do not fit the data", {
      where,
      expected: `1 to ${shape.length - batchDims} numbers an index`,
      found: `${depth}, batch_dims ${batchDims}`,
    });
  }
  return [{ elemType, shape: [...at.slice(0, -1), ...shape.slice(batchDims + depth)] }];
}

function gatherND(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [data, indices] = [inputs[0]!, inputs[1]!];
  const dims = shapesFor(inferGatherND, node, inputs, context)[0]!;
  const batchDims = getInt(node, "batch_dims") ?? 0;
  const depth = indices.dims.at(-1)!;
  const strides = stridesOf(data.dims);
  const numbers = toNumbers(indices);
  const count = numbers.length / depth;
  const batch = elementCount(indices.dims.slice(0, batchDims));
  const batchLength = elementCount(data.dims.slice(batchDims));
  const starts = Float64Array.from({ length: count }, (_, row) => {
    let start = Math.floor(row / (count / batch)) * batchLength;
    for (let level = 0; level < depth; level++) {
      const axis = batchDims + level;
      const index = axisFromFront(numbers[row * depth + level]!, data.dims[axis]!, context.where);
      start += index * strides[axis]!;
    }
    return start;
  });
  const result = allocateLike(data, elementCount(dims));
  copyBlocks(data.data, result, starts, elementCount(data.dims.slice(batchDims + depth)));
  return [{ type: data.type, data: result, dims }];
}

function inferScatterElements(node: Node, [data, indices, updates]: Facts, { where }: OpContext): Inferred {
  requireIndices(indices, where);
  requireSameType(["data", data], ["updates", updates], where);
  if (data === undefined) return [undefined];
  const { elemType, shape } = data;
  if (shape === undefined) return [{ elemType }];
  axisFromFront(getInt(node, "axis") ?? 0, shape.length, where);
  shapeOfRank(indices, "indices", shape.length, shape.length, where);
  shapeOfRank(updates, "updates", shape.length, shape.length, where);
  return [{ elemType, shape }];
}

const reductions: Record<string, (old: number, update: number) => number> = {
  none: (_old, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  // Comparisons, as the elements may be bigint.
  max: (old, update) => [old, update][Number(update > old)]!,
  min: (old, update) => [old, update][Number(update < old)]!,
};

function scatterElements(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [data, indices, updates] = [inputs[0]!, inputs[1]!, inputs[2]!];
  shapesFor(inferScatterElements, node, inputs, context);
  const mode = getString(node, "reduction") ?? "none";
  const reduce = reductions[mode];
  if (reduce === undefined || updates.dims.join() !== indices.dims.join()) {
    throw new AdderNetError(reduce ? "ADN_SHAPE" : "ADN_ATTRIBUTE", "updates cannot be applied", {
      where: context.where,
      expected: reduce ? `updates of [${indices.dims.join(", ")}]` : Object.keys(reductions).join(", "),
      found: reduce ? `[${updates.dims.join(", ")}]` : mode,
    });
  }
  const axis = axisFromFront(getInt(node, "axis") ?? 0, data.dims.length, context.where);
  const result = data.data.slice() as NumberArray;
  const values = updates.data as NumberArray;
  forEachIndexed(data, indices, axis, context.where, (place, element) => {
    result[element] = reduce(result[element]!, values[place]!);
  });
  return [{ ...data, data: result }];
}

function inferOneHot(node: Node, [indices, depth, values]: Facts, { where }: OpContext): Inferred {
  if (values === undefined) return [undefined];
  if (indices?.shape === undefined) return [{ elemType: values.elemType }];
  const rank = indices.shape.length + 1;
  const axis = axisFromFront(getInt(node, "axis") ?? -1, rank, where);
  const length = depth?.constant === undefined ? elementsOf(depth)?.[0] : Number(depth.constant.data[0]);
  return [{ elemType: values.elemType, shape: indices.shape.toSpliced(axis, 0, length ?? null) }];
}

function oneHot(node: Node, inputs: Inputs, context: OpContext): Tensor[] {
  const [indices, values] = [inputs[0]!, inputs[2]!];
  const dims = shapesFor(inferOneHot, node, inputs, context)[0]!;
  const axis = axisFromFront(getInt(node, "axis") ?? -1, dims.length, context.where);
  const [length, inner] = [dims[axis]!, elementCount(dims.slice(axis + 1))];
  const data = allocate(values.type, elementCount(dims)) as NumberArray;
  const [off, on] = values.data as NumberArray;
  data.fill(off!);
  for (let at = 0; at < indices.data.length; at++) {
    const asked = Math.trunc(Number(indices.data[at]));
    const index = asked < 0 ? asked + length : asked;
    if (index < 0 || index >= length) continue;
    data[(Math.floor(at / inner) * length + index) * inner + (at % inner)] = on!;
  }
  return [{ type: values.type, data, dims }];
}

export const gatherOps: readonly OpDefinition[] = [
  /** Y[…, i…, …] = X[…, indices[i…], …] along `axis`. */
  standardOp("Gather", 1, 2, inferGather, gather),
  /** Y[i, j, …] = X[…, indices[i, j, …], …]: one index for each element. */
  standardOp("GatherElements", 11, 2, inferGatherElements, gatherElements),
  /** Y[i…] = X[indices[i…, :]]: each index names a block. */
  standardOp("GatherND", 11, 2, inferGatherND, gatherND),
  /** X with updates written (or reduced) at the indexed elements. */
  standardOp("ScatterElements", 11, 3, inferScatterElements, scatterElements),
  /** values[1] at the indexed place of a new axis, values[0] elsewhere. */
  standardOp("OneHot", 9, 3, inferOneHot, oneHot),
];
