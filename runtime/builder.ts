// How a lowering writes its part of a plan: calls of kernels on arena buffers, constants and tables.

import type { KernelName, ParamOf } from "../custom-ops/kernels/table.ts";
import { kernelTable } from "../custom-ops/kernels/table.ts";
import type { DataType } from "../src/core/dtype.ts";
import { elementCount } from "../src/core/tensor.ts";
import type { BoundNode, BoundValue } from "./bind.ts";
import type { ListSource, TapLists } from "./lists.ts";

/** A place in the arena: its offset is known once the whole plan is. */
export interface ArenaAddress {
  readonly buffer: number;
  readonly bytes: number;
}

/** A number is a count, a stride or the absolute address of a constant. */
export type Argument = number | ArenaAddress;

export interface Call {
  readonly kernel: KernelName;
  readonly args: readonly Argument[];
  /** Taps of one output element on average, where they lie in lists. */
  readonly liveTaps?: number;
  /** Bytes by which each argument advances from image to image, in a call that is made for several. */
  readonly strides?: readonly number[];
}

/** Calls one after the other, all of them for each of so many images in turn. */
export interface CallGroup {
  readonly calls: readonly Call[];
  readonly images: number;
}

export interface Step {
  readonly where: string;
  readonly opType: string;
  readonly fused: readonly string[];
  /** Why these kernels; empty where there was no choice. */
  readonly why: string;
  /** Share of a layer's taps that its kernel goes through; all of them unless given. */
  readonly live?: number;
  readonly groups: readonly CallGroup[];
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** An output that may take the place of an input that ends here. */
  readonly replaces: readonly { readonly output: number; readonly input: number }[];
}

export interface BufferNeed {
  readonly bytes: number;
  /** Name of the value, or "scratch". */
  readonly label: string;
}

export interface Draft {
  readonly steps: Step[];
  readonly buffers: BufferNeed[];
  /** Buffer of every value in the arena; views share one. */
  readonly bufferOf: Map<string, number>;
}

export type ConstantData = Float32Array | Uint32Array | Uint8Array;

/** Makes a block of constants once per key and answers its absolute address. */
export type ConstantSource = (key: string, make: () => ConstantData) => number;

export interface ConstantSources {
  /** Constants of the model: one copy for all plans. */
  readonly weights: ConstantSource;
  /** Constants of one plan. */
  readonly table: ConstantSource;
  /** Lists of taps: one copy for all plans with a key, as long as there are any. */
  readonly lists: (key: string, source: () => ListSource) => TapLists;
}

/** Ways to compute a node, by name. */
export type Variants = Readonly<Record<string, (build: PlanBuilder) => void>>;

/** The fastest variant, and what every one took. */
export interface Race {
  readonly winner: string;
  readonly milliseconds: Readonly<Record<string, number>>;
}

/** Races variants of a node; layers alike, of which `key` is the same, race once. */
export type RaceTrack = (key: string, bound: BoundNode, variants: Variants, ranges: ValueRanges) => Race;

/** What is proven of values. */
export interface ValueRanges {
  /** Whether every element is known to be >= 0 (or NaN). */
  readonly isNotNegative: (value: BoundValue) => boolean;
  /** The largest code a value can have. */
  readonly mostCode: (value: BoundValue) => number;
}

export interface PlanBuilder extends ValueRanges {
  /** Constants that belong to this plan alone. */
  readonly table: ConstantSource;
  /** What is made of constants: one copy for all plans where they are fixed. `kind` says what is made of them. */
  packed(from: readonly BoundValue[], kind: string, make: () => ConstantData): number;
  /** Lists made of constant weights; `kind` says how. */
  lists(weights: BoundValue, kind: string, source: () => ListSource): TapLists;
  /** Where a value is: an input of the node. */
  read(value: BoundValue): Argument;
  /** Room for an output; it may take the place of `mayReplace` when that is not needed any more. */
  output(value: BoundValue, mayReplace?: BoundValue): ArenaAddress;
  /** Makes an output another name for an input with as many elements. */
  alias(output: BoundValue, input: BoundValue): void;
  scratch(bytes: number): ArenaAddress;
  call<K extends KernelName>(
    kernel: K,
    args: Readonly<Record<ParamOf<K>, Argument>>,
    liveTaps?: number,
  ): void;
  /**
   * The calls that `emit` makes for an image, for `count` images one after the other. Those for image i are those for image 0 with
   * addresses i times as far on as for image 1; `emit` may be asked for these two alone.
   */
  forImages(count: number, emit: (image: number) => void): void;
  /** Which of several variants is the fastest; undefined where plans are not to depend on that. */
  race(key: string, variants: Variants): Race | undefined;
  /** Tells the share of a layer's taps that its kernel goes through. */
  live(share: number): void;
  /** Adds a reason for these kernels. */
  explain(why: string): void;
}

/** A step's calls, for the first image where they are made for several. */
export function callsOf({ groups }: Step): Call[] {
  return groups.flatMap(({ calls }) => calls);
}

