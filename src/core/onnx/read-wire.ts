// ONNX's wire format, read by the schema's table of fields: bytes -> ModelProto. 64-bit integers are bigints, bytes are views of the file.
// Fields that the schema lacks, or has in another encoding, are skipped. Complaints are plain errors; decode.ts says what they mean.

import { messages } from "./generated/fields.js";
import type { ModelProto } from "./generated/messages.js";

/** Fields and 64-bit list elements in one file; each may cost some hundred bytes, so more could exhaust memory. */
const fieldLimit = 2 ** 23;
/** Messages inside each other. */
const depthLimit = 100;

interface Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
  /** Where the innermost message ends. */
  end: number;
  /** Fields that may still come. */
  left: number;
  high: number;
}

function take(cursor: Cursor, count: number): number {
  const start = cursor.at;
  if (start + count > cursor.end) throw new RangeError("index out of range");
  cursor.at += count;
  return start;
}

function spend(cursor: Cursor): void {
  if (cursor.left-- === 0) throw new RangeError(`more than ${fieldLimit} fields`);
}

/** A number in groups of seven bits: answers its low 32 bits and leaves the others in `high`. */
function readBits(cursor: Cursor): number {
  const first = cursor.bytes[take(cursor, 1)]!;
  cursor.high = 0;
  if (first < 128) return first;
  let [low, high] = [first & 127, 0];
  for (let shift = 7; shift < 70; shift += 7) {
    const byte = cursor.bytes[take(cursor, 1)]!;
    const bits = byte & 127;
    if (shift <= 28) low |= bits << shift;
    if (shift >= 28) high |= shift === 28 ? bits >> 4 : bits << (shift - 32);
    if (byte >= 128) continue;
    cursor.high = high >>> 0;
    return low >>> 0;
  }
  throw new Error("a number of more than ten bytes");
}

function readSize(cursor: Cursor): number {
  const low = readBits(cursor);
  return cursor.high * 2 ** 32 + low;
}

function readBigInt(cursor: Cursor): bigint {
  spend(cursor);
  const low = readBits(cursor);
  return (BigInt(cursor.high) << 32n) | BigInt(low);
}

function readBytes(cursor: Cursor): Uint8Array {
  const length = readSize(cursor);
  const start = take(cursor, length);
  return cursor.bytes.subarray(start, start + length);
}

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

interface Scalar {
  readonly wireType: number;
  readonly read: (cursor: Cursor) => unknown;
}

const scalars: Readonly<Record<string, Scalar>> = {
  float: { wireType: 5, read: (cursor) => cursor.view.getFloat32(take(cursor, 4), true) },
  double: { wireType: 1, read: (cursor) => cursor.view.getFloat64(take(cursor, 8), true) },
  int32: { wireType: 0, read: (cursor) => readBits(cursor) | 0 },
  int64: { wireType: 0, read: (cursor) => BigInt.asIntN(64, readBigInt(cursor)) },
  uint64: { wireType: 0, read: readBigInt },
  // A copy: decoders refuse shared memory.
  string: { wireType: 2, read: (cursor) => text.decode(readBytes(cursor).slice()) },
  bytes: { wireType: 2, read: readBytes },
};

/** A field of the schema: of a type that is no scalar, the fields of that message. */
interface Field {
  readonly name: string;
  readonly isList: boolean;
  readonly scalar: Scalar | undefined;
  readonly fields: Fields | undefined;
}
type Fields = Map<number, Field>;

/** The fields of all messages by number, each with what it takes to read it: files hold millions of fields. */
function linkFields(): Fields {
  const byType = new Map<string, Fields>(Object.keys(messages).map((type) => [type, new Map()]));
  for (const [type, fields] of byType) {
    for (const [number, [name, of, list]] of Object.entries(messages[type]!)) {
      const row = { name, isList: list !== undefined, scalar: scalars[of], fields: byType.get(of) };
      fields.set(Number(number), row);
    }
  }
  return byType.get("ModelProto")!;
}

const modelFields = linkFields();

/** Goes into what lies in the next `length` bytes; answers where that ends which it is part of. */
function enter(cursor: Cursor, length: number): number {
  const outer = cursor.end;
  if (cursor.at + length > outer) throw new RangeError("index out of range");
  cursor.end = cursor.at + length;
  return outer;
}

/** Instances take less room than literals: files hold millions that stay empty. */
class Message {
  [field: string]: unknown;
}

/** Reads a field into `message`; false where it is encoded as the schema does not have it. */
function readField(cursor: Cursor, message: Message, field: Field, wireType: number, depth: number): boolean {
  const { name, isList, scalar, fields } = field;
  const before = message[name];
  // A list of numbers may come in one piece.
  const isPacked = isList && wireType === 2 && scalar !== undefined && scalar.wireType !== 2;
  if (!isPacked && wireType !== (scalar?.wireType ?? 2)) return false;
  if (!isList) {
    // A message that comes twice is one message.
    message[name] = scalar ? scalar.read(cursor) : readMessage(cursor, fields!, depth, before as Message);
    return true;
  }
  const list = (before ?? []) as unknown[];
  if (before === undefined) message[name] = list;
  if (isPacked) {
    const outer = enter(cursor, readSize(cursor));
    while (cursor.at < cursor.end) list.push(scalar.read(cursor));
    cursor.end = outer;
  } else {
    list.push(scalar ? scalar.read(cursor) : readMessage(cursor, fields!, depth));
  }
  return true;
}

function skip(cursor: Cursor, wireType: number, depth: number): void {
  if (depth > depthLimit) throw new Error("max depth exceeded");
  if (wireType === 0) readBits(cursor);
  else if (wireType === 1) take(cursor, 8);
  else if (wireType === 2) take(cursor, readSize(cursor));
  else if (wireType === 5) take(cursor, 4);
  else if (wireType !== 3) throw new Error(`no wire type ${wireType}`);
  else {
    // A group: fields up to the tag that closes it.
    for (let inner = readTag(cursor); (inner & 7) !== 4; inner = readTag(cursor)) {
      skip(cursor, inner & 7, depth + 1);
    }
  }
}

function readTag(cursor: Cursor): number {
  spend(cursor);
  const tag = readBits(cursor);
  if (tag < 8) throw new Error("no field number");
  return tag;
}

/** Reads the fields of a message, its size first. */
function readMessage(cursor: Cursor, fields: Fields, depth: number, message = new Message()): Message {
  const outer = enter(cursor, readSize(cursor));
  readFields(cursor, fields, depth, message);
  cursor.end = outer;
  return message;
}

function readFields(cursor: Cursor, fields: Fields, depth: number, message: Message): void {
  if (depth > depthLimit) throw new Error("max depth exceeded");
  while (cursor.at < cursor.end) {
    const tag = readTag(cursor);
    const field = fields.get(tag >>> 3);
    if (field && readField(cursor, message, field, tag & 7, depth + 1)) continue;
    skip(cursor, tag & 7, depth);
  }
}

/** Reads the bytes of a ModelProto. */
export function readModelProto(bytes: Uint8Array): ModelProto {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cursor: Cursor = { bytes, view, at: 0, end: bytes.length, left: fieldLimit, high: 0 };
  const model = new Message();
  readFields(cursor, modelFields, 0, model);
  return model;
}
