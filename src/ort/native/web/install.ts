// Our ops inside a running onnxruntime-web: OrtCustomOp structures in its memory, our functions in its table. A session asks for them by
// an entry of its options; sessions that do not are left alone.

import { chooseLevel, loadKernels } from "../../../../custom-ops/kernels/load.ts";
import { margin } from "../../../../runtime/arena.ts";
import { dataTypes } from "../../../core/dtype.ts";
import { AdderNetError } from "../../../core/errors.ts";
import { customDomain, customOps } from "../custom-ops.ts";
import { type KernelTable, makeKernelTable, type Workplace } from "../kernels.ts";
import { apiVersion, type CustomOpMember, customOpMembers, statusFail } from "../ort-api.ts";
import { askOrt, callOrt, type OrtHost, takeStatus } from "../ort-host.ts";
import { makeRangeReader } from "../seen-range.ts";
import { findOrtApi } from "./find-api.ts";
import { makeHeap } from "./heap.ts";
import { reexportingModule, type Signature } from "./wasm-bytes.ts";
import type { SeenInstance } from "./watch.ts";
import { makeWebHost } from "./web-host.ts";

/** Our ops in one onnxruntime-web. */
export interface WebInstallation {
  readonly table: KernelTable;
  /** Values of the entry by which sessions have asked for the ops. */
  readonly asked: Set<string>;
}

interface TableEntry extends Signature {
  readonly call: (...args: number[]) => number | undefined;
}

const answering = (parameters: number, call: TableEntry["call"]): TableEntry => ({
  parameters,
  answers: true,
  call,
});

/** Puts JavaScript functions into the table; answers their entries. */
function addEntries(table: WebAssembly.Table, entries: readonly TableEntry[]): number[] {
  const module = new WebAssembly.Module(reexportingModule(entries));
  const functions = Object.fromEntries(entries.map(({ call }, index) => [`${index}`, call]));
  const { exports } = new WebAssembly.Instance(module, { f: functions });
  const first = table.grow(entries.length);
  return entries.map((_, index) => {
    table.set(first + index, exports[`${index}`]);
    return first + index;
  });
}

/** Texts that stay where they are. */
function placeTexts(host: OrtHost, allocator: number, texts: Iterable<string>): Map<string, number> {
  return new Map(
    [...new Set(texts)].map((text) => {
      const address = askOrt(host, "AllocatorAlloc", allocator, text.length + 1);
      const bytes = host.view(address, text.length + 1);
      for (let i = 0; i < text.length; i++) bytes.setUint8(i, text.charCodeAt(i));
      bytes.setUint8(text.length, 0);
      return [text, address];
    }),
  );
}

function workplaceIn(
  arena: Workplace["arena"],
  kernels: Workplace["kernels"],
  ranges: Workplace["ranges"],
): Workplace {
  let scratch = { address: 0, bytes: 0 };
  return {
    arena,
    kernels,
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

/** Members of OrtCustomOp, which are told apart by the address of their structure. */
function membersOf(
  opAt: (address: number) => number,
  names: ReadonlyMap<string, number>,
  table: KernelTable,
): Partial<Record<CustomOpMember, TableEntry>> {
  const op = (address: number) => customOps[opAt(address)]!;
  const always = (value: number) => answering(1, () => value);
  return {
    GetName: answering(1, (self) => names.get(op(self!).opType)!),
    GetExecutionProviderType: always(0),
    GetInputType: answering(2, (self, index) => dataTypes[op(self!).inputs[index!]!.type].onnx),
    GetInputTypeCount: answering(1, (self) => op(self!).inputs.length),
    GetOutputType: answering(2, (self) => dataTypes[op(self!).output].onnx),
    GetOutputTypeCount: always(1),
    KernelDestroy: { parameters: 1, answers: false, call: (kernel) => void table.destroy(kernel!) },
    GetInputCharacteristic: answering(2, (self, index) => (op(self!).inputs[index!]!.isOptional ? 1 : 0)),
    GetOutputCharacteristic: answering(2, () => 0),
    GetInputMemoryType: answering(2, () => 0),
    GetVariadicInputMinArity: always(1),
    GetVariadicInputHomogeneity: always(1),
    GetVariadicOutputMinArity: always(1),
    GetVariadicOutputHomogeneity: always(1),
    CreateKernelV2: answering(4, (self, _api, info, out) => table.create(op(self!), info! >>> 0, out! >>> 0)),
    KernelComputeV2: answering(2, (kernel, context) => table.compute(kernel!, context! >>> 0)),
    GetStartVersion: always(1),
    GetEndVersion: always(0x7fffffff),
  };
}

/** A domain with a structure for each op. */
function placeDomain(
  host: OrtHost,
  functions: WebAssembly.Table,
  allocator: number,
  table: KernelTable,
  names: ReadonlyMap<string, number>,
): number {
  const structures: number[] = [];
  const members = membersOf((address) => structures.indexOf(address >>> 0), names, table);
  const present = customOpMembers.flatMap((member) => (members[member] ? [member] : []));
  const entries = addEntries(
    functions,
    present.map((member) => members[member]!),
  );
  const domain = askOrt(host, "CreateCustomOpDomain", names.get(customDomain)!);
  const bytes = 4 * (1 + customOpMembers.length);
  for (const _ of customOps) {
    const address = askOrt(host, "AllocatorAlloc", allocator, bytes);
    structures.push(address);
    const view = host.view(address, bytes);
    view.setUint32(0, apiVersion, true);
    for (const [index, member] of customOpMembers.entries()) {
      const entry = entries[present.indexOf(member)] ?? 0;
      view.setUint32(4 * (index + 1), entry, true);
    }
  }
  for (const address of structures) callOrt(host, "CustomOpDomain_Add", domain, address);
  return domain;
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
  const kernels = await loadKernels(chooseLevel("auto"), memory);
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const attributes = customOps.flatMap((op) => Object.keys(op.attributes));
  const texts = [customDomain, ...customOps.map(({ opType }) => opType), ...attributes];
  const names = placeTexts(host, allocator, texts);
  const arena = makeHeap(host, memory);
  const ranges = await makeRangeReader(memory);
  const table = makeKernelTable(host, workplaceIn(arena, kernels, ranges), names);
  const domain = placeDomain(host, functions, allocator, table, names);
  const asked = new Set<string>();
  seen.onEntry = (options, value) => {
    asked.add(host.text(value));
    const status = host.call("AddCustomOpDomain", options, domain);
    if (status !== 0) takeStatus(host, status);
    return status === 0 ? 0 : statusFail;
  };
  return { table, asked };
}
