// A model from disk: its bytes, decoded, with the external data of its folder.

import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { AdderNetError } from "../core/errors.ts";
import type { Model } from "../core/ir/model.ts";
import { decodeModel } from "../core/onnx/index.ts";

export interface ModelFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: Model;
  /** Size on disk, external data included. */
  readonly totalBytes: number;
  /** Every file read, the model's first. */
  readonly files: readonly string[];
}

const aCheckpoint = {
  problem: "this is a checkpoint: it holds weights without a network",
  fix: "make a model of it first: addernet convert FILE --arch NAME -o net.onnx",
};
const otherModel = (name: string) => ({
  problem: `${name} are not read`,
  fix: "export the network with torch.onnx.export first",
});

const otherFormats: Readonly<Record<string, { readonly problem: string; readonly fix: string }>> = {
  ".pth": aCheckpoint,
  ".pt": aCheckpoint,
  ".ckpt": aCheckpoint,
  ".bin": aCheckpoint,
  ".pkl": aCheckpoint,
  ".pickle": aCheckpoint,
  ".safetensors": aCheckpoint,
  ".h5": otherModel("Keras files"),
  ".tflite": otherModel("TensorFlow Lite models"),
  ".ort": otherModel("onnxruntime's .ort files"),
};

function refuseOtherFormats(path: string): void {
  const extension = /\.[^./\\]+$/.exec(path)?.[0].toLowerCase() ?? "";
  const other = otherFormats[extension];
  if (other === undefined) return;
  throw new AdderNetError("ADN_FILE", other.problem, {
    where: path,
    expected: "an .onnx file, with its external data beside it",
    fix: other.fix,
  });
}

/** A file's content. Errors: ADN_FILE for what is missing, no file, or larger than a buffer can be. */
export function readWholeFile(path: string): Uint8Array {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new AdderNetError("ADN_FILE", "there is no such file", { where: path });
  if (stat.isDirectory()) throw new AdderNetError("ADN_FILE", "it is a folder", { where: path });
  return readFileSync(path);
}

/** Links may not lead out of the model's folder. */
function externalPath(modelPath: string, location: string): string | undefined {
  const folder = realpathSync(dirname(resolve(modelPath)));
  const wanted = join(folder, location);
  if (!statSync(wanted, { throwIfNoEntry: false })?.isFile()) return undefined;
  const real = realpathSync(wanted);
  if (real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return real;
  throw new AdderNetError("ADN_EXTERNAL_DATA", "the external data is a link that leaves the model's folder", {
    where: modelPath,
    found: location,
    fix: "put the file itself beside the model",
  });
}

/** Reads and decodes an .onnx file. Errors: ADN_FILE and those of `decodeModel`. */
export function readModel(path: string): ModelFile {
  const files = [path];
  refuseOtherFormats(path);
  const bytes = readWholeFile(path);
  let totalBytes = bytes.length;
  const externalData = (location: string): Uint8Array | undefined => {
    const file = externalPath(path, location);
    if (file === undefined) return undefined;
    files.push(file);
    const data = readFileSync(file);
    totalBytes += data.length;
    return data;
  };
  const model = decodeModel(bytes, { where: path, externalData });
  return { path, bytes, model, totalBytes, files };
}
