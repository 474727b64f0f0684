// Exports with a batch of one whose nodes treat every row alike take any batch once converted.

import { AdderNetError } from "../src/core/errors.ts";
import { inferShapes } from "../src/core/infer-shapes.ts";
import type { Dim, Model, ValueInfo } from "../src/core/ir/model.ts";
import type { OpTable } from "../src/core/ops/define-op.ts";

const symbol = "batch";

function shapeOf({ type }: ValueInfo): readonly Dim[] | undefined {
  return type?.kind === "tensor" ? type.shape : undefined;
}

function withBatch(info: ValueInfo): ValueInfo {
  const shape = shapeOf(info);
  if (info.type?.kind !== "tensor" || shape === undefined) return info;
  return { ...info, type: { ...info.type, shape: [symbol, ...shape.slice(1)] } };
}

/** Shapes of the outputs when the batch is a symbol; undefined when the graph does not accept one. */
function outputShapes(
  model: Model,
  inputs: readonly ValueInfo[],
  ops: OpTable,
): (readonly Dim[] | undefined)[] | undefined {
  const graph = { ...model.graph, inputs: [...inputs], outputs: [], valueInfo: new Map() };
  try {
    const facts = inferShapes(graph, model.opsetImports, ops, { functions: model.functions });
    return model.graph.outputs.map(({ name }) => facts.get(name)?.shape);
  } catch (error) {
    if (error instanceof AdderNetError) return undefined;
    throw error;
  }
}

/**
 * Declares the leading 1 of every input and output a symbol, if shape inference carries it from every input to every output; answers
 * whether it did. That rows do not mix is not proven here: the check of a conversion runs two rows at once against each alone.
 */
export function freeBatch(model: Model, ops: OpTable): boolean {
  const { graph } = model;
  if (graph.inputs.length === 0 || !graph.inputs.every((info) => shapeOf(info)?.[0] === 1)) return false;
  const inputs = graph.inputs.map(withBatch);
  const shapes = outputShapes(model, inputs, ops);
  if (!shapes?.every((shape) => shape?.[0] === symbol)) return false;
  graph.inputs = inputs;
  graph.outputs = graph.outputs.map((info, index) => ({
    ...info,
    type: {
      kind: "tensor",
      elemType: info.type?.kind === "tensor" ? info.type.elemType : "float32",
      shape: shapes[index]!,
    },
  }));
  graph.valueInfo.clear();
  return true;
}
