// Putting fitted adder layers, each with its batch norm, where the convolutions were.

import { floatAttribute } from "../../src/core/ir/attributes.ts";
import { cloneModel } from "../../src/core/ir/clone.ts";
import {
  addInitializer,
  freshName,
  makeNode,
  namesIn,
  removeDead,
  replaceNode,
} from "../../src/core/ir/edit.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import { float32Tensor, int64Tensor } from "../../src/core/tensor.ts";
import { type AdderLayer, adderNode } from "./walk.ts";

/** What PyTorch's BatchNorm2d has. */
const epsilon = 1e-5;

/** gamma·(sum - mean)/√(variance + epsilon) + beta with these is scale·sum + bias. */
function addBatchNorm(graph: Graph, { mean, variance, scale, bias }: AdderLayer, base: string): string[] {
  const parameters = {
    scale: scale.map((factor, m) => factor * Math.sqrt(variance[m]! + epsilon)),
    B: bias.map((shift, m) => shift + scale[m]! * mean[m]!),
    mean,
    var: variance,
  };
  return Object.entries(parameters).map(([name, values]) =>
    addInitializer(graph, `${base}.${name}`, float32Tensor(values)),
  );
}

function reshape(graph: Graph, from: string, to: string, dims: readonly number[]): Node {
  return makeNode("Reshape", [from, addInitializer(graph, `${to}.shape`, int64Tensor(dims))], [to]);
}

/** The nodes that make what `layer` made: the adder layer and its batch norm, with reshapes around a matrix product. */
function replacementsOf(graph: Graph, adder: AdderLayer): Node[] {
  const { layer, weight } = adder;
  const taken = namesIn(graph);
  const fresh = (suffix: string) => freshName(taken, `${layer.output}.${suffix}`);
  const isProduct = layer.kind === "product";
  const x = isProduct ? fresh("image") : layer.x;
  const sums = fresh("sums");
  const y = isProduct ? fresh("normalised") : layer.output;
  const w = addInitializer(graph, `${layer.name}.adder`, float32Tensor(weight, layer.dims));
  const norm = makeNode(
    "BatchNormalization",
    [sums, ...addBatchNorm(graph, adder, `${layer.name}.norm`)],
    [y],
    [["epsilon", floatAttribute(epsilon)]],
    { name: `${layer.name}.norm` },
  );
  const core = [adderNode(layer, [x, w], sums), norm];
  if (!isProduct) return core;
  return [
    reshape(graph, layer.x, x, [0, layer.dims[1], 1, 1]),
    ...core,
    reshape(graph, y, layer.output, [0, layer.dims[0]]),
  ];
}

/** A copy of `model` with adder layers in place of those they were fitted to; everything else as it was. */
export function withAdders(model: Model, layers: readonly AdderLayer[]): Model {
  const copy = cloneModel(model);
  const { graph } = copy;
  for (const adder of layers) {
    const node = graph.nodes.find(({ outputs }) => outputs[0] === adder.layer.output)!;
    replaceNode(graph, node, ...replacementsOf(graph, adder));
  }
  removeDead(graph);
  copy.opsetImports.set("addernet", 1);
  copy.irVersion = Math.max(copy.irVersion, 8);
  return copy;
}
