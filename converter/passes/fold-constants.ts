// Nodes whose inputs are all constant are computed now, by the reference of their op.

import { byteLengthOf } from "../../src/core/dtype.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { definitionOf } from "../../src/core/infer-shapes.ts";
import { nodeLabel } from "../../src/core/ir/attributes.ts";
import { addInitializer, makeNode, replaceNodes, subgraphsOf } from "../../src/core/ir/edit.ts";
import type { Graph, Model, Node } from "../../src/core/ir/model.ts";
import type { OpContext, OpDefinition, OpTable, ValueFact } from "../../src/core/ops/define-op.ts";
import { elementCount, type Tensor } from "../../src/core/tensor.ts";
import { constantOf } from "./constants.ts";
import type { Pass } from "./pass.ts";

/** How much larger than its inputs a folded result may be. */
const mostGrowthBytes = 16 * 2 ** 20;

/**
 * Random ops have no fixed result. DequantizeLinear keeps quantized weights small, and says that they are quantized.
 */
const neverFolded: ReadonlySet<string> = new Set([
  "Bernoulli",
  "DequantizeLinear",
  "Dropout",
  "Multinomial",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
]);

/** The constant inputs of a node that can be folded; undefined when one of them is computed. */
function constantInputs(graph: Graph, node: Node): (Tensor | undefined)[] | undefined {
  const isSource = node.domain === "" && node.opType === "Constant";
  if (node.domain === "" && neverFolded.has(node.opType)) return undefined;
  if ((node.inputs.length === 0 && !isSource) || subgraphsOf(node).length > 0) return undefined;
  const inputs = node.inputs.map((name) => (name === "" ? undefined : constantOf(graph, name)));
  return node.inputs.every((name, index) => name === "" || inputs[index] !== undefined) ? inputs : undefined;
}

/** Bytes of a result, known before it is computed: infinite when the shape does not follow from the inputs. */
function bytesOf(fact: ValueFact | undefined): number {
  if (!fact?.shape?.every((dim) => typeof dim === "number")) return Number.POSITIVE_INFINITY;
  return byteLengthOf(fact.elemType, elementCount(fact.shape as readonly number[]));
}

function staysSmall(
  op: OpDefinition,
  node: Node,
  inputs: readonly (Tensor | undefined)[],
  context: OpContext,
): boolean {
  const facts = inputs.map(
    (tensor) => tensor && { elemType: tensor.type, shape: tensor.dims, constant: tensor },
  );
  const results = op.infer(node, facts, context);
  const bytesIn = inputs.reduce(
    (sum, tensor) => sum + (tensor ? byteLengthOf(tensor.type, tensor.data.length) : 0),
    0,
  );
  const bytesOut = node.outputs.reduce(
    (sum, name, index) => sum + (name === "" ? 0 : bytesOf(results[index])),
    0,
  );
  return bytesOut <= bytesIn + mostGrowthBytes;
}

/** The results of the node; undefined where its op has no reference for them. */
function compute(
  node: Node,
  inputs: readonly (Tensor | undefined)[],
  ops: OpTable,
  opsetImports: ReadonlyMap<string, number>,
): readonly Tensor[] | undefined {
  const known = definitionOf(node, ops, opsetImports);
  if (known?.definition.reference === undefined) return undefined;
  const { definition, opset } = known;
  const context: OpContext = { opset, where: nodeLabel(node) };
  try {
    return staysSmall(definition, node, inputs, context)
      ? definition.reference!(node, inputs, context)
      : undefined;
  } catch (error) {
    // The node stays; whoever runs or binds it reports what is wrong with it.
    if (error instanceof AdderNetError) return undefined;
    throw error;
  }
}

/**
 * The nodes that stay in place of a folded one: outputs of the graph stay outputs of a node, an Identity of the
 * constant.
 */
function putResults(graph: Graph, node: Node, results: readonly Tensor[]): Node[] {
  const isOutput = new Set(graph.outputs.map(({ name }) => name));
  const identities: Node[] = [];
  for (const [index, name] of node.outputs.entries()) {
    if (name === "") continue;
    if (isOutput.has(name)) {
      const value = addInitializer(graph, `${name}_value`, results[index]!);
      identities.push(makeNode("Identity", [value], [name]));
    } else {
      graph.initializers.set(name, results[index]!);
      graph.valueInfo.delete(name);
    }
  }
  return identities;
}

function foldNode(model: Model, node: Node, ops: OpTable): Node[] | undefined {
  const { graph } = model;
  const isFinal = node.opType === "Identity" || node.opType === "Constant";
  if (isFinal && graph.outputs.some(({ name }) => node.outputs.includes(name))) return undefined;
  const inputs = constantInputs(graph, node);
  const results = inputs && compute(node, inputs, ops, model.opsetImports);
  if (results === undefined) return undefined;
  if (node.outputs.some((name, index) => name !== "" && results[index] === undefined)) return undefined;
  return putResults(graph, node, results);
}

/** Nodes are in topological order, so a chain of them folds in one run. */
export const foldConstants: Pass = {
  name: "fold-constants",
  description:
    "nodes whose inputs are all constant become constants; random ops and results that grow by over 16 MiB stay",
  run: (model, { ops }) => replaceNodes(model.graph, (node) => foldNode(model, node, ops)),
};
