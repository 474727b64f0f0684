// What a lowering is: how nodes of one op become kernel calls. The table of them is in lowerings.ts.

import type { DataType } from "../src/core/dtype.ts";
import type { Node } from "../src/core/ir/model.ts";
import type { OpContext, ValueFact } from "../src/core/ops/define-op.ts";
import type { Tensor } from "../src/core/tensor.ts";
import type { BoundNode } from "./bind.ts";
import type { PlanBuilder } from "./builder.ts";

export type Facts = readonly (ValueFact | undefined)[];

export interface Lowering {
  /** Inputs that must be known when the plan is made: they are parameters, not data. */
  readonly parameters?: readonly number[];
  /** Element types of the data; float32 unless given. */
  readonly types?: readonly DataType[];
  /** Why a node cannot run here, as far as its attributes and what is known of its inputs tell. */
  readonly refuses?: (node: Node, inputs: Facts, context: OpContext) => string | undefined;
  readonly lower: (bound: BoundNode, build: PlanBuilder) => void;
  /** Whether every output is >= 0 wherever the inputs named by `isNotNegative` are. Not, unless given. */
  readonly keepsNotNegative?: (bound: BoundNode, isNotNegative: (input: number) => boolean) => boolean;
  /** The largest code among outputs of codes, given those of the inputs. 255 unless given. */
  readonly mostCode?: (bound: BoundNode, mostCode: (input: number) => number) => number;
}

/** Types that move as 4-byte words. */
export const wordTypes: readonly DataType[] = ["float32", "int32"];
/** Types that kernels compute with. */
export const heldTypes: readonly DataType[] = [...wordTypes, "uint8"];

/** Elements of a float constant as they are stored. */
export function floatsOf(tensor: Tensor): Float32Array {
  return tensor.data as Float32Array;
}
