// The opcodes of pickle protocols 0 to 5, by their byte.

import {
  damaged,
  type Machine,
  type Opcode,
  pop,
  popToMark,
  push,
  skip,
  take,
  takeInt32,
  takeLine,
  takeUint8,
  takeUint16,
  takeUint32,
  takeUint64,
  top,
} from "./machine.ts";
import {
  describe,
  isKind,
  latin1Text,
  makeDict,
  makeSequence,
  type PickledSequence,
  type PickleValue,
} from "./values.ts";

const utf8 = new TextDecoder("utf-8");

/** Digits of the longest integer that is read: torch's magic number has 24. */
const longestInteger = 40;

/** A number where it is exact, else a bigint. */
function asInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function takeDecimal(machine: Machine): number | bigint {
  const text = takeLine(machine).replace(/L$/, "");
  if (text.length > longestInteger || !/^[+-]?\d+$/.test(text)) throw damaged(machine, "an integer is none");
  return asInteger(BigInt(text));
}

/** Protocol 0 writes truth values as 00 and 01. */
function takeIntegerOrBoolean(machine: Machine): PickleValue {
  const line = machine.bytes.subarray(machine.at, machine.at + 3);
  if (line[0] !== 48 || line[2] !== 10 || (line[1] !== 48 && line[1] !== 49)) return takeDecimal(machine);
  machine.at += 3;
  return line[1] === 49;
}

/** Two's complement, little-endian. */
function takeLong(machine: Machine, length: number): number | bigint {
  if (length > longestInteger) throw damaged(machine, "an integer is too long");
  const bytes = take(machine, length);
  const unsigned = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  return asInteger(BigInt.asIntN(8 * length, unsigned));
}

function takeDecimalFraction(machine: Machine): number {
  const text = takeLine(machine).trim();
  const special: Readonly<Record<string, number>> = {
    inf: Number.POSITIVE_INFINITY,
    "-inf": Number.NEGATIVE_INFINITY,
    nan: Number.NaN,
  };
  const value = special[text] ?? Number(text);
  if (text === "" || (special[text] === undefined && Number.isNaN(value))) {
    throw damaged(machine, "a number is none");
  }
  return value;
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
};

/** Characters of a text with escapes: what protocol 0 needs for a network of a million weights. */
const longestEscapedText = 2 ** 24;

/** A line of protocol 0 that may hold escapes, which cost time of their own. */
function takeEscapedLine(machine: Machine): string {
  const line = takeLine(machine);
  machine.host.steps.left -= line.length / 8;
  if (line.length <= longestEscapedText) return line;
  throw damaged(machine, "a text of protocol 0 is too long; save the file with protocol 2 or later");
}

/** A string as Python 2 prints it, quotes and escapes included. */
function takeQuoted(machine: Machine): string {
  const line = takeEscapedLine(machine).trim();
  const inner = /^(['"])(.*)\1$/s.exec(line)?.[2];
  if (inner === undefined) throw damaged(machine, "a string has no quotes");
  return inner.replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, code: string) => {
    if (code.startsWith("x") && code.length === 3)
      return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 255);
    return escapes[code] ?? code;
  });
}

