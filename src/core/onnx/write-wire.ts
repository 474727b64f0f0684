// ONNX's wire format, written by the schema's table of fields: ModelProto -> bytes. 64-bit integers are bigints. Everything is written
// from the last byte to the first, so that the size of a message is known when it is put in front of it.

import { messages } from "./generated/fields.js";
import type { ModelProto } from "./generated/messages.js";

interface Output {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  /** The first byte written so far. */
  at: number;
}

/** Makes room for some bytes in front, and answers where they begin. */
function put(output: Output, count: number): number {
  if (count > output.at) {
    const { bytes, at } = output;
    const grown = new Uint8Array(2 * bytes.length + count);
    output.at = grown.length - bytes.length + at;
    grown.set(bytes.subarray(at), output.at);
    output.bytes = grown;
    output.view = new DataView(grown.buffer);
  }
  output.at -= count;
  return output.at;
}

/** A number in groups of seven bits. */
function writeSize(output: Output, size: number): void {
  let count = 1;
  for (let rest = size; rest >= 128; rest = Math.floor(rest / 128)) count++;
  let at = put(output, count);
  let rest = size;
  for (; rest >= 128; rest = Math.floor(rest / 128)) output.bytes[at++] = (rest % 128) | 128;
  output.bytes[at] = rest;
}

/** A number beyond what a float64 holds: its last groups, then the seven before them. */
function writeLarge(output: Output, bits: bigint): void {
  writeSize(output, Number(bits >> 49n));
  const at = put(output, 7);
  for (let group = 0n; group < 7n; group++) {
    output.bytes[at + Number(group)] = Number((bits >> (7n * group)) & 127n) | 128;
  }
}

function writeBigInt(output: Output, value: bigint): void {
  const bits = BigInt.asUintN(64, value);
  if (bits >> 52n === 0n) writeSize(output, Number(bits));
  else writeLarge(output, bits);
}

function writeBytes(output: Output, bytes: Uint8Array): void {
  const at = put(output, bytes.length);
  output.bytes.set(bytes, at);
  writeSize(output, bytes.length);
}

const text = new TextEncoder();

interface Scalar {
  readonly wireType: number;
  write(output: Output, value: unknown): void;
}

function scalar<Value>(wireType: number, write: (output: Output, value: Value) => void): Scalar {
  return { wireType, write: (output, value) => write(output, value as Value) };
}

const bigInt = scalar<bigint>(0, (output, value) => writeBigInt(output, BigInt(value)));

const scalars: Readonly<Record<string, Scalar>> = {
  float: scalar<number>(5, (output, value) => {
    const at = put(output, 4);
    output.view.setFloat32(at, value, true);
  }),
  double: scalar<number>(1, (output, value) => {
    const at = put(output, 8);
    output.view.setFloat64(at, value, true);
  }),
  // Negative ones are written with 64 bits.
  int32: scalar<number>(0, (output, value) =>
    value < 0 ? writeBigInt(output, BigInt(value | 0)) : writeSize(output, value),
  ),
  int64: bigInt,
  uint64: bigInt,
  string: scalar<string>(2, (output, value) => writeBytes(output, text.encode(value))),
  bytes: scalar<Uint8Array>(2, writeBytes),
};

type Message = Readonly<Record<string, unknown>>;

function writeMessage(output: Output, type: string, value: Message): void {
  const end = output.bytes.length - output.at;
  writeFields(output, type, value);
  writeSize(output, output.bytes.length - output.at - end);
}

/** A list of numbers in one piece. */
function writePacked(output: Output, { write }: Scalar, list: readonly unknown[]): void {
  const end = output.bytes.length - output.at;
  for (let index = list.length - 1; index >= 0; index--) write(output, list[index]);
  writeSize(output, output.bytes.length - output.at - end);
}

function writeFields(output: Output, message: string, values: Message): void {
  const fields = Object.entries(messages[message]!);
  for (let index = fields.length - 1; index >= 0; index--) {
    const [number, [name, type, form]] = fields[index]!;
    const value = values[name];
    if (value === undefined || value === null) continue;
    const tag = 8 * Number(number);
    const list = form === undefined ? [value] : (value as readonly unknown[]);
    if (form === 2) {
      if (list.length === 0) continue;
      writePacked(output, scalars[type]!, list);
      writeSize(output, tag + 2);
      continue;
    }
    for (let element = list.length - 1; element >= 0; element--) {
      const known = scalars[type];
      if (known) known.write(output, list[element]);
      else writeMessage(output, type, list[element] as Message);
      writeSize(output, tag + (known?.wireType ?? 2));
    }
  }
}

/** The bytes of a ModelProto. `sizeHint` is about how many there will be: it saves copying while the buffer grows. */
export function writeModelProto(model: ModelProto, sizeHint: number): Uint8Array {
  const bytes = new Uint8Array(sizeHint);
  const output: Output = { bytes, view: new DataView(bytes.buffer), at: sizeHint };
  writeFields(output, "ModelProto", model as Message);
  return output.at === 0 ? output.bytes : output.bytes.slice(output.at);
}
