// The globals a checkpoint's pickle may call, each with what it builds here.

import { torchTypes } from "../element-types.ts";
import type { Budget, Storage } from "../tensor-view.ts";
import type { StepCounter } from "./machine.ts";
import { arrayView, type Fail, integerOf, integersOf, makeDtype } from "./numpy-values.ts";
import {
  describe,
  isKind,
  latin1Bytes,
  makeDict,
  makeObject,
  makeSequence,
  type PickledDict,
  type PickledSequence,
  type PickledTensor,
  type PickleValue,
} from "./values.ts";

/** What differs between containers. */
export interface HostOptions {
  readonly where: string;
  /** Shared by everything that is read from one file. */
  readonly budget: Budget;
  /** The storage a persistent id stands for. */
  readonly loadStorage?: (id: StorageId) => Storage;
  /** Reads a checkpoint inside the pickle, whose value is a storage. */
  readonly loadNested?: (bytes: Uint8Array, steps: StepCounter) => PickleValue;
}

export interface StorageId {
  readonly typeName: string;
  readonly key: string;
  readonly count: number;
  /** Offset and length of a part that stands for itself, as old files have. */
  readonly part?: readonly [offset: number, length: number];
}

export interface Context {
  readonly fail: Fail;
  readonly options: HostOptions;
  readonly steps: StepCounter;
}

export type Args = readonly PickleValue[];
export type Builder = (args: Args, context: Context) => PickleValue;

export function itemsOf(value: PickleValue | undefined): readonly PickleValue[] {
  return isKind(value, "list", "tuple", "set") ? value.items : [];
}

/** What it costs to look at a value and one level into it, in steps. */
function costOf(value: PickleValue | undefined): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length / 256;
  if (isKind(value, "dict")) return 8 * value.entries.size;
  return 1 + itemsOf(value).length;
}

/** Counts what a call or a state is made of: one large value may be used over and over. */
export function countSize(values: readonly PickleValue[], steps: StepCounter): void {
  steps.left -= values.reduce<number>((sum, value) => sum + costOf(value), 0);
}

const sequenceOf =
  (kind: PickledSequence["kind"]): Builder =>
  (args) =>
    makeSequence(kind, [...itemsOf(args[0])]);

/** OrderedDict() or, as Python 2 writes it, OrderedDict([[key, value], …]). */
function makeOrderedDict(args: Args, { fail }: Context): PickledDict {
  const dict = makeDict();
  for (const pair of itemsOf(args[0])) {
    const [key, value] = itemsOf(pair);
    if (key === undefined || value === undefined) throw fail("a dictionary's item is no pair");
    dict.entries.set(key, value);
  }
  return dict;
}

function withElementType(storage: Storage, type: PickleValue | undefined, fail: Fail): Storage {
  const name = isKind(type, "global") ? type.name.replace(/^torch\./, "") : "";
  const element = torchTypes.get(name);
  if (element === undefined) throw fail("a tensor's element type is not read", describe(type));
  const bytes = storage.count * storage.bytesPerElement;
  return { ...storage, ...element, typeName: name, count: Math.floor(bytes / element.bytesPerElement) };
}

/** (storage, offset, size, stride, requires_grad, hooks, …): the element type follows the hooks in the third version. */
function rebuildTensor(args: Args, context: Context, type?: PickleValue): PickledTensor {
  const { fail } = context;
  const [storage, offset, size, stride] = args;
  if (!isKind(storage, "storage")) throw fail("a tensor has no storage", describe(storage));
  return {
    kind: "tensor",
    view: {
      storage: type === undefined ? storage.storage : withElementType(storage.storage, type, fail),
      offset: integerOf(offset, fail),
      dims: integersOf(size, fail),
      strides: integersOf(stride, fail),
    },
  };
}

/** Tensors that are kept negated or conjugated would need a pass over their elements. */
function rebuildTensorV2(args: Args, context: Context): PickledTensor {
  const flags = args[6];
  if (isKind(flags, "dict") && [...flags.entries.values()].includes(true)) {
    throw context.fail("a tensor is kept negated or conjugated: save it with .resolve_neg().resolve_conj()");
  }
  return rebuildTensor(args, context);
}

function encodeText(args: Args, { fail, options }: Context): Uint8Array {
  const [text, encoding] = args;
  if (typeof text !== "string" || !/^(latin[-_]?1|iso-8859-1)$/i.test(String(encoding ?? "latin1"))) {
    throw fail("text is encoded in a way that is not read", describe(encoding));
  }
  options.budget.bytesLeft -= text.length;
  const bytes = options.budget.bytesLeft < 0 ? undefined : latin1Bytes(text);
  if (bytes === undefined) throw fail("text that stands for bytes is none, or is far larger than the file");
  return bytes;
}

