// Which nodes a batch goes through image by image. Where values are larger than weights, the values of one image stay in the caches from
// node to node; where weights are larger, a node does all images while it has its weights there.

import type { Model } from "../src/core/ir/model.ts";
import { elementCount } from "../src/core/tensor.ts";
import type { BoundGraph, BoundNode, BoundValue } from "./bind.ts";
import { bytesOf } from "./builder.ts";

export interface Images {
  readonly count: number;
  /** The graph for one image. */
  readonly one: BoundGraph;
  /** How many of its first nodes are gone through image by image. */
  readonly nodes: number;
}

/** Ops that make image i of their outputs of image i of their inputs, and which input holds weights. */
const weightsOf: Readonly<Record<string, number>> = {
  ...{ Conv: 1, Adder2d: 1, AdderInteger2d: 1, QLinearAdder2d: 2 },
  ...{ MaxPool: 0, AveragePool: 0, BatchNormalization: 0, QuantizeLinear: 0, DequantizeLinear: 0 },
  ...{ Relu: 0, Clip: 0, LeakyRelu: 0, PRelu: 0, Sigmoid: 0, HardSwish: 0, Add: 0, Mul: 0, Concat: 0 },
};

/** What of a batch stays in the caches from one node to the next. */
const cachedBytes = 2 ** 22;

/** Whether two sizes of a value differ in their first axis alone, which counts images. */
function hasImages({ dims }: BoundValue, one: BoundValue, count: number): boolean {
  return [count, ...one.dims.slice(1)].join() === dims.join() && one.dims[0] === 1;
}

const operandsOf = ({ inputs, epilogue }: BoundNode) => [...inputs, epilogue?.residual];

/** Constants that meet all images alike. Rows of single pixels meet in tiles, and are left to those. */
function isByImage(whole: BoundNode, one: BoundNode, count: number): boolean {
  const weights = weightsOf[whole.node.opType];
  const [output, single] = [whole.outputs[0], one.outputs[0]];
  if (weights === undefined || whole.where !== one.where || !output || !single) return false;
  if (!hasImages(output, single, count) || elementCount(output.dims.slice(2)) === 1) return false;
  const rank = output.dims.length;
  const singles = operandsOf(one);
  return operandsOf(whole).every((value, index) => {
    if (value === undefined) return true;
    if (!value.constant) return value.dims.length === rank && hasImages(value, singles[index]!, count);
    return value.isFixed && (index === weights || value.dims.length < rank || value.dims[0] === 1);
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** Bytes that one image more finds in the caches, less those of weights that are read again for it. */
function savedBytes(one: BoundNode, count: number): number {
  const values = [...operandsOf(one), ...one.outputs].filter((value) => value !== undefined);
  const bytes = (isConstant: boolean) =>
    sum(values.filter(({ constant }) => (constant !== undefined) === isConstant).map(bytesOf));
  const moved = bytes(false);
  return (moved * count > cachedBytes ? moved : 0) - bytes(true) / 2;
}

/** How many first nodes save most; 0 where none do. */
function chooseNodes(whole: BoundGraph, one: BoundGraph, count: number): number {
  let [nodes, most, saved] = [0, 0, 0];
  for (const [index, bound] of whole.nodes.entries()) {
    const single = one.nodes[index];
    if (single === undefined || !isByImage(bound, single, count)) break;
    saved += savedBytes(single, count);
    if (saved > most) [nodes, most] = [index + 1, saved];
  }
  return nodes;
}

/** Shapes of single images; undefined where inputs have no images, or different numbers of them, or where the file fixes how many. */
function singleShapes({ graph }: Model, { inputs }: BoundGraph): Map<string, readonly number[]> | undefined {
  const count = inputs[0]?.dims[0] ?? 1;
  const isFree = ({ type }: Model["graph"]["inputs"][number]) =>
    type?.kind === "tensor" && typeof type.shape?.[0] !== "number";
  if (count < 2 || !graph.inputs.every(isFree) || inputs.some(({ dims }) => dims[0] !== count))
    return undefined;
  return new Map(inputs.map(({ name, dims }) => [name, [1, ...dims.slice(1)]]));
}

/** The part of a bound graph that pays to be gone through image by image; `bindOne` binds the same model. */
export function imagesOf(
  model: Model,
  whole: BoundGraph,
  bindOne: (shapes: ReadonlyMap<string, readonly number[]>) => BoundGraph,
): Images | undefined {
  const shapes = singleShapes(model, whole);
  if (shapes === undefined) return undefined;
  const count = whole.inputs[0]!.dims[0]!;
  let one: BoundGraph;
  try {
    one = bindOne(shapes);
  } catch {
    // A model may need more than one image; then it is gone through as a whole.
    return undefined;
  }
  const nodes = chooseNodes(whole, one, count);
  return nodes === 0 ? undefined : { count, one, nodes };
}
