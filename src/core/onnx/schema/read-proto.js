// What the generated reader exports: bytes -> ModelProto. 64-bit integers are bigints, all arrays are plain Uint8Arrays.

import { messages } from "onnx-static";
import { LongBits, Reader } from "protobufjs-minimal";

/** Fields and 64-bit list elements in one file; each may cost some hundred bytes, so more could exhaust memory. */
const fieldLimit = 2 ** 23;

class LimitedReader extends Reader {
  left = fieldLimit;

  spend() {
    if (this.left-- === 0) throw new RangeError(`more than ${fieldLimit} fields`);
  }

  tag() {
    this.spend();
    return super.tag();
  }

  int64() {
    this.spend();
    return super.int64();
  }

  uint64() {
    this.spend();
    return super.uint64();
  }

  string() {
    return this.stringVerify();
  }
}

LongBits.prototype.toNumber = LongBits.prototype.toLong = function toBigInt(unsigned) {
  const bits = (BigInt(this.hi) << 32n) | BigInt(this.lo);
  return unsigned ? bits : BigInt.asIntN(64, bits);
};

const noBuffers = { _configure() {} };
Reader._configure(noBuffers);

/** Scalar types: how an element is encoded, and what reads a packed list of them. Text and bytes are never packed. */
const scalars = {
  float: [5, "floats"],
  double: [1, "doubles"],
  int32: [0, "int32s"],
  int64: [0, "int64s"],
  uint64: [0, "uint64s"],
  string: [2],
  bytes: [2],
};

/** Reads a field into `message`; false where it is encoded as the schema does not have it. */
function readField(reader, message, [name, type, isList], wireType, depth) {
  const [ownType, packed] = scalars[type] ?? [2];
  if (isList) message[name] ??= [];
  if (isList && packed && wireType === 2) {
    reader[packed](message[name]);
    return true;
  }
  if (wireType !== ownType) return false;
  const isMessage = type in messages;
  // A message that comes twice is one message.
  const before = isMessage && !isList ? message[name] : undefined;
  const value = isMessage
    ? readMessage(reader, messages[type], reader.size(), depth, before)
    : reader[type]();
  if (isList) message[name].push(value);
  else message[name] = value;
  return true;
}

function readMessage(reader, fields, length, depth, message = {}) {
  if (depth > Reader.recursionLimit) throw Error("max depth exceeded");
  const outerEnd = reader.len;
  const end = reader.pos + length;
  if (end > outerEnd) throw RangeError("index out of range");
  reader.len = end;
  while (reader.pos < end) {
    const tag = reader.tag();
    const [wireType, number] = [tag & 7, tag >>> 3];
    const field = fields[number];
    if (field && readField(reader, message, field, wireType, depth + 1)) continue;
    reader.skipType(wireType, depth, number);
  }
  if (reader.pos !== end) throw RangeError("index out of range");
  reader.len = outerEnd;
  return message;
}

export function decodeModelProto(bytes) {
  const reader = new LimitedReader(bytes);
  return readMessage(reader, messages.ModelProto, reader.len, 0);
}
