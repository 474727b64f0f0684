// Running a plan: feeds into the arena, one call after the other, outputs out of it.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import type { DataType } from "../src/core/dtype.ts";
import type { Tensor } from "../src/core/tensor.ts";
import type { Argument } from "./builder.ts";
import { wordTypes } from "./lowering.ts";
import type { Plan } from "./plan.ts";

interface LinkedCall {
  readonly kernel: (...args: number[]) => void;
  readonly args: readonly number[];
}

/** A plan whose addresses are absolute, for one place of the arena. */
export interface LinkedPlan {
  readonly base: number;
  readonly calls: readonly LinkedCall[];
}

export function linkPlan({ steps, buffers }: Plan, base: number, kernels: Kernels): LinkedPlan {
  const absolute = (argument: Argument): number =>
    typeof argument === "number" ? argument : base + buffers[argument.buffer]!.offset + argument.bytes;
  const calls = steps.flatMap((step) =>
    step.calls.map(({ kernel, args }) => ({ kernel: kernels[kernel], args: args.map(absolute) })),
  );
  return { base, calls };
}

function wordsAt(plan: Plan, buffer: number, base: number, memory: WebAssembly.Memory, type: DataType) {
  const { offset, bytes } = plan.buffers[buffer]!;
  const elements = type === "int32" ? Int32Array : Float32Array;
  return new elements(memory.buffer, base + offset, bytes / 4);
}

/** Feeds are in the order of the plan's inputs and have its shapes. Answers fresh tensors in the order of its outputs. */
export function execute(
  plan: Plan,
  { base, calls }: LinkedPlan,
  memory: WebAssembly.Memory,
  feeds: readonly Tensor[],
): Tensor[] {
  for (const [index, { buffer }] of plan.inputs.entries()) {
    const { data, type } = feeds[index]!;
    // Data of other types only ever goes through as it is, or is not read at all.
    if (buffer === undefined || !wordTypes.includes(type)) continue;
    wordsAt(plan, buffer, base, memory, type).set(data as Float32Array);
  }
  for (const { kernel, args } of calls) kernel(...args);
  return plan.outputs.map(({ value, buffer, feed }) => {
    const { type, dims, constant } = value;
    const source = constant?.data ?? (feed === undefined ? undefined : feeds[feed]!.data);
    const data = (source ?? wordsAt(plan, buffer!, base, memory, type)).slice() as Tensor["data"];
    return { type, data, dims: [...dims] };
  });
}
