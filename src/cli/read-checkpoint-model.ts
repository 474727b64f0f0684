// A model from a checkpoint on disk, by the name of its architecture.

import {
  type BuildOptions,
  buildModel,
  guessArchitectures,
  listArchitectures,
  readCheckpoint,
} from "../../converter/index.ts";
import { AdderNetError } from "../core/errors.ts";
import { type ModelFile, readWholeFile } from "./read-model.ts";

export interface CheckpointFlags extends Pick<BuildOptions, "classes" | "inputShape"> {
  readonly arch?: string | undefined;
  readonly layers?: "from-checkpoint" | "adder" | "conv";
}

/** Files that hold weights and no graph. */
export function isCheckpointPath(path: string): boolean {
  return /\.(pth|pt|ckpt|bin|pkl|pickle|safetensors)$/i.test(path);
}

function archMissing(path: string, fitting: readonly string[]): Error {
  const [only] = fitting;
  return new AdderNetError("ADN_USAGE", "a checkpoint holds weights without a network: --arch is missing", {
    where: path,
    expected: listArchitectures().join(", "),
    ...(only && { fix: `it fits ${fitting.join(", ")}: add --arch ${only}` }),
  });
}

/** Reads a checkpoint and builds its model. Errors: ADN_FILE, ADN_CHECKPOINT, and ADN_USAGE where the architecture is missing or unknown. */
export async function readCheckpointModel(
  path: string,
  { arch, ...options }: CheckpointFlags,
): Promise<ModelFile> {
  const bytes = readWholeFile(path);
  const checkpoint = await readCheckpoint(bytes, path);
  if (arch === undefined) throw archMissing(path, guessArchitectures(checkpoint, options));
  const model = buildModel(arch, checkpoint, { ...options, where: path });
  return { path, bytes, model, totalBytes: bytes.length, files: [path] };
}
