// Chains of calls against the plain rule, which looks at all pairs; and that long steps are no work.

import { describe, expect, it } from "vitest";
import { type KernelName, kernelTable } from "../../custom-ops/kernels/table.ts";
import type { ArenaAddress, Call } from "../../runtime/builder.ts";
import type { PlannedBuffer } from "../../runtime/plan.ts";
import { chainsOf } from "../../runtime/threads/dependence.ts";
import { makeRandom } from "../kernels/rig.ts";

const kernels: readonly KernelName[] = ["f32_expand", "f32_adder_4x8", "f32_window_sums", "f32_add"];

/** Buffers of one step alone, and others of which some take the same place. */
const buffers: readonly PlannedBuffer[] = [0, 4096, 8192, 8192, 12288, 16384].map((offset, index) => ({
  ...{ label: `${index}`, bytes: 4096, offset },
  ...{ first: index < 2 ? 1 : 0, last: index < 4 ? 1 : 2 },
}));

function callsOf(seed: number, count: number, offsets: number): Call[] {
  const random = makeRandom(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const address = (): ArenaAddress => ({ buffer: below(buffers.length), bytes: 64 * below(offsets) });
  const isPointer = (param: string): boolean => /^(x|y|z|a|b|sums|scratch)$/.test(param);
  return Array.from({ length: count }, () => {
    const kernel = kernels[below(kernels.length)]!;
    const params: readonly string[] = kernelTable[kernel];
    return {
      kernel,
      args: params.map((param) => (isPointer(param) && (param === "y" || below(3) > 0) ? address() : 0)),
    };
  });
}

interface Touch {
  readonly kernel: KernelName;
  readonly place: string;
  readonly isOwn: boolean;
  readonly at: number;
}

function touchesOf({ kernel, args }: Call): { y: Touch; reads: Touch[]; isInPlace: boolean } {
  const params: readonly string[] = kernelTable[kernel];
  const touch = ({ buffer, bytes }: ArenaAddress): Touch => {
    const { first, last, offset } = buffers[buffer]!;
    const isOwn = first === last;
    return { kernel, isOwn, place: isOwn ? `buffer ${buffer}` : `place ${offset}`, at: offset + bytes };
  };
  const y = touch(args[params.indexOf("y")] as ArenaAddress);
  const operands = args.flatMap((argument, index) =>
    typeof argument === "object" && params[index] !== "y" && params[index] !== "scratch"
      ? [touch(argument)]
      : [],
  );
  const reads = operands.filter(({ at }) => at !== y.at);
  return { y, reads, isInPlace: reads.length < operands.length };
}

/** Which chain each call is in, as the number of its first call: every pair is looked at, and whoever meets is renamed. */
function chainsPlainly(calls: readonly Call[]): number[] {
  const touches = calls.map(touchesOf);
  const chain = calls.map((_, index) => index);
  const join = (a: number, b: number): void => {
    const [from, to] = [Math.max(chain[a]!, chain[b]!), Math.min(chain[a]!, chain[b]!)];
    for (const [index, name] of chain.entries()) if (name === from) chain[index] = to;
  };
  /** Nobody has written there since. */
  const isLast = (writer: number, before: number): boolean =>
    !touches
      .slice(writer + 1, before)
      .some(({ y }) => y.place === touches[writer]!.y.place && y.at === touches[writer]!.y.at);
  for (const [index, { y, reads, isInPlace }] of touches.entries()) {
    for (let other = 0; other < index; other++) {
      const { y: written, reads: read } = touches[other]!;
      const stands = isLast(other, index);
      if (stands && reads.some(({ place }) => place === written.place)) join(other, index);
      if (!y.isOwn && read.some(({ place }) => place === y.place)) join(other, index);
      if (!stands || written.place !== y.place) continue;
      const isOther = written.kernel !== y.kernel;
      if (y.isOwn ? isInPlace || isOther : written.at === y.at || isOther) join(other, index);
    }
  }
  return chain;
}

describe("chains", () => {
  it.each([
    [4, 1],
    [12, 2],
    [30, 3],
    [60, 8],
    [8, 40],
    [25, 40],
  ])("of %i calls at %i offsets are those of the plain rule", (count, offsets) => {
    for (let seed = 0; seed < 150; seed++) {
      const calls = callsOf(seed, count, offsets);
      const plain = chainsPlainly(calls);
      const chains = [...new Set(plain)].map((first) => calls.filter((_, index) => plain[index] === first));
      expect(chainsOf(calls, buffers), `seed ${seed}`).toEqual(chains);
    }
  });

  it("of layers with a hundred thousand calls take moments", () => {
    const at = (buffer: number, bytes: number): ArenaAddress => ({ buffer, bytes });
    const call = (kernel: KernelName, pointers: Readonly<Record<string, ArenaAddress>>): Call => ({
      kernel,
      args: kernelTable[kernel].map((param) => pointers[param] ?? 0),
    });
    const calls = Array.from({ length: 50_000 }, (_, image) => [
      call("f32_expand", { x: at(2, 4 * image), y: at(0, 0) }),
      call("f32_adder_4x8", { x: at(0, 0), y: at(4, 4 * image) }),
    ]);
    const start = performance.now();
    expect(chainsOf(calls.flat(), buffers)).toEqual(calls);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
