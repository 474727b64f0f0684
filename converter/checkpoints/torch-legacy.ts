// torch.save before 1.6: five pickles in a row (magic number, protocol version, system, object, keys), then every storage as a count and its bytes.

import { checkpointError, quote } from "./checkpoint.ts";
import { torchStorages } from "./element-types.ts";
import { makeHost } from "./pickle/host.ts";
import type { HostOptions, StorageId } from "./pickle/known-globals.ts";
import { countSteps, type PickleHost, runPickle, type StepCounter } from "./pickle/machine.ts";
import { opcodes } from "./pickle/opcodes.ts";
import { isKind, type PickleValue } from "./pickle/values.ts";
import { type Budget, partOf, type Storage } from "./tensor-view.ts";

const magic = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/** Storages that the pickle has asked for, by key; their bytes follow it. */
type LegacyStorages = Map<string, Storage>;

function requestStorage(id: StorageId, storages: LegacyStorages, where: string): Storage {
  const { key, typeName, count, part } = id;
  const element = torchStorages.get(typeName);
  if (element === undefined) throw checkpointError(where, `storages of type ${quote(typeName)} are not read`);
  const storage = storages.get(key) ?? { key, typeName, ...element, count, startBytes: 0, source: {} };
  if (storage.typeName !== typeName)
    throw checkpointError(where, `storage ${quote(key)} has two element types`);
  storages.set(key, storage);
  return partOf(storage, part, where);
}

function keysOf(value: PickleValue, where: string): string[] {
  if (
    isKind(value, "list") &&
    value.items.every((key) => typeof key === "string" || typeof key === "number")
  ) {
    return value.items.map(String);
  }
  throw checkpointError(where, "the list of storages is damaged");
}

/** The bytes behind the pickles, storage by storage in the order of the keys. */
function readStorages(
  bytes: Uint8Array,
  start: number,
  keys: readonly string[],
  storages: LegacyStorages,
  where: string,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined)
      throw checkpointError(where, `storage ${quote(key)} is in the file but in no tensor`);
    const left = bytes.length - at - 8;
    const count = left < 0 ? 0 : Number(view.getBigInt64(at, true));
    const length = count * storage.bytesPerElement;
    if (left < 0 || count < 0 || length > left) {
      throw checkpointError(where, `storage ${quote(key)} is cut off`, {
        expected: `${storage.count * storage.bytesPerElement} bytes`,
        found: `${Math.max(left, 0)}`,
        fix: "copy or download the file again",
      });
    }
    storage.source.bytes = bytes.subarray(at + 8, at + 8 + length);
    at += 8 + length;
  }
}

function requireLittleEndian(system: PickleValue, where: string): void {
  const isLittle = isKind(system, "dict") ? system.entries.get("little_endian") : true;
  if (isLittle !== false) return;
  throw checkpointError(where, "the checkpoint was saved on a big-endian machine", {
    fix: "load and save it again on a common machine",
  });
}

/** True for the value of the first pickle of such a file. */
export const isLegacyMagic = (value: PickleValue): boolean => value === magic;

function readPickles(bytes: Uint8Array, start: number, options: HostOptions, steps: StepCounter) {
  const { where } = options;
  const storages: LegacyStorages = new Map();
  const host: PickleHost = makeHost(
    { ...options, loadStorage: (id) => requestStorage(id, storages, where) },
    steps,
  );
  let at = start;
  const [version, system, value, keys] = Array.from({ length: 4 }, () => {
    const result = runPickle(bytes, at, opcodes, host, where);
    at = result.end;
    return result.value;
  });
  if (version !== protocolVersion) {
    throw checkpointError(where, "unknown version of the old checkpoint format", {
      expected: `${protocolVersion}`,
      found: String(version),
    });
  }
  requireLittleEndian(system!, where);
  readStorages(bytes, at, keysOf(keys!, where), storages, where);
  return value!;
}

/** What follows the magic number, which ended at `start`. Errors: ADN_CHECKPOINT. */
export function readTorchLegacy(
  bytes: Uint8Array,
  start: number,
  budget: Budget,
  where: string,
): PickleValue {
  const options = { where, budget, loadNested: readTorchLegacyNested(budget, where) };
  return readPickles(bytes, start, options, countSteps());
}

/** Reads the files that `pickle.dumps` puts inside a pickle, one for each tensor. They hold no further ones. */
export function readTorchLegacyNested(budget: Budget, where: string): NonNullable<HostOptions["loadNested"]> {
  return (bytes, steps) => {
    const options = { where, budget };
    const first = runPickle(bytes, 0, opcodes, makeHost(options, steps), where);
    if (!isLegacyMagic(first.value))
      throw checkpointError(where, "a tensor inside the pickle is of an unknown format");
    return readPickles(bytes, first.end, options, steps);
  };
}
