// Our ops inside a running onnxruntime-web: OrtCustomOp structures in its memory, our functions in its table. A session asks for them by
// an entry of its options; sessions that do not are left alone.

import { chooseLevel, loadKernels } from "../../../../custom-ops/kernels/load.ts";
import { margin } from "../../../../runtime/arena.ts";
import { openTrack } from "../../../../runtime/race.ts";
import { AdderNetError } from "../../../core/errors.ts";
import { type Callback, placeDomain, placeNames } from "../domain.ts";
import { type KernelTable, makeKernelTable, type Workplace } from "../kernels.ts";
import type { LayerGround } from "../layer.ts";
import { statusFail } from "../ort-api.ts";
import { takeStatus } from "../ort-host.ts";
import { makeRangeReader } from "../seen-range.ts";
import { findOrtApi } from "./find-api.ts";
import { makeHeap } from "./heap.ts";
import { reexportingModule } from "./wasm-bytes.ts";
import type { SeenInstance } from "./watch.ts";
import { makeWebHost } from "./web-host.ts";

/** Our ops in one onnxruntime-web. */
export interface WebInstallation {
  readonly table: KernelTable;
  /** Values of the entry by which sessions have asked for the ops. */
  readonly asked: Set<string>;
}

/** Puts JavaScript functions into the table; answers their entries. */
function addEntries(table: WebAssembly.Table, entries: readonly Callback[]): number[] {
  const module = new WebAssembly.Module(reexportingModule(entries));
  const functions = Object.fromEntries(
    entries.map(({ call }, index) => [
      `${index}`,
      // Addresses above 2 GiB arrive as negative numbers.
      (...args: number[]) => call(...args.map((value) => value >>> 0)),
    ]),
  );
  const { exports } = new WebAssembly.Instance(module, { f: functions });
  const first = table.grow(entries.length);
  return entries.map((_, index) => {
    table.set(first + index, exports[`${index}`]);
    return first + index;
  });
}

function workplaceIn({ arena, kernels, track }: LayerGround, ranges: Workplace["ranges"]): Workplace {
  let scratch = { address: 0, bytes: 0 };
  return {
    arena,
    kernels,
    track,
    ranges,
    bringIn(addresses, bytes) {
      for (const [index, address] of addresses.entries()) {
        requireReadable(arena.memory, address + bytes[index]!);
      }
      return addresses;
    },
    reserve(address, _bytes, scratchBytes) {
      if (scratchBytes > scratch.bytes) {
        if (scratch.bytes > 0) arena.release(scratch.address);
        scratch = { address: 0, bytes: 0 };
        scratch = { address: arena.allocate(scratchBytes), bytes: scratchBytes };
      }
      return [address, scratch.address];
    },
    bringOut() {},
  };
}

/** Kernels read whole vectors, a little beyond their operands: the memory must not end there. */
function requireReadable(memory: WebAssembly.Memory, end: number): void {
  if (end + margin > memory.buffer.byteLength) memory.grow(1);
}

function tableIn({ exports }: WebAssembly.Instance): WebAssembly.Table {
  const tables = Object.values(exports).filter((value) => value instanceof WebAssembly.Table);
  if (tables.length === 1) return tables[0] as WebAssembly.Table;
  throw new AdderNetError("ADN_NATIVE", "onnxruntime's WebAssembly does not export its function table", {
    found: `${tables.length} tables`,
  });
}

/** Puts our ops into an onnxruntime-web. Throws ADN_NATIVE, and changes nothing, where it is not as it should be. */
export async function install(seen: SeenInstance): Promise<WebInstallation> {
  const { instance, memory } = seen;
  const functions = tableIn(instance);
  const api = findOrtApi(memory, functions);
  const host = makeWebHost(memory, functions, api);
  const level = chooseLevel("auto");
  const kernels = await loadKernels(level, memory);
  const names = placeNames(host);
  const arena = makeHeap(host, memory);
  const ranges = await makeRangeReader(memory);
  const ground = { arena, kernels, track: openTrack({ arena, kernels, level }) };
  const table = makeKernelTable(host, workplaceIn(ground, ranges), names);
  const domain = placeDomain(host, table, names, (callbacks) => addEntries(functions, callbacks));
  const asked = new Set<string>();
  seen.onEntry = (options, value) => {
    asked.add(host.text(value));
    const status = host.call("AddCustomOpDomain", options, domain);
    if (status !== 0) takeStatus(host, status);
    return status === 0 ? 0 : statusFail;
  };
  return { table, asked };
}
