// A plan in words and numbers, for people.

import type { Plan } from "./plan.ts";

export interface StepExplanation {
  readonly node: string;
  /** Nodes computed in the same pass. */
  readonly fused: readonly string[];
  /** Kernels in the order of their first call, and how often each is called. */
  readonly kernels: Readonly<Record<string, number>>;
  /** Why these; empty where there was no choice. */
  readonly why: string;
  /** Share of a layer's taps that its kernel goes through; all of them unless given. */
  readonly live?: number;
}

export interface StepTime extends StepExplanation {
  readonly milliseconds: number;
}

export interface PlanExplanation {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Threads among which its larger steps are divided. */
  readonly threads: number;
  /** Bytes for the values of one run. */
  readonly arenaBytes: number;
  readonly steps: readonly StepExplanation[];
}

export interface SessionExplanation {
  readonly simd: { readonly level: string; readonly reason: string };
  readonly threads: { readonly count: number; readonly reason: string };
  /** Blocks of packed weights, shared by all plans. */
  readonly weightBlocks: number;
  readonly usedBytes: number;
  readonly memoryBytes: number;
  /** One per set of input shapes met lately. */
  readonly plans: readonly PlanExplanation[];
}

function dimsByName(values: Plan["inputs"]): Record<string, readonly number[]> {
  return Object.fromEntries(values.map(({ value }) => [value.name, value.dims]));
}

/** Descriptions are made once per step: a profile, which asks after every run, would count the making. */
const described = new WeakMap<Plan["steps"][number], StepExplanation>();

export function describeStep(step: Plan["steps"][number]): StepExplanation {
  const known = described.get(step);
  if (known !== undefined) return known;
  const kernels: Record<string, number> = {};
  for (const { calls, images } of step.groups) {
    for (const { kernel } of calls) kernels[kernel] = (kernels[kernel] ?? 0) + images;
  }
  const { where: node, fused, why, live } = step;
  const made = { node, fused, kernels, why, ...(live !== undefined && { live }) };
  described.set(step, made);
  return made;
}

export function describePlan({ steps, inputs, outputs, arenaBytes }: Plan, threads: number): PlanExplanation {
  return {
    inputs: dimsByName(inputs),
    outputs: dimsByName(outputs),
    threads,
    arenaBytes,
    steps: steps.map(describeStep),
  };
}
