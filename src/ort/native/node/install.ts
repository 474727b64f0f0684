// Our ops for the libonnxruntime of a process, with kernels in a WebAssembly memory beside it: operands are copied in and out, weights are
// there from the start.

import { chooseLevel, loadKernels } from "../../../../custom-ops/kernels/load.ts";
import { type Arena, makeArena } from "../../../../runtime/arena.ts";
import { openTrack } from "../../../../runtime/race.ts";
import { placeDomain, placeNames } from "../domain.ts";
import { type KernelTable, makeKernelTable, type Workplace } from "../kernels.ts";
import type { LayerGround } from "../layer.ts";
import { makeRangeReader } from "../seen-range.ts";
import type { NodeHost } from "./node-host.ts";

export interface NodeInstallation {
  readonly table: KernelTable;
  /** Address of the OrtCustomOpDomain that sessions are given. */
  readonly domain: number;
}

const alignment = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/** A block that is made larger when it has to be; what was in it is lost then. */
function makeRoom(arena: Arena): (bytes: number) => number {
  let [address, room] = [0, 0];
  return (bytes) => {
    if (bytes <= room) return address;
    if (room > 0) arena.release(address);
    room = 0;
    address = arena.allocate(bytes);
    room = bytes;
    return address;
  };
}

function workplaceBeside(
  host: NodeHost,
  { arena, kernels, track }: LayerGround,
  ranges: Workplace["ranges"],
): Workplace {
  const [inputRoom, outputRoom] = [makeRoom(arena), makeRoom(arena)];
  let [buffer, base]: [unknown, number] = [undefined, 0];
  /** Where address 0 of the memory is in the process; growing may move it. */
  function start(): number {
    if (arena.memory.buffer !== buffer) {
      buffer = arena.memory.buffer;
      base = host.addressOf(new Uint8Array(arena.memory.buffer));
    }
    return base;
  }
  return {
    arena,
    kernels,
    track,
    ranges,
    bringIn(addresses, bytes) {
      const block = inputRoom(bytes.reduce((sum, each) => sum + aligned(each), 0));
      let end = block;
      return addresses.map((address, index) => {
        const place = end;
        end += aligned(bytes[index]!);
        if (bytes[index]! > 0) host.copy(start() + place, address, bytes[index]!);
        return place;
      });
    },
    reserve(_address, bytes, scratchBytes) {
      const block = outputRoom(aligned(bytes) + scratchBytes);
      return [block, block + aligned(bytes)];
    },
    bringOut: (from, address, bytes) => host.copy(address, start() + from, bytes),
  };
}

export async function installBeside(host: NodeHost): Promise<NodeInstallation> {
  const arena = makeArena();
  const level = chooseLevel("auto");
  const kernels = await loadKernels(level, arena.memory);
  const ranges = await makeRangeReader(arena.memory);
  const names = placeNames(host);
  const ground = { arena, kernels, track: openTrack({ arena, kernels, level }) };
  const table = makeKernelTable(host, workplaceBeside(host, ground, ranges), names);
  const domain = placeDomain(host, table, names, (callbacks) =>
    callbacks.map(({ parameters, answers, call }) => host.callback(parameters, answers, call)),
  );
  return { table, domain };
}
