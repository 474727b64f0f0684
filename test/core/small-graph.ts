// Graphs written down in a few lines.

import type { DataType } from "../../src/core/dtype.ts";
import type { Attribute, Dim, FunctionBody, Graph, Node, ValueInfo } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";

/** A node whose op may be written "domain::Op". */
export function op(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Node {
  const [opType, domain = ""] = name.split("::").reverse() as [string, string?];
  return {
    opType,
    domain,
    name: "",
    inputs: [...inputs],
    outputs: [...outputs],
    attributes: new Map(Object.entries(attributes)),
  };
}

export function value(name: string, shape?: readonly Dim[], elemType: DataType = "float32"): ValueInfo {
  return {
    name,
    type: shape === undefined ? { kind: "tensor", elemType } : { kind: "tensor", elemType, shape },
  };
}

export function graphOf(parts: {
  readonly inputs?: readonly ValueInfo[];
  readonly constants?: Readonly<Record<string, Tensor>>;
  readonly nodes: readonly Node[];
  readonly outputs: readonly (string | ValueInfo)[];
  readonly valueInfo?: readonly ValueInfo[];
}): Graph {
  return {
    name: "small",
    inputs: [...(parts.inputs ?? [])],
    outputs: parts.outputs.map((output) => (typeof output === "string" ? { name: output } : output)),
    nodes: [...parts.nodes],
    initializers: new Map(Object.entries(parts.constants ?? {})),
    overridable: [],
    valueInfo: new Map((parts.valueInfo ?? []).map((info) => [info.name, info])),
  };
}

export function functionOf(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  nodes: readonly Node[],
  more: Partial<Pick<FunctionBody, "attributes" | "attributeDefaults">> = {},
): FunctionBody {
  return {
    name,
    domain: "local",
    inputs: [...inputs],
    outputs: [...outputs],
    attributes: [],
    attributeDefaults: new Map(),
    nodes: [...nodes],
    opsetImports: new Map([
      ["", 17],
      ["local", 1],
    ]),
    valueInfo: new Map(),
    ...more,
  };
}

/** The opsets of the small graphs. */
export const opsets: ReadonlyMap<string, number> = new Map([
  ["", 17],
  ["local", 1],
  ["custom", 1],
]);
