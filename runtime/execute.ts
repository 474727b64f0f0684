// Running a plan: feeds into the arena, one call after the other, outputs out of it.

import type { Kernels } from "../custom-ops/kernels/load.ts";
import type { DataType } from "../src/core/dtype.ts";
import type { Tensor } from "../src/core/tensor.ts";
import type { Argument } from "./builder.ts";
import type { Plan } from "./plan.ts";

interface LinkedCall {
  readonly kernel: (...args: number[]) => void;
  readonly args: readonly number[];
  /** The plan's step it belongs to. */
  readonly step: number;
}

/** A plan whose addresses are absolute, for one place of the arena. */
export interface LinkedPlan {
  readonly base: number;
  readonly calls: readonly LinkedCall[];
}

export function linkPlan({ steps, buffers }: Plan, base: number, kernels: Kernels): LinkedPlan {
  const absolute = (argument: Argument): number =>
    typeof argument === "number" ? argument : base + buffers[argument.buffer]!.offset + argument.bytes;
  const calls = steps.flatMap((step, index) =>
    step.calls.map(({ kernel, args }) => ({
      kernel: kernels[kernel],
      args: args.map(absolute),
      step: index,
    })),
  );
  return { base, calls };
}

const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

function elementsAt(plan: Plan, buffer: number, base: number, memory: WebAssembly.Memory, type: DataType) {
  const { offset, bytes } = plan.buffers[buffer]!;
  const elements = arrays[type as keyof typeof arrays];
  return new elements(memory.buffer, base + offset, bytes / elements.BYTES_PER_ELEMENT);
}

function writeFeeds(plan: Plan, base: number, memory: WebAssembly.Memory, feeds: readonly Tensor[]): void {
  for (const [index, { buffer }] of plan.inputs.entries()) {
    const { data, type } = feeds[index]!;
    // Data of other types only ever goes through as it is, or is not read at all.
    if (buffer === undefined || !Object.hasOwn(arrays, type)) continue;
    elementsAt(plan, buffer, base, memory, type).set(data as Float32Array);
  }
}

/** Feeds are in the order of the plan's inputs and have its shapes. Answers fresh tensors in the order of its outputs. */
export function execute(
  plan: Plan,
  { base, calls }: LinkedPlan,
  memory: WebAssembly.Memory,
  feeds: readonly Tensor[],
): Tensor[] {
  writeFeeds(plan, base, memory, feeds);
  for (const { kernel, args } of calls) kernel(...args);
  return plan.outputs.map(({ value, buffer, feed }) => {
    const { type, dims, constant } = value;
    const source = constant?.data ?? (feed === undefined ? undefined : feeds[feed]!.data);
    const data = (source ?? elementsAt(plan, buffer!, base, memory, type)).slice() as Tensor["data"];
    return { type, data, dims: [...dims] };
  });
}

/** Runs the plan once and answers how many milliseconds each of its steps took. */
export function executeTimed(
  plan: Plan,
  { base, calls }: LinkedPlan,
  memory: WebAssembly.Memory,
  feeds: readonly Tensor[],
): Float64Array {
  const times = new Float64Array(plan.steps.length);
  writeFeeds(plan, base, memory, feeds);
  let before = performance.now();
  for (const { kernel, args, step } of calls) {
    kernel(...args);
    const after = performance.now();
    times[step]! += after - before;
    before = after;
  }
  return times;
}
