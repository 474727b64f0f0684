// What the generated writer exports: ModelProto -> bytes. 64-bit integers are bigints.

import { onnx } from "onnx-static";
import { LongBits, Writer } from "protobufjs-minimal";

LongBits.from = (value) => {
  const bits = BigInt.asUintN(64, BigInt(value));
  return new LongBits(Number(bits & 0xffffffffn), Number(bits >> 32n));
};

const noBuffers = { _configure() {} };
Writer._configure(noBuffers);
Writer.alloc = (size) => new Uint8Array(size);

/** `sizeHint` is about how many bytes will come out: it saves copying while the buffer grows. */
export function encodeModelProto(message, sizeHint) {
  const writer = new Writer();
  writer._reserve(sizeHint);
  return onnx.ModelProto.encode(message, writer).finish();
}
