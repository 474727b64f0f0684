// What a training step is to the machine: phases of tasks of kernel calls, as plain data. Tasks of a phase need nothing of each other.

import { type KernelName, kernelNames } from "../kernels/table.ts";

export interface Call {
  readonly kernel: KernelName;
  readonly args: readonly number[];
}
export type Task = readonly Call[];
export type Phase = readonly Task[];
export type Program = readonly Phase[];

export interface ProgramDraft {
  /** Appends a call to the task of a slice in the phase that is open. */
  call(slice: number, kernel: KernelName, ...args: readonly number[]): void;
  /** What follows needs everything before. */
  barrier(): void;
  finish(): Program;
}

export function draftProgram(slices: number): ProgramDraft {
  const phases: Call[][][] = [];
  const open = (): Call[][] => {
    const phase = Array.from({ length: slices }, (): Call[] => []);
    phases.push(phase);
    return phase;
  };
  let current = open();
  return {
    call: (slice, kernel, ...args) => {
      current[slice]!.push({ kernel, args });
    },
    barrier: () => {
      current = open();
    },
    finish: () =>
      phases.map((phase) => phase.filter((task) => task.length > 0)).filter((phase) => phase.length > 0),
  };
}

const kernelNumbers = new Map<string, number>(kernelNames.map((name, index) => [name, index]));

/** A program as the words that lie in memory (threads/control.ts). */
export function encodeProgram(program: Program): Int32Array {
  const words: number[] = [program.length];
  for (const phase of program) {
    words.push(phase.length);
    for (const task of phase) {
      words.push(task.length);
      for (const { kernel, args } of task) words.push(kernelNumbers.get(kernel)!, args.length, ...args);
    }
  }
  // Addresses beyond 2^31 wrap, as WebAssembly takes them.
  return Int32Array.from(words, (word) => word | 0);
}
