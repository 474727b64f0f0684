// For each op of our domain: what its calls must say once they share a body in standard ops, and that body.

import { floatAttribute, getFloat, intAttribute } from "../src/core/ir/attributes.ts";
import type { Attribute, FunctionBody, Node } from "../src/core/ir/model.ts";
import type { OpDefinition } from "../src/core/ops/define-op.ts";
import { AdderInteger2d } from "./adder-integer2d.ts";
import { Adder2d } from "./adder2d.ts";
import { adder2dFunction, type FunctionVariant } from "./function-body.ts";
import { adderInteger2dFunction, qlinearAdder2dFunction } from "./integer-function-body.ts";
import { codeBounds, QLinearAdder2d } from "./qlinear-adder2d.ts";

/** A constant that may stand for an input that is left out, because it changes nothing. */
export interface NeutralInput {
  readonly index: number;
  /** Names of the constants begin with this. */
  readonly name: string;
  readonly type: "float32" | "uint8";
  readonly value: number;
  /** One element per filter, else a scalar. */
  readonly perFilter: boolean;
}

/** An attribute without effect where the bound it gives clips nothing. */
export interface OptionalBound {
  readonly name: string;
  readonly isOpen: (bound: number) => boolean;
  /** What stands for no bound: an infinite attribute is not portable. */
  readonly open: number;
}

export interface FunctionForm {
  readonly op: OpDefinition;
  /** Where X and W stand among its inputs. */
  readonly windowInputs: readonly [number, number];
  /** How many inputs a body of the op can take, ascending. */
  readonly inputCounts: readonly number[];
  /** Inputs that only make sense together stand in one group. */
  readonly neutralInputs: readonly (readonly NeutralInput[])[];
  readonly bounds: readonly OptionalBound[];
  /** Attributes besides those of the window that a call must give. */
  readonly attributes: (node: Node, where: string) => Iterable<readonly [string, Attribute]>;
  readonly body: (variant: FunctionVariant, opset: number) => FunctionBody;
}

const largestFloat = 3.4028234663852886e38;

const zeros = { name: "addernet_zeros", type: "float32", value: 0 } as const;
const ones = { name: "addernet_ones", type: "float32", value: 1 } as const;
const zeroCode = { name: "addernet_zero_code", type: "uint8", value: 0 } as const;

const adder2d: FunctionForm = {
  op: Adder2d,
  windowInputs: [0, 1],
  inputCounts: [2, 3, 5],
  neutralInputs: [
    [{ ...zeros, index: 2, perFilter: true }],
    [{ ...ones, index: 3, perFilter: true }],
    [{ ...zeros, index: 4, perFilter: false }],
  ],
  bounds: [
    { name: "activation_min", isOpen: (bound) => bound <= -largestFloat, open: -largestFloat },
    { name: "activation_max", isOpen: (bound) => bound >= largestFloat, open: largestFloat },
  ],
  attributes: () => [],
  body: adder2dFunction,
};

const qlinearAdder2d: FunctionForm = {
  op: QLinearAdder2d,
  windowInputs: [0, 2],
  inputCounts: [6, 9],
  neutralInputs: [
    [
      { ...zeroCode, index: 6, perFilter: false },
      { ...ones, index: 7, perFilter: false },
      { ...zeroCode, index: 8, perFilter: false },
    ],
  ],
  bounds: [],
  attributes: (node, where) => {
    const { yMin, yMax } = codeBounds(node, where);
    return [
      ["y_min", intAttribute(yMin)],
      ["y_max", intAttribute(yMax)],
    ];
  },
  body: qlinearAdder2dFunction,
};

const adderInteger2d: FunctionForm = {
  op: AdderInteger2d,
  windowInputs: [0, 1],
  inputCounts: [3],
  neutralInputs: [],
  bounds: [],
  attributes: () => [],
  body: adderInteger2dFunction,
};

export const functionForms: readonly FunctionForm[] = [adder2d, qlinearAdder2d, adderInteger2d];

function hasInput(node: Node, index: number): boolean {
  return (node.inputs[index] ?? "") !== "";
}

/** Bounds that a node names but that clip nothing. */
export function openBounds({ bounds }: FunctionForm, node: Node): string[] {
  return bounds.flatMap(({ name, isOpen }) => {
    const bound = getFloat(node, name);
    return bound !== undefined && isOpen(bound) ? [name] : [];
  });
}

/** Writes the bounds that a node leaves out. */
export function closeBounds({ bounds }: FunctionForm, node: Node): void {
  for (const { name, isOpen, open } of bounds) {
    const bound = getFloat(node, name);
    node.attributes.set(name, floatAttribute(bound === undefined || isOpen(bound) ? open : bound));
  }
}

/** The least variant that every node fits, once open bounds are gone. */
export function variantFor({ inputCounts, bounds }: FunctionForm, nodes: readonly Node[]): FunctionVariant {
  const most = inputCounts.at(-1)!;
  const needed = Array.from({ length: most }, (_, index) => index + 1)
    .filter((count) => nodes.some((node) => hasInput(node, count - 1)))
    .at(-1);
  const inputs = inputCounts.find((count) => count >= (needed ?? 0))!;
  const clips = nodes.some((node) => bounds.some(({ name }) => node.attributes.has(name)));
  return { inputs, clips };
}
