// What the generated reader exports: bytes -> ModelProto. 64-bit integers are bigints, all arrays are plain Uint8Arrays.

import { onnx } from "onnx-static";
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

export function decodeModelProto(bytes) {
  return onnx.ModelProto.decode(new LimitedReader(bytes));
}
