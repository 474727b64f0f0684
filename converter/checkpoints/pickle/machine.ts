// The pickle machine: runs the opcodes of protocols 0 to 5 on plain data. Whatever would import or call is asked of a host, which answers from a
// list; nothing of a file is ever evaluated.

import { checkpointError } from "../checkpoint.ts";
import { latin1Text, type PickleValue } from "./values.ts";

/** Steps that may still be run, over every pickle of one file. */
export interface StepCounter {
  left: number;
}

/** What a pickle may name, call and load. Each function throws ADN_CHECKPOINT for what is not allowed. */
export interface PickleHost {
  readonly steps: StepCounter;
  readonly resolve: (module: string, name: string) => PickleValue;
  readonly call: (callee: PickleValue, args: readonly PickleValue[]) => PickleValue;
  readonly build: (target: PickleValue, state: PickleValue) => void;
  readonly load: (id: PickleValue) => PickleValue;
}

export interface Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly host: PickleHost;
  readonly where: string;
  /** The next byte. */
  at: number;
  readonly stack: PickleValue[];
  /** Heights of the stack at each open MARK. */
  readonly marks: number[];
  readonly memo: Map<number, PickleValue>;
}

/** Far beyond any network, and run in well under a second. */
const mostSteps = 3_000_000;
const mostOnStack = 1_000_000;

export const countSteps = (): StepCounter => ({ left: mostSteps });

export function damaged(machine: Pick<Machine, "where" | "at">, problem: string): Error {
  return checkpointError(machine.where, `the pickle is damaged: ${problem}`, {
    found: `byte ${machine.at}`,
  });
}

/** Moves on by `length` bytes and answers where they began. */
export function skip(machine: Machine, length: number): number {
  const start = machine.at;
  if (!(length >= 0 && length <= machine.bytes.length - start)) throw damaged(machine, "it is cut off");
  machine.at = start + length;
  return start;
}

export function take(machine: Machine, length: number): Uint8Array {
  const start = skip(machine, length);
  return machine.bytes.subarray(start, start + length);
}

export const takeUint8 = (machine: Machine): number => machine.view.getUint8(skip(machine, 1));
export const takeUint16 = (machine: Machine): number => machine.view.getUint16(skip(machine, 2), true);
export const takeInt32 = (machine: Machine): number => machine.view.getInt32(skip(machine, 4), true);
export const takeUint32 = (machine: Machine): number => machine.view.getUint32(skip(machine, 4), true);
export const takeUint64 = (machine: Machine): number =>
  Number(machine.view.getBigUint64(skip(machine, 8), true));

/** The text up to the next line break, byte by byte. */
export function takeLine(machine: Machine): string {
  const end = machine.bytes.indexOf(10, machine.at);
  if (end < 0) throw damaged(machine, "it is cut off");
  const line = latin1Text(take(machine, end - machine.at));
  machine.at = end + 1;
  return line;
}

export function push(machine: Machine, value: PickleValue): void {
  if (machine.stack.length >= mostOnStack) throw damaged(machine, "its stack grows without end");
  machine.stack.push(value);
}

export function pop(machine: Machine): PickleValue {
  const floor = machine.marks.at(-1) ?? 0;
  if (machine.stack.length <= floor) throw damaged(machine, "a value is missing on its stack");
  return machine.stack.pop()!;
}

export function top(machine: Machine): PickleValue {
  const value = pop(machine);
  machine.stack.push(value);
  return value;
}

/** The values since the last MARK, which is taken back. */
export function popToMark(machine: Machine): PickleValue[] {
  const start = machine.marks.pop();
  if (start === undefined) throw damaged(machine, "a mark is missing on its stack");
  return machine.stack.splice(start);
}

export type Opcode = (machine: Machine) => void;

/** The opcode that ends a pickle. */
const stop = 46;

export interface PickleResult {
  readonly value: PickleValue;
  /** Just after STOP. */
  readonly end: number;
}

/** Runs the pickle that begins at `start`. Errors: ADN_CHECKPOINT. */
export function runPickle(
  bytes: Uint8Array,
  start: number,
  opcodes: readonly (Opcode | undefined)[],
  host: PickleHost,
  where: string,
): PickleResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine: Machine = { bytes, view, host, where, at: start, stack: [], marks: [], memo: new Map() };
  for (; host.steps.left > 0; host.steps.left--) {
    const code = takeUint8(machine);
    if (code === stop) return { value: pop(machine), end: machine.at };
    const opcode = opcodes[code];
    if (opcode === undefined) throw damaged(machine, `there is no opcode ${code}`);
    opcode(machine);
  }
  throw damaged(machine, `it goes on and on`);
}
