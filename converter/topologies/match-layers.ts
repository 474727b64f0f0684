// Which layer of a checkpoint stands for which layer of a topology: by name, or where the names are others, by order.

import type { Layer } from "./layers.ts";
import type { Slot } from "./topology.ts";

/** The checkpoint's layer for each of the topology's names; absent where there is none. */
export type Binding = ReadonlyMap<string, Layer>;

/** Names that forks use, and the reference's. */
const aliases: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/(^|\.)adder(?=\d)/g, "$1conv"],
  [/(^|\.)shortcut(?=\.|$)/g, "$1downsample"],
  [/\.block(?=\d+\.)/g, "."],
  [/^(linear|classifier(\.\d+)?)$/, "fc"],
];

function referenceName(path: string): string {
  return aliases.reduce((name, [pattern, replacement]) => name.replace(pattern, replacement), path);
}

function bindByName(slots: readonly Slot[], layers: ReadonlyMap<string, Layer>): Binding {
  const renamed = new Map([...layers].map(([path, layer]) => [referenceName(path), layer]));
  const binding = new Map<string, Layer>();
  for (const { name, kind } of slots) {
    const layer = layers.get(name) ?? renamed.get(referenceName(name));
    if (layer?.kind === kind) binding.set(name, layer);
  }
  return binding;
}

/** What a checkpoint may hold of a topology's layers. */
const extents: readonly (readonly Slot["presence"][])[] = [
  ["always", "usual"],
  ["always"],
  ["always", "usual", "rare"],
  ["always", "rare"],
];

/** False for parts of one nn.Sequential with something between them, such as a pool: then the order is not the topology's. */
function mayFollow(filterPath: string, normPath: string): boolean {
  const [filter, norm] = [filterPath, normPath].map((path) => /^(.*?)(\d+)$/.exec(path));
  if (!filter || !norm || filter[1] !== norm[1]) return true;
  return !/(^|\.)$/.test(filter[1]!) || Number(norm[2]) === Number(filter[2]) + 1;
}

/** Every normalisation stands directly behind its filters, as far as the names tell. */
function isInOrder(slots: readonly Slot[], binding: Binding): boolean {
  return slots.every(({ name, kind }, index) => {
    const [previous, own] = [binding.get(slots[index - 1]?.name ?? ""), binding.get(name)];
    return kind !== "norm" || !previous || !own || mayFollow(previous.path, own.path);
  });
}

/** The n-th layer of a kind for the n-th slot of that kind; a kind that is wholly absent stays so, other counts must agree. */
function bindByOrder(slots: readonly Slot[], layers: readonly Layer[]): Binding | undefined {
  const binding = new Map<string, Layer>();
  for (const kind of ["filter", "norm", "slope"] as const) {
    const found = layers.filter((layer) => layer.kind === kind);
    const wanted = slots.filter((slot) => slot.kind === kind);
    if (found.length !== wanted.length && (kind === "filter" || found.length > 0)) return undefined;
    found.forEach((layer, index) => {
      binding.set(wanted[index]!.name, layer);
    });
  }
  return isInOrder(slots, binding) ? binding : undefined;
}

/** The ways to read a checkpoint as the topology, the best first. */
export function bindings(slots: readonly Slot[], layers: ReadonlyMap<string, Layer>): Binding[] {
  const byOrder = extents.map((extent) => {
    const present = slots.filter(({ presence }) => extent.includes(presence));
    return bindByOrder(present, [...layers.values()]);
  });
  return [bindByName(slots, layers), ...byOrder.filter((binding) => binding !== undefined)];
}
