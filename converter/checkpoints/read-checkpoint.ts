// Bytes of a .pth, .pt, .pickle or .safetensors file in, tensors by name out.

import { type Checkpoint, checkpointError } from "./checkpoint.ts";
import { collectTensors } from "./collect.ts";
import { makeHost } from "./pickle/host.ts";
import { type PickleResult, runPickle } from "./pickle/machine.ts";
import { opcodes } from "./pickle/opcodes.ts";
import { latin1Text } from "./pickle/values.ts";
import { isSafetensors, readSafetensors } from "./safetensors.ts";
import { type Budget, budgetFor } from "./tensor-view.ts";
import { isLegacyMagic, readTorchLegacy, readTorchLegacyNested } from "./torch-legacy.ts";
import { readTorchZip } from "./torch-zip.ts";
import { isZip } from "./zip.ts";

const begins =
  (text: string, at = 0) =>
  (head: string): boolean =>
    head.startsWith(text, at);

/** Files that are sometimes taken for checkpoints, by their first characters. */
const otherFormats: readonly (readonly [name: string, isIt: (head: string) => boolean])[] = [
  ["an HDF5 file", begins("\x89HDF")],
  ["an .npy file", begins("\x93NUMPY")],
  ["a gzip file: decompress it first", begins("\x1f\x8b")],
  ["a GGUF file", begins("GGUF")],
  ["an ONNX model", (head) => begins("\x08")(head) && (begins("\x12", 2)(head) || begins(":", 2)(head))],
  ["a PDF file", begins("%PDF")],
  ["a web page: the download failed", begins("<")],
  ["a Git LFS pointer: the file itself was not downloaded", begins("version https://git-lfs")],
  ["a tar file", begins("ustar", 257)],
];
const pickleStarts = "\x80(]}cdlt)NIJKMFGSTUVX";

function refuseOtherFormats(bytes: Uint8Array, where: string): void {
  const expected = "a file that torch.save, pickle.dump or safetensors wrote";
  if (bytes.length === 0) throw checkpointError(where, "the file is empty", { expected });
  const head = latin1Text(bytes.subarray(0, 300));
  const other = otherFormats.find(([, isIt]) => isIt(head));
  if (other !== undefined) {
    throw checkpointError(where, "this is no checkpoint", { expected, found: other[0] });
  }
  if (!pickleStarts.includes(head[0]!)) throw checkpointError(where, "this is no checkpoint", { expected });
}

/** The first pickle tells the old torch format from a plain one. */
function readPickled(bytes: Uint8Array, budget: Budget, where: string): Checkpoint {
  refuseOtherFormats(bytes, where);
  const host = makeHost({ where, budget, loadNested: readTorchLegacyNested(budget, where) });
  const { value, end }: PickleResult = runPickle(bytes, 0, opcodes, host, where);
  if (!isLegacyMagic(value)) return { format: "pickle", ...collectTensors(value, budget, where) };
  const content = readTorchLegacy(bytes, end, budget, where);
  return { format: "torch legacy", ...collectTensors(content, budget, where) };
}

/**
 * Reads a checkpoint: torch.save files of any age (state_dict, training checkpoint, whole module, DataParallel), TorchScript archives, pickled
 * dictionaries of NumPy arrays, .safetensors. Nothing in the file is evaluated; `where` names it in messages.
 * Errors: ADN_CHECKPOINT for what is damaged, hostile, or no checkpoint.
 */
export async function readCheckpoint(bytes: Uint8Array, where = "checkpoint"): Promise<Checkpoint> {
  const budget = budgetFor(bytes.length);
  if (isZip(bytes)) {
    const value = await readTorchZip(bytes, budget, where);
    return { format: "torch zip", ...collectTensors(value, budget, where) };
  }
  if (isSafetensors(bytes)) return { format: "safetensors", tensors: readSafetensors(bytes, budget, where) };
  return readPickled(bytes, budget, where);
}
