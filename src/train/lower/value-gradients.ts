// Where gradients of values lie while the backward program is written, last layer first. A block is free again once the layer that made
// the value is done; blocks of the same shape are used again, so that their filling stays zero.

import { AdderNetError } from "../../core/errors.ts";
import type { Network, Shape } from "../network.ts";
import type { ValueGradients } from "./context.ts";
import { type Blocks, blockAt, rowBytes, type Slices, type Space, takeValue } from "./layout.ts";
import type { ProgramDraft } from "./program.ts";
import { readersOf } from "./values.ts";

export interface GradientDraft extends ValueGradients {
  /** The layer that makes `value` is done. */
  readonly finish: (value: string) => void;
}

export function draftGradients(
  network: Network,
  shapes: ReadonlyMap<string, Shape>,
  slices: Slices,
  space: Space,
  program: ProgramDraft,
): GradientDraft {
  const held = new Map<string, Blocks>();
  const free = new Map<string, Blocks[]>();
  const readers = readersOf(network);
  const key = (value: string): string => shapes.get(value)!.join();
  const takeBlock = (value: string): Blocks =>
    free.get(key(value))?.pop() ?? takeValue(space, shapes.get(value)!, slices);
  const release = (value: string, blocks: Blocks): void => {
    free.set(key(value), [...(free.get(key(value)) ?? []), blocks]);
  };
  const isHeld = (blocks: Blocks): boolean =>
    [...held.values()].some(({ address }) => address === blocks.address);
  const floats = (value: string): number => {
    const shape = shapes.get(value)!;
    return (shape[0] * rowBytes(shape, slices.images[0]!)) / 4;
  };
  const of = (value: string): Blocks => {
    const blocks = held.get(value);
    if (blocks !== undefined) return blocks;
    throw new AdderNetError("ADN_SHAPE", `the value "${value}" does not reach the output`, {
      fix: "leave out the layers that nothing reads",
    });
  };
  const forSlices = (visit: (slice: number) => void): void => {
    for (let slice = 0; slice < slices.count; slice++) visit(slice);
  };
  held.set(network.output, takeBlock(network.output));
  return {
    of,
    isWanted: (value) => value !== network.input,
    take(value, inPlace) {
      const isOnlyReader = readers.get(value) === 1 && !held.has(value);
      return inPlace !== undefined && isOnlyReader ? of(inPlace) : takeBlock(value);
    },
    give(value, share) {
      const sum = held.get(value);
      if (sum === undefined) {
        held.set(value, share);
        return;
      }
      forSlices((slice) => {
        const total = blockAt(sum, slice);
        program.call(slice, "add", total, blockAt(share, slice), total, floats(value));
      });
      release(value, share);
    },
    takeSum(value) {
      const sum = held.get(value);
      if (sum !== undefined) return sum;
      const blocks = takeBlock(value);
      held.set(value, blocks);
      forSlices((slice) => program.call(slice, "clear", blockAt(blocks, slice), 4 * floats(value)));
      return blocks;
    },
    finish(value) {
      const blocks = of(value);
      held.delete(value);
      if (!isHeld(blocks)) release(value, blocks);
    },
  };
}
