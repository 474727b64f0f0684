// The gathered backend tests: one job per case and version of its op's schema.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeModel } from "../../dist/src/core/onnx/index.js";
import { opsetRange } from "../../dist/src/core/onnx/opset.js";

export function readIndex(folder) {
  return JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));
}

function varint(value) {
  const bytes = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) + 128);
  }
}

const field = (number, bytes) =>
  Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes]);

/** A tensor from a file that holds one TensorProto: read as the only initializer of a model. */
function readTensor(path) {
  const proto = Buffer.concat([readFileSync(path), field(8, Buffer.from("t"))]);
  const graph = field(
    7,
    Buffer.concat([field(2, Buffer.from("g")), field(5, proto), field(12, field(1, Buffer.from("t")))]),
  );
  const model = Buffer.concat([Buffer.from([8, 8]), graph, field(8, Buffer.from([16, 17]))]);
  return decodeModel(model, { where: path }).graph.initializers.get("t");
}

function readSet(folder, { inputs, outputs }, set) {
  const read = (kind, count) =>
    Array.from({ length: count }, (_, index) => readTensor(join(folder, `${kind}_${set}_${index}.pb`)));
  return { inputs: read("input", inputs), outputs: read("output", outputs) };
}

/** Opsets to run a case at, each with the version of the op's schema that is in force there. */
function versionsOf(one, sinceVersions) {
  const native = one.ops.length === 1 ? inForce(sinceVersions[one.ops[0]], one.opset) : undefined;
  const own = { since: native, opset: one.opset, isNative: one.isRecorded !== false };
  const others = one.versions
    .filter(([since]) => since !== native)
    .map(([since, end]) => ({ since, opset: Math.min(end, opsetRange.last), isNative: false }));
  return [own, ...others].filter(({ opset }) => opset >= opsetRange.first && opset <= opsetRange.last);
}

function inForce(versions = [], opset) {
  return versions.filter((since) => since <= opset).at(-1);
}

/** Jobs: `{ name, op?, since?, opset, isNative, load }`. `op` is absent for graphs of several nodes. */
export function* jobsOf(folder, { cases, sinceVersions }) {
  for (const one of cases) {
    const path = join(folder, one.folder);
    for (const version of versionsOf(one, sinceVersions)) {
      yield {
        ...version,
        name: one.folder,
        ...(one.ops.length === 1 && { op: one.ops[0] }),
        ops: one.ops,
        rtol: one.rtol,
        atol: one.atol,
        sets: one.sets,
        load: () => load(path, one, version),
      };
    }
  }
}

function load(path, one, { opset }) {
  const model = decodeModel(readFileSync(join(path, "model.onnx")), { where: one.folder });
  if (one.opset > 0) model.opsetImports.set("", opset);
  const sets = Array.from({ length: one.sets }, (_, set) => readSet(path, one, set));
  return { model, sets };
}
