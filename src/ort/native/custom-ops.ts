// What onnxruntime is told of our ops: inputs, types and attributes, in the order of their schema.

import type { DataType } from "../../core/dtype.ts";

export interface CustomOpInput {
  readonly name: string;
  readonly type: DataType;
  readonly isOptional: boolean;
}

/** How an attribute is read out of a node. */
export type AttributeKind = "int" | "ints" | "float" | "string";

export interface CustomOp {
  readonly opType: string;
  readonly inputs: readonly CustomOpInput[];
  readonly output: DataType;
  readonly attributes: Readonly<Record<string, AttributeKind>>;
}

const required = (type: DataType, ...names: string[]): CustomOpInput[] =>
  names.map((name) => ({ name, type, isOptional: false }));
const optional = (type: DataType, ...names: string[]): CustomOpInput[] =>
  names.map((name) => ({ name, type, isOptional: true }));

const window = {
  auto_pad: "string",
  kernel_shape: "ints",
  strides: "ints",
  pads: "ints",
  dilations: "ints",
  group: "int",
} as const;

/** The domain of all of them. */
export const customDomain = "addernet";

export const customOps: readonly CustomOp[] = [
  {
    opType: "Adder2d",
    inputs: [...required("float32", "X", "W"), ...optional("float32", "B", "scale", "Z")],
    output: "float32",
    attributes: { ...window, activation_min: "float", activation_max: "float" },
  },
  {
    opType: "QLinearAdder2d",
    inputs: [
      ...required("uint8", "X", "x_zero_point", "W"),
      ...required("float32", "scale", "B"),
      ...required("uint8", "y_zero_point"),
      ...optional("uint8", "Z"),
      ...optional("float32", "z_scale"),
      ...optional("uint8", "z_zero_point"),
    ],
    output: "uint8",
    attributes: { ...window, y_min: "int", y_max: "int" },
  },
  {
    opType: "AdderInteger2d",
    inputs: required("uint8", "X", "W", "x_zero_point"),
    output: "int32",
    attributes: window,
  },
];