export function shifted(address: Argument, bytes: number): Argument {
  if (typeof address === "number") return address + bytes;
  return { buffer: address.buffer, bytes: address.bytes + bytes };
}

/** Bytes of `dims` floats. */
export function byteLength(dims: readonly number[]): number {
  return elementCount(dims) * 4;
}

/** Bytes of one element in the arena; types that are only passed through take no more than that. */
export function elementBytes(type: DataType): 1 | 4 {
  return type === "uint8" ? 1 : 4;
}

export function bytesOf({ type, dims }: Pick<BoundValue, "type" | "dims">): number {
  return elementCount(dims) * elementBytes(type);
}

/** Up to so many images a step's calls are told apart: threads can divide each of them. */
const mostListed = 32;

const bytesIn = (argument: Argument): number => (typeof argument === "number" ? argument : argument.bytes);

/** Infinite numbers are no addresses, and have no distance. */
function withStrides(call: Call, next: Call): Call {
  const strides = call.args.map((argument, index) => {
    const [from, to] = [bytesIn(argument), bytesIn(next.args[index]!)];
    return from === to ? 0 : to - from;
  });
  return { ...call, strides };
}

/** Collects calls in groups. */
function makeGroups() {
  const groups: CallGroup[] = [];
  let calls: Call[] = [];
  function close(images: number, all: readonly Call[] = calls): void {
    if (all.length > 0) groups.push({ calls: all, images });
    calls = [];
  }
  function forImages(count: number, emit: (image: number) => void): void {
    const isListed = count <= mostListed;
    for (let image = 0; isListed && image < count; image++) emit(image);
    if (isListed) return;
    close(1);
    emit(0);
    const half = calls.length;
    emit(1);
    close(
      count,
      calls.slice(0, half).map((call, index) => withStrides(call, calls[half + index]!)),
    );
  }
  return { groups, close, forImages, add: (call: Call): void => void calls.push(call) };
}

/** Runs `lower` for one node and adds what it emits to the draft. A node that only renames adds no step. */
export function draftNode(
  bound: BoundNode,
  draft: Draft,
  { weights, table, lists }: ConstantSources,
  ranges: ValueRanges,
  lower: (bound: BoundNode, build: PlanBuilder) => void,
  track?: RaceTrack,
): void {
  const { groups, close, forImages, add } = makeGroups();
  const reads: number[] = [];
  const writes: number[] = [];
  const replaces: { output: number; input: number }[] = [];
  let why = "";
  let live: number | undefined;
  const newBuffer = (bytes: number, label: string): number => draft.buffers.push({ bytes, label }) - 1;
  const packed: PlanBuilder["packed"] = (from, kind, make) => {
    const source = from.every(({ isFixed }) => isFixed) ? weights : table;
    return source(`${kind} ${from.map(({ name }) => name).join(" ")}`, make);
  };
  const built: PlanBuilder = {
    ...ranges,
    table,
    packed,
    lists: ({ name, isFixed }, kind, source) =>
      lists(
        isFixed ? `${kind} of ${name}` : `${kind} of ${name} for ${bound.outputs[0]!.dims.join("x")}`,
        source,
      ),
    read(value) {
      if (value.constant) return packed([value], "raw", () => value.constant!.data as ConstantData);
      const buffer = draft.bufferOf.get(value.name)!;
      reads.push(buffer);
      return { buffer, bytes: 0 };
    },
    output(value, mayReplace) {
      const buffer = newBuffer(bytesOf(value), value.name);
      draft.bufferOf.set(value.name, buffer);
      writes.push(buffer);
      const input = mayReplace && !mayReplace.constant ? draft.bufferOf.get(mayReplace.name) : undefined;
      if (input !== undefined) replaces.push({ output: buffer, input });
      return { buffer, bytes: 0 };
    },
    alias(output, input) {
      draft.bufferOf.set(output.name, draft.bufferOf.get(input.name)!);
    },
    scratch(bytes) {
      const buffer = newBuffer(bytes, "scratch");
      writes.push(buffer);
      return { buffer, bytes: 0 };
    },
    call(kernel, args, liveTaps) {
      const byName = args as Readonly<Record<string, Argument>>;
      const inOrder = kernelTable[kernel].map((param) => byName[param]!);
      add({ kernel, args: inOrder, ...(liveTaps !== undefined && { liveTaps }) });
    },
    forImages,
    race: (key, variants) => track?.(key, bound, variants, ranges),
    live(share) {
      live = share;
    },
    explain(text) {
      why = [why, text].filter(Boolean).join("; ");
    },
  };
  lower(bound, built);
  close(1);
  if (groups.length === 0) return;
  const { where, node, fused = [] } = bound;
  draft.steps.push({
    where,
    opType: node.opType,
    fused,
    why,
    ...(live !== undefined && { live }),
    groups,
    reads,
    writes,
    replaces,
  });
}