/** bytes() is how old protocols write b""; bytearray(text, encoding) and bytearray(bytes) how they write others. */
function makeBytes(args: Args, context: Context): PickleValue {
  if (args.length === 0) return new Uint8Array(0);
  return args[0] instanceof Uint8Array ? args[0] : encodeText(args, context);
}

function frombuffer(args: Args, { fail }: Context): PickledTensor {
  const [content, dtype, shape, order] = args;
  const view = arrayView({ content: content!, dtype: dtype!, shape: shape!, isFortran: order === "F" }, fail);
  return { kind: "tensor", view };
}

/** A NumPy scalar is an array of no dimensions. */
function scalar(args: Args, { fail }: Context): PickledTensor {
  const [dtype, content] = args;
  const shape = makeSequence("tuple", []);
  return {
    kind: "tensor",
    view: arrayView({ content: content!, dtype: dtype!, shape, isFortran: false }, fail),
  };
}

function loadFromBytes(args: Args, { fail, options, steps }: Context): PickleValue {
  const [bytes] = args;
  if (!(bytes instanceof Uint8Array) || options.loadNested === undefined) {
    throw fail("a tensor inside a pickle holds no bytes, or another pickle");
  }
  return options.loadNested(bytes, steps);
}

/** `_reconstructor(cls, object, None)` and `__newobj__(cls)`: an instance without arguments. */
function newObject(args: Args, { fail }: Context): PickleValue {
  const [type] = args;
  if (!isKind(type, "global")) throw fail("an object has no class", describe(type));
  return makeObject(type.name);
}

const firstArgument: Builder = (args, { fail }) => {
  if (args[0] === undefined) throw fail("an argument is missing");
  return args[0];
};

const numpyBuilders: Readonly<Record<string, Builder>> = {
  "multiarray._reconstruct": () => ({ kind: "tensor" }),
  "multiarray.scalar": scalar,
  "numeric._frombuffer": frombuffer,
};

/** Both homes that NumPy's internals have had. */
const numpyCore = Object.entries(numpyBuilders).flatMap(([name, builder]) =>
  ["numpy.core.", "numpy._core."].map((home): [string, Builder] => [`${home}${name}`, builder]),
);

const setBuilders = ["builtins", "__builtin__"].flatMap((module): [string, Builder][] => [
  [`${module}.set`, sequenceOf("set")],
  [`${module}.frozenset`, sequenceOf("set")],
  [`${module}.list`, sequenceOf("list")],
  [`${module}.bytes`, makeBytes],
  [`${module}.bytearray`, makeBytes],
]);

const objectBuilders = ["copyreg", "copy_reg"].flatMap((module): [string, Builder][] => [
  [`${module}._reconstructor`, newObject],
  [`${module}.__newobj__`, newObject],
]);

/** By "module.name". */
export const builders: ReadonlyMap<string, Builder> = new Map<string, Builder>([
  ["collections.OrderedDict", makeOrderedDict],
  ["collections.defaultdict", makeDict],
  ["collections.Counter", makeDict],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensorV2],
  ["torch._utils._rebuild_tensor_v3", (args, context) => rebuildTensor(args, context, args[6] ?? null)],
  ["torch._utils._rebuild_parameter", firstArgument],
  ["torch._utils._rebuild_parameter_with_state", firstArgument],
  ["torch._tensor._rebuild_from_type_v2", (args, context) => rebuildFromType(args, context)],
  ["torch.storage._load_from_bytes", loadFromBytes],
  ["torch.Size", sequenceOf("tuple")],
  ["torch.device", (args) => args[0] ?? null],
  ...["intlist", "doublelist", "boollist", "tensorlist"].map((name): [string, Builder] => [
    `torch.jit._pickle.build_${name}`,
    sequenceOf("list"),
  ]),
  ["torch.jit._pickle.restore_type_tag", firstArgument],
  ["numpy.dtype", (args, { fail }) => makeDtype(args[0], fail)],
  ...numpyCore,
  ["_codecs.encode", encodeText],
  ...setBuilders,
  ...objectBuilders,
]);

/** (function, type, arguments, state): the function is one of the rebuilders above. */
function rebuildFromType(args: Args, context: Context): PickleValue {
  const [rebuilder, , inner] = args;
  const builder = isKind(rebuilder, "global") ? tensorRebuilders.get(rebuilder.name) : undefined;
  if (builder === undefined)
    throw context.fail("a tensor is rebuilt in a way that is not read", describe(rebuilder));
  countSize(itemsOf(inner), context.steps);
  return builder(itemsOf(inner), context);
}

const tensorRebuilders: ReadonlyMap<string, Builder> = new Map(
  [...builders].filter(([name]) => name.startsWith("torch._utils.")),
);
