// The model a profile runs: the file as it is, or converted in memory where its adder layers are still an export's.

import { createHash } from "node:crypto";
import { convert, importAdders } from "../../../converter/index.ts";
import { ops } from "../../../custom-ops/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import { cloneModel } from "../../core/ir/clone.ts";
import type { Model } from "../../core/ir/model.ts";
import { encodeModel } from "../../core/onnx/index.ts";
import type { ModelFile } from "../read-model.ts";

export interface Profiled {
  readonly file: ModelFile;
  readonly model: Model;
  /** What runs, as one file. */
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly changed: string | null;
}

/** Adder layers in a model that has none of our ops. */
function exportedLayers(model: Model): number {
  if (model.graph.nodes.some(({ domain }) => domain === "addernet")) return 0;
  try {
    return importAdders(cloneModel(model), { ops }).layers.length;
  } catch (error) {
    if (error instanceof AdderNetError) return 0;
    throw error;
  }
}

export async function prepareModel(file: ModelFile): Promise<Profiled> {
  const sha256 = createHash("sha256").update(file.bytes).digest("hex");
  const layers = exportedLayers(file.model);
  if (layers > 0) {
    const { model, bytes } = await convert(file.model, { check: false });
    return {
      file,
      model,
      bytes,
      sha256,
      changed: `converted in memory first: the file holds ${layers} adder layers as an exporter wrote them`,
    };
  }
  const isWhole = file.files.length === 1;
  const bytes = isWhole ? file.bytes : encodeModel(file.model).bytes;
  return { file, model: file.model, bytes, sha256, changed: null };
}
