// Constants in a memory: packed weights and lists for all plans of a model, tables for one.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import type { Arena } from "./arena.ts";
import type { ConstantData, ConstantSource, ConstantSources } from "./builder.ts";
import { makeLists, type TapLists } from "./lists.ts";

export interface SharedLists {
  readonly lists: TapLists;
  readonly block: number;
  users: number;
}

/** Where lists are kept, by key. */
export interface ListPlace {
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly lists: Map<string, SharedLists>;
}

/** Copies constants into the arena and answers their address. */
export function placeConstant(arena: Arena, { buffer, byteOffset, byteLength }: ConstantData): number {
  const address = arena.allocate(byteLength);
  new Uint8Array(arena.memory.buffer, address, byteLength).set(
    new Uint8Array(buffer, byteOffset, byteLength),
  );
  return address;
}

/** Places constants once per key. */
export function constantSource(arena: Arena, addresses: Map<string, number>): ConstantSource {
  return (key, make) => {
    const known = addresses.get(key);
    if (known !== undefined) return known;
    const address = placeConstant(arena, make());
    addresses.set(key, address);
    return address;
  };
}

/** Places lists once per key, and counts the plan whose keys are in `used` as a user. */
export function listSource(
  { arena, kernels, lists }: ListPlace,
  used: Set<string>,
): ConstantSources["lists"] {
  return (key, source) => {
    let known = lists.get(key);
    if (known === undefined) {
      known = { ...makeLists(source(), arena, kernels), users: 0 };
      lists.set(key, known);
    }
    if (!used.has(key)) known.users++;
    used.add(key);
    return known.lists;
  };
}

/** Releases the tables of a plan, and the lists that no other plan uses. */
export function releaseConstants(
  { arena, lists }: Pick<ListPlace, "arena" | "lists">,
  tables: Iterable<number>,
  listKeys: ReadonlySet<string>,
): void {
  for (const address of tables) arena.release(address);
  for (const key of listKeys) {
    const shared = lists.get(key)!;
    if (--shared.users > 0) continue;
    arena.release(shared.block);
    lists.delete(key);
  }
}
