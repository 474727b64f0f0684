// What the generated bundle exports: bytes <-> ModelProto. 64-bit integers are bigints, all arrays are plain Uint8Arrays.

import { onnx } from "onnx-static";
import { LongBits, Reader, Writer } from "protobufjs-minimal";

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

LongBits.from = (value) => {
  const bits = BigInt.asUintN(64, BigInt(value));
  return new LongBits(Number(bits & 0xffffffffn), Number(bits >> 32n));
};

const noBuffers = { _configure() {} };
Reader._configure(noBuffers);
Writer._configure(noBuffers);
Writer.alloc = (size) => new Uint8Array(size);

export function decodeModelProto(bytes) {
  return onnx.ModelProto.decode(new LimitedReader(bytes));
}

/** `sizeHint` is about how many bytes will come out: it saves copying while the buffer grows. */
export function encodeModelProto(message, sizeHint) {
  const writer = new Writer();
  writer._reserve(sizeHint);
  return onnx.ModelProto.encode(message, writer).finish();
}
