// Which ONNX IR version the parts of a model came with. Notes that older readers skip, as metadata, ask for none.

import type { DataType } from "../dtype.ts";
import type { Graph, Model, Node } from "../ir/model.ts";
import type { Tensor } from "../tensor.ts";

const sinceByType: { readonly [T in DataType]?: number } = {
  float8e4m3fn: 9,
  float8e4m3fnuz: 9,
  float8e5m2: 9,
  float8e5m2fnuz: 9,
  uint4: 10,
  int4: 10,
  float4e2m1: 11,
  float8e8m0: 12,
  uint2: 13,
  int2: 13,
};

function* graphVersions(graph: Graph): Generator<number> {
  const inputs = new Set(graph.overridable.map(({ name }) => name));
  for (const [name, { type }] of graph.initializers)
    yield Math.max(inputs.has(name) ? 3 : 4, sinceByType[type] ?? 3);
  if (graph.sparseInitializers) yield 5;
  yield* nodeVersions(graph.nodes);
}

function* nodeVersions(nodes: readonly Node[]): Generator<number> {
  for (const node of nodes) {
    if (node.overload) yield 10;
    if (node.deviceConfigurations) yield 11;
    for (const attribute of node.attributes.values()) {
      const tensors: readonly Tensor[] =
        attribute.type === "TENSOR" ? [attribute.value] : attribute.type === "TENSORS" ? attribute.value : [];
      for (const { type } of tensors) yield sinceByType[type] ?? 3;
      if (attribute.type === "GRAPH") yield* graphVersions(attribute.value);
      if (attribute.type === "GRAPHS") for (const graph of attribute.value) yield* graphVersions(graph);
    }
  }
}

function* modelVersions(model: Model): Generator<number> {
  yield 3;
  if (model.trainingInfo) yield 7;
  if (model.configurations) yield 11;
  yield* graphVersions(model.graph);
  for (const body of model.functions) {
    yield body.overload || body.valueInfo.size > 0 || body.metadata
      ? 10
      : body.attributeDefaults.size > 0
        ? 9
        : 8;
    yield* nodeVersions(body.nodes);
  }
}

/** The oldest IR version that has everything the model uses. */
export function requiredIrVersion(model: Model): number {
  let version = 3;
  for (const needed of modelVersions(model)) version = Math.max(version, needed);
  return version;
}
