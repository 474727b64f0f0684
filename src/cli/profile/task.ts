// What is to be profiled and how: plain data, so that it can travel to another machine.

import type { Dim } from "../../core/ir/model.ts";

export interface ProfileTask {
  readonly name: string;
  readonly sha256: string;
  /** Size of the file, external data included. */
  readonly bytes: number;
  readonly changed: string | null;
  readonly version: string;
  readonly threads: number | "auto";
  readonly simd: "auto" | "simd" | "scalar";
  readonly runs: number | null;
  readonly warmUpRuns: number | null;
  readonly seconds: number;
  readonly precision: number;
  readonly coolDownSeconds: number;
  readonly compare: boolean;
  readonly inputShapes: readonly (readonly [string, readonly Dim[]])[];
}

/** Tells how far it is. */
export type Tell = (phase: string, done: number, total: number) => void;
