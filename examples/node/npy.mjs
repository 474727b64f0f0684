// Reads the .npy files beside the bundled model: C order, little endian.

import { readFile } from "node:fs/promises";

const types = {
  "<f4": ["float32", Float32Array],
  "<f8": ["float64", Float64Array],
  "|u1": ["uint8", Uint8Array],
  "<i8": ["int64", BigInt64Array],
};

export async function readNpy(path) {
  const file = await readFile(path);
  const headerLength = file.readUInt16LE(8);
  const header = file.toString("latin1", 10, 10 + headerLength);
  const [type, ArrayType] = types[/'descr': '([^']+)'/.exec(header)[1]];
  const dims = /'shape': \(([^)]*)\)/
    .exec(header)[1]
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  const bytes = new Uint8Array(file.subarray(10 + headerLength));
  return { type, dims, data: new ArrayType(bytes.buffer) };
}
