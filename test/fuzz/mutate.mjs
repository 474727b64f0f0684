// Damage to files: bytes, numbers, lengths, pieces moved about; in archives also inside members, with their checksums made good.

import { crc32 } from "node:zlib";

const telling = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x28, 0x2e, 0x0a];
const tellingWords = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x10000, 0x01000000];

function overwrite(bytes, at, parts) {
  const copy = Buffer.from(bytes);
  Buffer.from(parts).copy(copy, at);
  return copy;
}

function span(random, length, most = 64) {
  const start = random.below(Math.max(1, length));
  return [start, Math.min(length, start + 1 + random.below(most))];
}

const mutations = {
  flipBit: (random, bytes) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy[random.below(copy.length)] ^= 1 << random.below(8);
    return copy;
  },
  setByte: (random, bytes) => overwrite(bytes, random.below(bytes.length + 1), [random.pick(telling)]),
  randomByte: (random, bytes) => overwrite(bytes, random.below(bytes.length + 1), [random.below(256)]),
  setWord: (random, bytes) => {
    const word = Buffer.alloc(random.pick([2, 4, 8]), 0);
    if (word.length === 2) word.writeUInt16LE(random.pick(tellingWords) & 0xffff);
    else word.writeUInt32LE(random.pick(tellingWords));
    return overwrite(bytes, random.below(bytes.length + 1), word);
  },
  cut: (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  remove: (random, bytes) => {
    const [start, end] = span(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  repeat: (random, bytes) => {
    const [start, end] = span(random, bytes.length);
    const piece = bytes.subarray(start, end);
    return Buffer.concat([
      bytes.subarray(0, end),
      ...Array(random.between(1, 8)).fill(piece),
      bytes.subarray(end),
    ]);
  },
  move: (random, bytes) => {
    const [start, end] = span(random, bytes.length);
    return overwrite(bytes, random.below(bytes.length + 1), bytes.subarray(start, end));
  },
  insert: (random, bytes) => {
    const at = random.below(bytes.length + 1);
    const piece = Buffer.from(Array.from({ length: random.between(1, 12) }, () => random.below(256)));
    return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
  },
  splice: (random, bytes, others) => {
    const other = random.pick(others);
    const [start, end] = span(random, other.length, 400);
    return overwrite(bytes, random.below(bytes.length + 1), other.subarray(start, end));
  },
  grow: (random, bytes) => Buffer.concat([bytes, Buffer.alloc(random.between(1, 200), random.pick(telling))]),
};

const kinds = Object.keys(mutations);

export function mutateBytes(random, bytes, others) {
  let changed = bytes;
  for (let left = random.pick([1, 1, 1, 2, 2, 3, 5]); left > 0; left--) {
    changed = mutations[random.pick(kinds)](random, changed, others);
  }
  return changed;
}

/** Members of a zip that are stored as they are: where their data lies, and where their checksums stand. */
function storedMembers(bytes) {
  const members = [];
  for (let at = bytes.indexOf("PK\x01\x02"); at >= 0; at = bytes.indexOf("PK\x01\x02", at + 4)) {
    if (at + 46 > bytes.length || bytes.readUInt16LE(at + 10) !== 0) continue;
    const [size, local] = [bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 42)];
    if (local + 30 > bytes.length) continue;
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const name = bytes.toString("latin1", at + 46, at + 46 + bytes.readUInt16LE(at + 28));
    if (start + size <= bytes.length && size > 0) members.push({ name, start, size, central: at, local });
  }
  return members;
}

/** A change inside one member that keeps the archive sound, so that what reads the member is reached. */
function mutateMember(random, bytes) {
  const members = storedMembers(bytes);
  if (members.length === 0) return undefined;
  const pickles = members.filter(({ name }) => name.endsWith(".pkl"));
  const { start, size, central, local } = random.pick(
    pickles.length > 0 && random.chance(0.8) ? pickles : members,
  );
  const copy = Buffer.from(bytes);
  const inside = mutateBytes(random, bytes.subarray(start, start + size), [
    bytes.subarray(start, start + size),
  ]);
  inside.subarray(0, size).copy(copy, start);
  const sum = crc32(copy.subarray(start, start + size));
  copy.writeUInt32LE(sum, central + 16);
  copy.writeUInt32LE(sum, local + 14);
  return copy;
}

export function mutateArchive(random, bytes, others) {
  const isZip = bytes.subarray(0, 2).toString("latin1") === "PK";
  return (isZip && random.chance(0.6) && mutateMember(random, bytes)) || mutateBytes(random, bytes, others);
}

const tellingValues = [
  "null",
  "0",
  "-1",
  "1e999",
  "1e308",
  "-0",
  '"x"',
  "[]",
  "{}",
  "true",
  "NaN",
  "255",
  "0.5",
  "9007199254740993",
];

/** Changes of JSON texts by token; now and then by byte. */
export function mutateJson(random, bytes, others) {
  if (random.chance(0.25)) return mutateBytes(random, bytes, others);
  const tokens = bytes.toString("utf8").match(/"[^"]*"|[-\d.eE+]+|[^\s]|\s+/g) ?? [];
  for (let left = random.pick([1, 1, 2, 3]); left > 0; left--) {
    const at = random.below(tokens.length);
    if (random.chance(0.6)) tokens[at] = random.pick(tellingValues);
    else if (random.chance(0.5)) tokens.splice(at, random.between(1, 4));
    else tokens[at] = random.pick(tokens);
  }
  return Buffer.from(tokens.join(""));
}

const names = ["x", "", "w1", "input", "y"];
const opTypes = [
  "Relu",
  "Conv",
  "Add",
  "Reshape",
  "Concat",
  "Slice",
  "MaxPool",
  "Gemm",
  "MatMul",
  "Transpose",
  "Pad",
  "Gather",
  "Adder2d",
  "ReduceSum",
  "Expand",
  "Tile",
  "Split",
  "Clip",
  "Resize",
];
const integers = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  64n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];
const floats = [0, -0, 1, -1, 1e-45, 3.4e38, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const dims = [0, 1, 2, 3, 5, 64, 65536, 2 ** 31, 2 ** 40];

const attributeEdits = {
  INT: (random, attribute) => ({ ...attribute, value: random.pick(integers) }),
  FLOAT: (random, attribute) => ({ ...attribute, value: random.pick(floats) }),
  INTS: (random, { value, ...rest }) => {
    const changed = [...value];
    if (random.chance(0.3))
      changed.splice(random.below(changed.length + 1), random.below(2), random.pick(integers));
    else if (changed.length > 0) changed[random.below(changed.length)] = random.pick(integers);
    return { ...rest, value: changed };
  },
};

function pickNode(random, { graph, functions }) {
  const lists = [graph.nodes, graph.nodes, ...functions.map(({ nodes }) => nodes)].filter(
    ({ length }) => length > 0,
  );
  return lists.length === 0 ? undefined : random.pick(random.pick(lists));
}

const modelEdits = {
  attribute: (random, model) => {
    const node = pickNode(random, model);
    const entries = [...(node?.attributes ?? [])].filter(([, { type }]) =>
      Object.hasOwn(attributeEdits, type),
    );
    if (entries.length === 0) return;
    const [name, attribute] = random.pick(entries);
    node.attributes.set(name, attributeEdits[attribute.type](random, attribute));
  },
  dropAttribute: (random, model) => {
    const node = pickNode(random, model);
    const entries = [...(node?.attributes.keys() ?? [])];
    if (entries.length > 0) node.attributes.delete(random.pick(entries));
  },
  input: (random, model) => {
    const node = pickNode(random, model);
    if (node === undefined || node.inputs.length === 0) return;
    const known = [
      ...model.graph.initializers.keys(),
      ...model.graph.nodes.flatMap(({ outputs }) => outputs),
      ...names,
    ];
    node.inputs[random.below(node.inputs.length)] = random.pick(known);
  },
  fewerInputs: (random, model) => pickNode(random, model)?.inputs.pop(),
  swapInputs: (random, model) => pickNode(random, model)?.inputs.reverse(),
  opType: (random, model) => {
    const node = pickNode(random, model);
    if (node !== undefined) node.opType = random.pick(opTypes);
  },
  domain: (random, model) => {
    const node = pickNode(random, model);
    if (node !== undefined) node.domain = random.pick(["", "addernet", "mylib"]);
  },
  dropNode: (random, { graph }) => graph.nodes.splice(random.below(graph.nodes.length), 1),
  shape: (random, { graph }) => {
    graph.inputs = graph.inputs.map((info) => {
      const shape = info.type?.shape && [...info.type.shape];
      if (!shape || shape.length === 0) return info;
      shape[random.below(shape.length)] = random.pick([...dims, "N", null]);
      return { ...info, type: { ...info.type, shape } };
    });
  },
  values: (random, { graph }) => {
    const tensors = [...graph.initializers.values()].filter(({ data }) => data.length > 0);
    if (tensors.length === 0) return;
    const { data } = random.pick(tensors);
    const at = random.below(data.length);
    if (typeof data[at] === "bigint") data[at] = random.pick(integers);
    else if (typeof data[at] === "number") data[at] = random.pick(floats);
  },
  regroup: (random, { graph }) => {
    const entries = [...graph.initializers].filter(([, { dims: own }]) => own.length > 1);
    if (entries.length === 0) return;
    const [name, tensor] = random.pick(entries);
    graph.initializers.set(name, { ...tensor, dims: [...tensor.dims].reverse() });
  },
  opset: (random, { opsetImports }) => opsetImports.set("", random.between(5, 28)),
};

/** Changes of a model that leave a well-formed file: graphs that mean something else, or nothing. Bytes where it can no longer be written. */
export function mutateModel(random, bytes, others, { decodeModel, encodeModel }) {
  if (random.chance(0.4)) return mutateBytes(random, bytes, others);
  try {
    const model = decodeModel(bytes);
    for (let left = random.pick([1, 1, 1, 2, 3]); left > 0; left--) {
      modelEdits[random.pick(Object.keys(modelEdits))](random, model);
    }
    return Buffer.from(encodeModel(model).bytes);
  } catch {
    return mutateBytes(random, bytes, others);
  }
}
