// Batch normalisation, residual addition and clipping taken into the layer before them, so that they cost no pass of their own. Sums
// of codes take in their conversion to floats, too.

import type { BoundGraph, BoundNode, BoundValue, Epilogue } from "./bind.ts";
import { epilogueOf, ownAffine } from "./epilogue.ts";
import { normalizationAffine } from "./lower/along-axis.ts";
import { clipOf } from "./lower/elementwise.ts";

const isOpen = ({ low, high }: Epilogue): boolean =>
  low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY;

const codeSums = "addernet::AdderInteger2d";
const layers = ["Conv", "addernet::Adder2d", codeSums];
/** Products clip, but neither normalise nor add. */
const products = ["Gemm", "MatMul"];

function opOf({ node }: BoundNode): string {
  return node.domain === "" ? node.opType : `${node.domain}::${node.opType}`;
}

/** clip after clip: both bounds go through the second. */
function withClip(epilogue: Epilogue, next: BoundNode): Epilogue | undefined {
  const bounds = clipOf(next);
  if (bounds === undefined || bounds[0] > bounds[1]) return undefined;
  const through = (value: number) => Math.min(Math.max(value, bounds[0]), bounds[1]);
  return { ...epilogue, low: through(epilogue.low), high: through(epilogue.high) };
}

function withNormalization(epilogue: Epilogue, layer: BoundNode, next: BoundNode): Epilogue | undefined {
  if (opOf(next) !== "BatchNormalization" || !isOpen(epilogue) || epilogue.residual) return undefined;
  const { scale: ownScale, bias: ownBias } = ownAffine(layer);
  const constants = [
    ...next.inputs.slice(1, 5),
    ...(ownScale ? [ownScale] : []),
    ...(ownBias ? [ownBias] : []),
  ];
  if (!constants.every((value) => value?.isFixed)) return undefined;
  const { scale, bias } = normalizationAffine(next);
  return {
    ...epilogue,
    scale: scale.map((factor, channel) => factor * (epilogue.scale?.[channel] ?? 1)),
    bias: bias.map((shift, channel) => shift + scale[channel]! * (epilogue.bias?.[channel] ?? 0)),
  };
}

function withResidual(epilogue: Epilogue, layer: BoundNode, next: BoundNode): Epilogue | undefined {
  if (opOf(next) !== "Add" || !isOpen(epilogue) || epilogue.residual) return undefined;
  const made = layer.outputs[0]!;
  const residual = next.inputs.find((value) => value!.name !== made.name);
  const isSameShape = residual?.dims.join() === made.dims.join();
  return residual !== undefined && isSameShape ? { ...epilogue, residual } : undefined;
}

/** One number per channel of dims (N,C,...), from a constant that broadcasts to them along other axes. */
function perChannel(value: BoundValue | undefined, dims: readonly number[]): Float64Array | undefined {
  if (!value?.isFixed || value.type !== "float32" || value.dims.length > dims.length) return undefined;
  const axis = 1 - dims.length + value.dims.length;
  if (value.dims.some((dim, index) => dim !== 1 && (index !== axis || dim !== dims[1]))) return undefined;
  const data = value.constant!.data as Float32Array;
  return Float64Array.from({ length: dims[1]! }, (_, channel) => data[data.length === 1 ? 0 : channel]!);
}

/** Factor and shift of code sums, once each and in this order: their roundings stay where they were. */
function withAffine(epilogue: Epilogue, layer: BoundNode, next: BoundNode): Epilogue | undefined {
  const made = layer.outputs[0]!;
  const other = next.inputs.find((value) => value!.name !== made.name);
  const isOpenYet = isOpen(epilogue) && !epilogue.residual && !epilogue.bias;
  const numbers = isOpenYet ? perChannel(other, made.dims) : undefined;
  if (numbers === undefined) return undefined;
  if (opOf(next) === "Mul" && !epilogue.scale) return { ...epilogue, scale: numbers };
  return opOf(next) === "Add" ? { ...epilogue, bias: numbers } : undefined;
}

function extended(layer: BoundNode, next: BoundNode): Epilogue | undefined {
  const epilogue = epilogueOf(layer);
  if (products.includes(opOf(layer))) return withClip(epilogue, next);
  if (layer.outputs[0]!.type === "int32") {
    return opOf(next) === "Cast" && next.outputs[0]!.type === "float32" ? epilogue : undefined;
  }
  if (opOf(layer) === codeSums) {
    const affine = withAffine(epilogue, layer, next);
    if (affine !== undefined) return affine;
  }
  return (
    withClip(epilogue, next) ??
    withNormalization(epilogue, layer, next) ??
    withResidual(epilogue, layer, next)
  );
}

function merged(layer: BoundNode, next: BoundNode, epilogue: Epilogue): BoundNode {
  return {
    ...layer,
    outputs: next.outputs,
    epilogue,
    fused: [...(layer.fused ?? []), next.where],
  };
}

/** How often each value is read; outputs of the graph count as read once more. */
function readCounts(graph: BoundGraph): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (value: BoundValue | undefined) => {
    if (value) counts.set(value.name, (counts.get(value.name) ?? 0) + 1);
  };
  for (const { inputs } of graph.nodes) inputs.forEach(count);
  graph.outputs.forEach(count);
  return counts;
}

/** The same graph with fewer nodes. A merged node stands where the last of its parts stood, so that its operands exist. */
export function fuseEpilogues(graph: BoundGraph): BoundGraph {
  const reads = readCounts(graph);
  const nodes: (BoundNode | undefined)[] = [];
  const makerOf = new Map<string, number>();
  for (const next of graph.nodes) {
    const makers = next.inputs
      .flatMap((value) => (value && reads.get(value.name) === 1 ? (makerOf.get(value.name) ?? []) : []))
      .sort((a, b) => b - a);
    let result = next;
    for (const at of makers) {
      const epilogue = extended(nodes[at]!, next);
      if (epilogue === undefined) continue;
      result = merged(nodes[at]!, next, epilogue);
      nodes[at] = undefined;
      break;
    }
    const index = nodes.push(result) - 1;
    if ([...layers, ...products].includes(opOf(result))) makerOf.set(result.outputs[0]!.name, index);
  }
  return { ...graph, nodes: nodes.filter((bound) => bound !== undefined) };
}
