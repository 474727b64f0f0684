// Our ops as onnxruntime wants them: one OrtCustomOp structure each, in a domain.

import { dataTypes } from "../../core/dtype.ts";
import { customDomain, customOps } from "./custom-ops.ts";
import type { KernelTable } from "./kernels.ts";
import type { AttributeNames } from "./node-info.ts";
import { apiVersion, type CustomOpMember, customOpMembers } from "./ort-api.ts";
import { askOrt, callOrt, type OrtHost, writePointer } from "./ort-host.ts";

/** A function that onnxruntime calls: what it takes are words, what it answers is one. */
export interface Callback {
  readonly parameters: number;
  readonly answers: boolean;
  readonly call: (...args: number[]) => number | undefined;
}

const answering = (parameters: number, call: Callback["call"]): Callback => ({
  parameters,
  answers: true,
  call,
});

/** The members of OrtCustomOp that are there. Structures are told apart by their addresses. */
function membersOf(
  opAt: (address: number) => number,
  names: ReadonlyMap<string, number>,
  table: KernelTable,
): Partial<Record<CustomOpMember, Callback>> {
  const op = (address: number | undefined) => customOps[opAt(address!)]!;
  const always = (value: number) => answering(1, () => value);
  return {
    GetName: answering(1, (self) => names.get(op(self).opType)!),
    // None: the CPU's.
    GetExecutionProviderType: always(0),
    GetInputType: answering(2, (self, index) => dataTypes[op(self).inputs[index!]!.type].onnx),
    GetInputTypeCount: answering(1, (self) => op(self).inputs.length),
    GetOutputType: answering(2, (self) => dataTypes[op(self).output].onnx),
    GetOutputTypeCount: always(1),
    KernelDestroy: { parameters: 1, answers: false, call: (kernel) => void table.destroy(kernel!) },
    GetInputCharacteristic: answering(2, (self, index) => (op(self).inputs[index!]!.isOptional ? 1 : 0)),
    GetOutputCharacteristic: answering(2, () => 0),
    GetInputMemoryType: answering(2, () => 0),
    GetVariadicInputMinArity: always(1),
    GetVariadicInputHomogeneity: always(1),
    GetVariadicOutputMinArity: always(1),
    GetVariadicOutputHomogeneity: always(1),
    CreateKernelV2: answering(4, (self, _api, info, out) => table.create(op(self), info!, out!)),
    KernelComputeV2: answering(2, (kernel, context) => table.compute(kernel!, context!)),
    GetStartVersion: always(1),
    GetEndVersion: always(0x7fffffff),
  };
}

/** Texts that stay where they are: names of the domain, the ops and their attributes. */
export function placeNames(host: OrtHost): AttributeNames {
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const attributes = customOps.flatMap((op) => Object.keys(op.attributes));
  const texts = new Set([customDomain, ...customOps.map(({ opType }) => opType), ...attributes]);
  return new Map(
    [...texts].map((text) => {
      const address = askOrt(host, "AllocatorAlloc", allocator, text.length + 1);
      const bytes = host.view(address, text.length + 1);
      for (let i = 0; i < text.length; i++) bytes.setUint8(i, text.charCodeAt(i));
      bytes.setUint8(text.length, 0);
      return [text, address];
    }),
  );
}

/** A domain with all ops; `addressesOf` makes functions that onnxruntime can call. Answers the domain's address. */
export function placeDomain(
  host: OrtHost,
  table: KernelTable,
  names: AttributeNames,
  addressesOf: (callbacks: readonly Callback[]) => readonly number[],
): number {
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const structures: number[] = [];
  const members = membersOf((address) => structures.indexOf(address), names, table);
  const present = customOpMembers.filter((member) => members[member] !== undefined);
  const addresses = addressesOf(present.map((member) => members[member]!));
  const bytes = host.pointerBytes * (1 + customOpMembers.length);
  for (const _ of customOps) {
    const address = askOrt(host, "AllocatorAlloc", allocator, bytes);
    structures.push(address);
    // The version is a 32-bit word in the place of a pointer.
    writePointer(host, address, apiVersion);
    for (const [index, member] of customOpMembers.entries()) {
      const value = addresses[present.indexOf(member)] ?? 0;
      writePointer(host, address + host.pointerBytes * (index + 1), value);
    }
  }
  const domain = askOrt(host, "CreateCustomOpDomain", names.get(customDomain)!);
  for (const address of structures) callOrt(host, "CustomOpDomain_Add", domain, address);
  return domain;
}