/** Latin-1 with \uXXXX and \UXXXXXXXX. */
function takeRawUnicode(machine: Machine): string {
  return takeEscapedLine(machine).replace(
    /\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g,
    (whole, short, long) => {
      const code = Number.parseInt(short ?? long, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

function remember(machine: Machine, index: number | bigint): void {
  machine.memo.set(Number(index), top(machine));
}

function recall(machine: Machine, index: number | bigint): void {
  const value = machine.memo.get(Number(index));
  if (value === undefined) throw damaged(machine, "it recalls a value that it never kept");
  push(machine, value);
}

function appendAll(machine: Machine, items: readonly PickleValue[]): void {
  const list = top(machine);
  if (!isKind(list, "list", "set", "object")) throw damaged(machine, `items for ${describe(list)}`);
  for (const item of items) list.items.push(item);
}

function setAll(machine: Machine, pairs: readonly PickleValue[]): void {
  const dict = top(machine);
  if (!isKind(dict, "dict", "object")) throw damaged(machine, `entries for ${describe(dict)}`);
  if (pairs.length % 2 === 1) throw damaged(machine, "a key has no value");
  for (let at = 0; at < pairs.length; at += 2) dict.entries.set(pairs[at]!, pairs[at + 1]!);
}

function pushDict(machine: Machine, pairs: readonly PickleValue[]): void {
  push(machine, makeDict());
  setAll(machine, pairs);
}

function argumentsOf(machine: Machine, value: PickleValue): readonly PickleValue[] {
  if (!isKind(value, "tuple")) throw damaged(machine, `arguments are ${describe(value)}`);
  return value.items;
}

function call(machine: Machine, callee: PickleValue, args: readonly PickleValue[]): void {
  push(machine, machine.host.call(callee, args));
}

/** Pops `count` values and pushes what is made of them, in the order they were pushed. */
function popArguments(machine: Machine, count: number): PickleValue[] {
  return Array.from({ length: count }, () => pop(machine)).reverse();
}

function pushTuple(machine: Machine, count: number): void {
  push(machine, makeSequence("tuple", popArguments(machine, count)));
}

function callWithTuple(machine: Machine): void {
  const [callee, args] = popArguments(machine, 2);
  call(machine, callee!, argumentsOf(machine, args!));
}

function callWithKeywords(machine: Machine): void {
  const [callee, args, keywords] = popArguments(machine, 3);
  if (!isKind(keywords, "dict") || keywords.entries.size > 0) {
    throw damaged(machine, "an object is made with keyword arguments");
  }
  call(machine, callee!, argumentsOf(machine, args!));
}

function resolve(machine: Machine, module: PickleValue, name: PickleValue): PickleValue {
  if (typeof module !== "string" || typeof name !== "string") throw damaged(machine, "a name is no text");
  return machine.host.resolve(module, name);
}

function instantiate(machine: Machine): void {
  const callee = resolve(machine, takeLine(machine), takeLine(machine));
  call(machine, callee, popToMark(machine));
}

function instantiateFromStack(machine: Machine): void {
  const [callee, ...args] = popToMark(machine);
  if (callee === undefined) throw damaged(machine, "a class is missing on its stack");
  call(machine, callee, args);
}

function refuse(feature: string): Opcode {
  return (machine) => {
    throw damaged(machine, `it uses ${feature}, which checkpoints do not`);
  };
}

const pushMarked =
  (kind: PickledSequence["kind"]): Opcode =>
  (m) =>
    push(m, makeSequence(kind, popToMark(m)));

// biome-ignore format: a table
const table: Readonly<Record<string, Opcode>> = {
  "\x80": (m) => { if (takeUint8(m) > 5) throw damaged(m, "its protocol is newer than 5"); },
  "\x95": (m) => { skip(m, 8); },
  "(": (m) => { m.marks.push(m.stack.length); },
  "0": (m) => { if (m.marks.at(-1) === m.stack.length) m.marks.pop(); else pop(m); },
  "1": (m) => { popToMark(m); },
  "2": (m) => push(m, top(m)),
  N: (m) => push(m, null),
  "\x88": (m) => push(m, true),
  "\x89": (m) => push(m, false),

  I: (m) => push(m, takeIntegerOrBoolean(m)),
  L: (m) => push(m, takeDecimal(m)),
  J: (m) => push(m, takeInt32(m)),
  K: (m) => push(m, takeUint8(m)),
  M: (m) => push(m, takeUint16(m)),
  "\x8a": (m) => push(m, takeLong(m, takeUint8(m))),
  "\x8b": (m) => push(m, takeLong(m, takeUint32(m))),
  F: (m) => push(m, takeDecimalFraction(m)),
  G: (m) => push(m, m.view.getFloat64(skip(m, 8), false)),

  S: (m) => push(m, takeQuoted(m)),
  T: (m) => push(m, latin1Text(take(m, takeUint32(m)))),
  U: (m) => push(m, latin1Text(take(m, takeUint8(m)))),
  V: (m) => push(m, takeRawUnicode(m)),
  X: (m) => push(m, utf8.decode(take(m, takeUint32(m)))),
  "\x8c": (m) => push(m, utf8.decode(take(m, takeUint8(m)))),
  "\x8d": (m) => push(m, utf8.decode(take(m, takeUint64(m)))),
  B: (m) => push(m, take(m, takeUint32(m))),
  C: (m) => push(m, take(m, takeUint8(m))),
  "\x8e": (m) => push(m, take(m, takeUint64(m))),
  "\x96": (m) => push(m, take(m, takeUint64(m))),

  "]": (m) => push(m, makeSequence("list", [])),
  l: pushMarked("list"),
  a: (m) => { const item = pop(m); appendAll(m, [item]); },
  e: (m) => appendAll(m, popToMark(m)),
  ")": (m) => pushTuple(m, 0),
  "\x85": (m) => pushTuple(m, 1),
  "\x86": (m) => pushTuple(m, 2),
  "\x87": (m) => pushTuple(m, 3),
  t: pushMarked("tuple"),
  "}": (m) => pushDict(m, []),
  d: (m) => pushDict(m, popToMark(m)),
  s: (m) => setAll(m, popArguments(m, 2)),
  u: (m) => setAll(m, popToMark(m)),
  "\x8f": (m) => push(m, makeSequence("set", [])),
  "\x90": (m) => appendAll(m, popToMark(m)),
  "\x91": pushMarked("set"),

  p: (m) => remember(m, takeDecimal(m)),
  q: (m) => remember(m, takeUint8(m)),
  r: (m) => remember(m, takeUint32(m)),
  "\x94": (m) => remember(m, m.memo.size),
  g: (m) => recall(m, takeDecimal(m)),
  h: (m) => recall(m, takeUint8(m)),
  j: (m) => recall(m, takeUint32(m)),

  c: (m) => push(m, resolve(m, takeLine(m), takeLine(m))),
  "\x93": (m) => { const [module, name] = popArguments(m, 2); push(m, resolve(m, module!, name!)); },
  R: callWithTuple,
  "\x81": callWithTuple,
  "\x92": callWithKeywords,
  i: instantiate,
  o: instantiateFromStack,
  b: (m) => { const state = pop(m); m.host.build(top(m), state); },
  P: (m) => push(m, m.host.load(takeLine(m))),
  Q: (m) => push(m, m.host.load(pop(m))),

  "\x82": refuse("the extension registry"),
  "\x83": refuse("the extension registry"),
  "\x84": refuse("the extension registry"),
  "\x97": refuse("buffers outside the file"),
  "\x98": refuse("buffers outside the file"),
};

export const opcodes: readonly (Opcode | undefined)[] = Array.from(
  { length: 256 },
  (_, code) => table[String.fromCharCode(code)],
);
