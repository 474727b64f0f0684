// torch.save since 1.6, and TorchScript: a zip archive with one pickle, <root>/data.pkl, and one file of raw bytes per storage, <root>/data/<key>.

import { checkpointError, quote } from "./checkpoint.ts";
import { torchStorages } from "./element-types.ts";
import { makeHost } from "./pickle/host.ts";
import type { StorageId } from "./pickle/known-globals.ts";
import { runPickle } from "./pickle/machine.ts";
import { opcodes } from "./pickle/opcodes.ts";
import type { PickleValue } from "./pickle/values.ts";
import { type Budget, partOf, type Storage } from "./tensor-view.ts";
import { readTorchLegacyNested } from "./torch-legacy.ts";
import { openZip, readMember, type ZipArchive } from "./zip.ts";

/** The folder that all members share. */
function rootOf({ members, where }: ZipArchive): string {
  const pickles = [...members.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length === 1) return pickles[0]!.slice(0, -"data.pkl".length);
  const found = [...members.keys()].slice(0, 3).map(quote).join(", ");
  throw checkpointError(where, "this zip archive is no PyTorch checkpoint", {
    expected: "one member <name>/data.pkl",
    found: pickles.length > 1 ? `${pickles.length} of them` : found || "an empty archive",
  });
}

async function requireLittleEndian(archive: ZipArchive, root: string): Promise<void> {
  const member = archive.members.get(`${root}byteorder`);
  if (member === undefined || member.size > 16) return;
  const order = new TextDecoder().decode(await readMember(archive, member)).trim();
  if (order === "little") return;
  throw checkpointError(archive.where, "the checkpoint was saved on a big-endian machine", {
    expected: "byte order little",
    found: quote(order),
    fix: "load and save it again on a common machine",
  });
}

/** Every storage, read and checked once; deflated ones are inflated. */
async function readStorages(archive: ZipArchive, root: string): Promise<Map<string, Uint8Array>> {
  const folder = `${root}data/`;
  const storages = new Map<string, Uint8Array>();
  for (const [name, member] of archive.members) {
    if (name.startsWith(folder) && name.length > folder.length) {
      storages.set(name.slice(folder.length), await readMember(archive, member));
    }
  }
  return storages;
}

/** A storage by its id. One storage may be asked for under several element counts: each tensor is checked against its own. */
function storageOf(id: StorageId, stored: ReadonlyMap<string, Uint8Array>, where: string): Storage {
  const bytes = stored.get(id.key);
  const element = torchStorages.get(id.typeName);
  if (bytes === undefined) throw checkpointError(where, `storage ${quote(id.key)} is not in the archive`);
  if (element === undefined)
    throw checkpointError(where, `storages of type ${quote(id.typeName)} are not read`);
  const { key, typeName, count, part } = id;
  return partOf({ key, typeName, ...element, count, startBytes: 0, source: { bytes } }, part, where);
}

export async function readTorchZip(bytes: Uint8Array, budget: Budget, where: string): Promise<PickleValue> {
  const archive = openZip(bytes, where);
  const root = rootOf(archive);
  await requireLittleEndian(archive, root);
  const pickle = await readMember(archive, archive.members.get(`${root}data.pkl`)!);
  const stored = await readStorages(archive, root);
  const host = makeHost({
    where,
    budget,
    loadStorage: (id) => storageOf(id, stored, where),
    loadNested: readTorchLegacyNested(budget, where),
  });
  return runPickle(pickle, 0, opcodes, host, where).value;
}
