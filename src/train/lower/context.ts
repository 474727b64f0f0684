// What the lowering of a layer gets: where values, gradients and parameters lie, and the program it adds to.

import type { Layer, Network, Shape } from "../network.ts";
import type { Blocks, Slices, Space } from "./layout.ts";
import type { ProgramDraft } from "./program.ts";

/** How gradients of adder layers are taken; AdderNet's own is "full" and "clamp", the true subgradient "sign". */
export interface AdderGradients {
  readonly weight: "full" | "sign";
  readonly input: "clamp" | "sign";
}

export type Mode = "training" | "inference";

export interface Places {
  readonly network: Network;
  readonly slices: Slices;
  readonly space: Space;
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly gradients: AdderGradients;
  /** The block of a value; values that are computed in place share theirs. */
  readonly value: (name: string) => Blocks;
  readonly parameter: (name: string) => number;
  /** Of the whole batch. */
  readonly gradientOf: (parameter: string) => number;
  /** Of each slice, added up at the end; for weights, biases and slopes. */
  readonly sliceGradient: (parameter: string) => Blocks;
  /** Memory of a layer's own, the same whenever it is asked for by the same name. */
  readonly own: (layer: Layer, name: string, bytes: number) => Blocks;
  /** Room for the columns of any layer, and for their gradient: what lies there is used between two calls only. */
  readonly scratch: (name: "columns" | "gradient") => Blocks;
  /** Epsilon and momentum of a layer, or a grid: numbers that kernels read. */
  readonly constants: (layer: Layer, type: "float64" | "float32", numbers: readonly number[]) => number;
}

/** Gradients of values while the backward program is being written. */
export interface ValueGradients {
  /** Where the gradient of a layer's output lies. */
  readonly of: (value: string) => Blocks;
  /** False where nobody asks for the gradient of a value: the network's input. */
  readonly isWanted: (value: string) => boolean;
  /**
   * Where a layer's share of the gradient of its input goes: a block that is overwritten. Afterwards `give` adds it where another
   * reader's share is there already. `inPlace`: the share may overwrite this gradient, which nobody reads afterwards.
   */
  readonly take: (value: string, inPlace?: string) => Blocks;
  readonly give: (value: string, share: Blocks) => void;
  /** A block whose contents are shares added by the kernel itself, cleared when it is the first. */
  readonly takeSum: (value: string) => Blocks;
}

export interface Lowering<L extends Layer> {
  readonly forward: (layer: L, places: Places, program: ProgramDraft, mode: Mode) => void;
  readonly backward: (layer: L, places: Places, program: ProgramDraft, gradients: ValueGradients) => void;
}
