// What a case of a pass says.

import type { Pass } from "../../../converter/passes/pass.ts";

export interface PassCase {
  readonly name: string;
  /** A model in the notation of parse-model.ts. */
  readonly before: string;
  /** The nodes afterwards, or that the pass must leave the model alone. */
  readonly expect: string | "unchanged";
  readonly opset?: number;
  /** Integer constants that the pass must have made. */
  readonly constants?: Readonly<Record<string, readonly number[]>>;
}

export interface PassSuite {
  readonly pass: Pass;
  readonly cases: readonly PassCase[];
}
