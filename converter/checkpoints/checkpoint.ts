// What a checkpoint is once it is read: tensors by name and, where a whole module was saved, its tree. Plain data.

import { AdderNetError, type ErrorDetails } from "../../src/core/errors.ts";
import type { Tensor } from "../../src/core/tensor.ts";

/** "random" is a checkpoint that came from no file. */
export type CheckpointFormat = "torch zip" | "torch legacy" | "pickle" | "safetensors" | "random";

/** Attributes a module may keep: numbers, strings, truth values and lists of integers. */
export type ModuleAttribute = number | string | boolean | readonly number[];

export interface ModuleNode {
  /** "module.Class", as the pickle names it. */
  readonly className: string;
  /** Those of stride, padding, dilation, kernel_size, groups, eps and their like that the module has. */
  readonly attributes: ReadonlyMap<string, ModuleAttribute>;
  readonly children: ReadonlyMap<string, ModuleNode>;
}

export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** In the order of the file, each in its own element type and in an array of its own. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Present when a whole module was pickled. */
  readonly modules?: ModuleNode;
}

export function checkpointError(
  where: string,
  problem: string,
  details: Omit<ErrorDetails, "where"> & { cause?: unknown } = {},
): AdderNetError {
  return new AdderNetError("ADN_CHECKPOINT", problem, { where, ...details });
}

/** File content in a message: short, and without control characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
