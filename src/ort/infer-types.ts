// Element types of every value, also behind ops whose shapes we do not know: cut values need a type and nothing else.

import { type DataType, dataTypeOfOnnx } from "../core/dtype.ts";
import { getInt } from "../core/ir/attributes.ts";
import type { Model, Node } from "../core/ir/model.ts";
import type { ValueFact } from "../core/ops/define-op.ts";

type TypeRule = (node: Node, inputs: readonly (DataType | undefined)[]) => readonly (DataType | undefined)[];

const firstInput: TypeRule = (node, inputs) => node.outputs.map(() => inputs[0]);
const always =
  (...types: DataType[]): TypeRule =>
  (node) =>
    node.outputs.map((_, index) => types[Math.min(index, types.length - 1)]);
const inputAt =
  (position: number): TypeRule =>
  (node, inputs) =>
    node.outputs.map(() => inputs[position]);

/** Ops whose results are those of a graph of their own, behind `skipped` results that they keep to themselves. */
const bodyOutputs =
  (attribute: string, skipped = 0): TypeRule =>
  (node) => {
    const body = node.attributes.get(attribute);
    const outputs = body?.type === "GRAPH" ? body.value.outputs.slice(skipped) : [];
    return outputs.map(({ type }) => (type?.kind === "tensor" ? type.elemType : undefined));
  };

const castTo: TypeRule = (node, inputs) => [dataTypeOfOnnx(getInt(node, "to") ?? 0) ?? inputs[0]];

/** Ops whose outputs do not have the type of their first input. */
const rules: Readonly<Record<string, TypeRule>> = {
  Shape: always("int64"),
  Size: always("int64"),
  NonZero: always("int64"),
  ArgMax: always("int64"),
  ArgMin: always("int64"),
  NonMaxSuppression: always("int64"),
  Equal: always("bool"),
  Greater: always("bool"),
  GreaterOrEqual: always("bool"),
  Less: always("bool"),
  LessOrEqual: always("bool"),
  And: always("bool"),
  Or: always("bool"),
  Xor: always("bool"),
  Not: always("bool"),
  IsNaN: always("bool"),
  IsInf: always("bool"),
  ConvInteger: always("int32"),
  MatMulInteger: always("int32"),
  DynamicQuantizeLinear: always("uint8", "float32", "uint8"),
  TopK: (_, inputs) => [inputs[0], "int64"],
  MaxPool: (_, inputs) => [inputs[0], "int64"],
  Unique: (_, inputs) => [inputs[0], "int64", "int64", "int64"],
  Dropout: (_, inputs) => [inputs[0], "bool"],
  Where: inputAt(1),
  CastLike: inputAt(1),
  DequantizeLinear: inputAt(1),
  QuantizeLinear: (_, inputs) => [inputs[2] ?? "uint8"],
  QLinearConv: inputAt(7),
  QLinearMatMul: inputAt(7),
  Cast: castTo,
  If: bodyOutputs("then_branch"),
  Loop: bodyOutputs("body", 1),
  Scan: bodyOutputs("body"),
  OneHot: inputAt(2),
  ConstantOfShape: (node) => {
    const value = node.attributes.get("value");
    return [value?.type === "TENSOR" ? value.value.type : "float32"];
  },
  EyeLike: (node, inputs) => [dataTypeOfOnnx(getInt(node, "dtype") ?? 0) ?? inputs[0]],
};

function declaredTypes(model: Model): Map<string, DataType> {
  const { graph } = model;
  const types = new Map<string, DataType>();
  for (const [name, tensor] of graph.initializers) types.set(name, tensor.type);
  for (const info of [...graph.inputs, ...graph.overridable, ...graph.outputs, ...graph.valueInfo.values()]) {
    if (info.type?.kind === "tensor") types.set(info.name, info.type.elemType);
  }
  return types;
}

/**
 * Types that the file declares, else what shape inference finds (in `facts`), else what the op's rule says, else the type of the op's
 * first input.
 */
export function inferTypes(
  model: Model,
  facts: ReadonlyMap<string, ValueFact> = new Map(),
): Map<string, DataType> {
  const types = new Map([...facts].map(([name, { elemType }]) => [name, elemType]));
  for (const [name, type] of declaredTypes(model)) types.set(name, type);
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.map((name) => types.get(name));
    const made = (rules[node.opType] ?? firstInput)(node, inputs);
    node.outputs.forEach((name, index) => {
      const type = made[index];
      if (name !== "" && type !== undefined && !types.has(name)) types.set(name, type);
    });
  }
  return types;
}
