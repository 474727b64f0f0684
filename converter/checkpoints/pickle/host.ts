// What a checkpoint's pickle may name, call and load. The list is closed: known globals are built, classes of the user's own become inert objects,
// everything else is refused by name.

import { checkpointError, quote } from "../checkpoint.ts";
import { torchStorages, torchTypes } from "../element-types.ts";
import {
  type Args,
  builders,
  type Context,
  countSize,
  type HostOptions,
  itemsOf,
  type StorageId,
} from "./known-globals.ts";
import { countSteps, type PickleHost, type StepCounter } from "./machine.ts";
import { arrayView, type Fail, integerOf } from "./numpy-values.ts";
import { isRefused, reachesThrough } from "./refused-modules.ts";
import { describe, isKind, makeObject, type PickledTensor, type PickleValue } from "./values.ts";

/** Classes that training scripts keep in a checkpoint: they may be made with arguments, and are never looked into. */
const opaqueClasses = new Set([
  "argparse.Namespace",
  "types.SimpleNamespace",
  "pathlib.Path",
  "pathlib.PosixPath",
  "pathlib.WindowsPath",
  "pathlib.PurePosixPath",
  "pathlib.PureWindowsPath",
  "pathlib._local.PosixPath",
  "pathlib._local.WindowsPath",
  "datetime.date",
  "datetime.time",
  "datetime.datetime",
  "datetime.timedelta",
  "decimal.Decimal",
  "uuid.UUID",
  "torch.torch_version.TorchVersion",
]);

/** Types and functions that may stand in a checkpoint as themselves. */
const nameable = new Set([
  ...["object", "dict", "tuple", "int", "float", "bool", "str", "complex"].flatMap((name) => [
    `builtins.${name}`,
    `__builtin__.${name}`,
  ]),
  ...["ndarray", "bool_", "float16", "float32", "float64", "int32", "int64", "uint8"].map(
    (name) => `numpy.${name}`,
  ),
  ...["Tensor", "relu", "tanh", "sigmoid", "strided", "preserve_format", "contiguous_format"].map(
    (name) => `torch.${name}`,
  ),
]);

/** Classes and functions of layers, optimizers and quantization: named, or made without arguments. */
const nameableModules = /^torch\.(nn|optim|ao|quantization)(\.|$)/;

const isTorchType = (name: string): boolean =>
  /^torch\.(cuda\.|storage\.)?\w+$/.test(name) &&
  (torchStorages.has(name.split(".").at(-1)!) || torchTypes.has(name.slice("torch.".length)));

function isAllowed(module: string, name: string): boolean {
  if (reachesThrough(name)) return false;
  const full = `${module}.${name}`;
  const isKnown = builders.has(full) || opaqueClasses.has(full) || nameable.has(full) || isTorchType(full);
  return isKnown || nameableModules.test(module) || !isRefused(module);
}

function buildDtype(target: Extract<PickleValue, { kind: "dtype" }>, state: PickleValue, fail: Fail): void {
  const order = itemsOf(state)[1];
  if (typeof order !== "string") throw fail("an array's element type has no byte order", describe(state));
  target.byteOrder = order;
}

/** (version, shape, dtype, is_fortran, content) */
function buildArray(target: PickledTensor, state: PickleValue, fail: Fail): void {
  const [, shape, dtype, isFortran, content] = itemsOf(state);
  if (content === undefined) throw fail("an array has no content", describe(state));
  target.view = arrayView({ shape: shape!, dtype: dtype!, content, isFortran: isFortran === true }, fail);
}

/** A state is a dictionary, or a pair of dictionaries where a class has slots. */
function buildObject(target: Extract<PickleValue, { kind: "object" }>, state: PickleValue): void {
  const parts = isKind(state, "tuple") ? state.items : [state];
  for (const part of parts) {
    if (!isKind(part, "dict")) continue;
    for (const [key, value] of part.entries) target.state.set(key, value);
  }
}

function build(target: PickleValue, state: PickleValue, { fail, steps }: Context): void {
  countSize([state, ...itemsOf(state)], steps);
  if (isKind(target, "object")) buildObject(target, state);
  else if (isKind(target, "dtype")) buildDtype(target, state, fail);
  else if (isKind(target, "tensor") && target.view === undefined) buildArray(target, state, fail);
  else if (!isKind(target, "dict", "tensor"))
    throw fail("a state is given to what has none", describe(target));
}

function call(callee: PickleValue, args: Args, context: Context): PickleValue {
  if (!isKind(callee, "global")) throw context.fail("what is called is no class", describe(callee));
  countSize(args, context.steps);
  const builder = builders.get(callee.name);
  if (builder !== undefined) return builder(args, context);
  if (args.length === 0 || opaqueClasses.has(callee.name)) return makeObject(callee.name);
  throw refusal(context.options.where, callee.name, "calls");
}

function refusal(where: string, name: string, verb: string): Error {
  return checkpointError(
    where,
    `the pickle ${verb} ${quote(name)}, which no checkpoint needs; nothing was run`,
    {
      expected: "tensors, dictionaries and modules",
      fix: "do not load this file in Python unless you trust its author; torch.save(model.state_dict(), …) writes one that can be read",
    },
  );
}

function storageId(id: PickleValue, fail: Fail): StorageId {
  const [, type, key, , count, part] = itemsOf(id);
  if (!isKind(type, "global") || (typeof key !== "string" && typeof key !== "number")) {
    throw fail("a storage has no type or no key", describe(type));
  }
  const [, offset, length] = itemsOf(part);
  return {
    typeName: type.name.split(".").at(-1)!,
    key: String(key),
    count: integerOf(count, fail),
    ...(part !== undefined && part !== null && { part: [integerOf(offset, fail), integerOf(length, fail)] }),
  };
}

/** ("storage", type, key, device, count[, part]), or ("module", class, …) as old files name a module's source. */
function load(id: PickleValue, { fail, options }: Context): PickleValue {
  const [tag, second] = itemsOf(id);
  if (tag === "module" && isKind(second, "global")) return second;
  if (tag !== "storage" || options.loadStorage === undefined) {
    throw fail("the pickle refers to something outside of it", describe(tag));
  }
  return { kind: "storage", storage: options.loadStorage(storageId(id, fail)) };
}

/** The host of one file's pickles, which share a count of steps. */
export function makeHost(options: HostOptions, steps: StepCounter = countSteps()): PickleHost {
  const fail: Fail = (problem, found) =>
    checkpointError(options.where, problem, found === undefined ? {} : { found });
  const context: Context = { fail, options, steps };
  const globals = new Map<string, PickleValue>();
  return {
    steps,
    resolve(module, name) {
      const full = `${module}.${name}`;
      const key = `${module}\n${name}`;
      const seen = globals.get(key);
      if (seen !== undefined) return seen;
      if (!isAllowed(module, name)) throw refusal(options.where, full, "names");
      const global: PickleValue = { kind: "global", name: full };
      globals.set(key, global);
      return global;
    },
    call: (callee, args) => call(callee, args, context),
    build: (target, state) => build(target, state, context),
    load: (id) => load(id, context),
  };
}
