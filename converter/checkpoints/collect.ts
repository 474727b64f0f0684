// From what a pickle holds to tensors by name: state dictionaries, the wrappers of training checkpoints, and whole modules.

import type { Tensor } from "../../src/core/tensor.ts";
import { checkpointError, type ModuleAttribute, type ModuleNode, quote } from "./checkpoint.ts";
import { describe, isKind, type PickledDict, type PickledObject, type PickleValue } from "./pickle/values.ts";
import { type Budget, readTensor, type TensorView } from "./tensor-view.ts";

/** Where training scripts keep the weights, in the order they are looked for. */
const wrapperKeys = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "net",
  "network",
  "module",
  "weights",
  "params",
];

export const mostTensors = 20_000;
const deepestWrapper = 6;
const deepestModule = 64;
/** Entries of dictionaries and modules looked at, those of shared ones each time: far beyond any network. */
const mostEntries = 1_000_000;

/** What may be known of a layer's geometry. */
const keptAttributes = [
  "stride",
  "padding",
  "dilation",
  "kernel_size",
  "groups",
  "eps",
  "output_size",
  "ceil_mode",
];

export interface Collected {
  readonly tensors: Map<string, Tensor>;
  readonly modules?: ModuleNode;
}

interface Views {
  readonly views: Map<string, TensorView>;
  readonly modules?: ModuleNode;
}

interface Walk {
  readonly where: string;
  entriesLeft: number;
}

function countEntry(walk: Walk): void {
  if (walk.entriesLeft-- > 0) return;
  throw checkpointError(walk.where, "the dictionaries or modules of the checkpoint are nested without end");
}

function addView(views: Map<string, TensorView>, name: string, value: PickleValue): void {
  if (isKind(value, "tensor") && value.view !== undefined) views.set(name, value.view);
}

/** Entries that are tensors; dictionaries of dictionaries give names with dots. */
function viewsOfDict(dict: PickledDict, walk: Walk): Map<string, TensorView> {
  const views = new Map<string, TensorView>();
  const visit = (part: PickledDict, prefix: string, depth: number): void => {
    for (const [key, value] of part.entries) {
      countEntry(walk);
      if (typeof key !== "string" && typeof key !== "number") continue;
      if (isKind(value, "dict") && depth < deepestWrapper) visit(value, `${prefix}${key}.`, depth + 1);
      else addView(views, `${prefix}${key}`, value);
    }
  };
  visit(dict, "", 0);
  return views;
}

const dictOf = (object: PickledObject, name: string): PickledDict | undefined => {
  const value = object.state.get(name);
  return isKind(value, "dict") ? value : undefined;
};

const isScripted = (value: PickledObject): boolean => value.className.startsWith("__torch__.");

/** An instance of torch.nn.Module, whatever its class; TorchScript keeps parameters and children among the attributes. */
function isModule(value: PickleValue | undefined): value is PickledObject {
  if (!isKind(value, "object")) return false;
  return (
    isScripted(value) ||
    (dictOf(value, "_parameters") !== undefined && dictOf(value, "_modules") !== undefined)
  );
}

function attributeOf(value: PickleValue | undefined): ModuleAttribute | undefined {
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") return value;
  if (!isKind(value, "tuple", "list")) return undefined;
  return value.items.every((item) => typeof item === "number") ? (value.items as number[]) : undefined;
}

function entriesOf(module: PickledObject): Iterable<[PickleValue, PickleValue]> {
  if (isScripted(module)) return module.state;
  return ["_parameters", "_buffers", "_modules"].flatMap((part) => [
    ...(dictOf(module, part)?.entries ?? []),
  ]);
}

/** Tensors and tree of a module. A module that is used twice gives its tensors under both names, as state_dict does. */
function viewsOfModule(root: PickledObject, walk: Walk): Views {
  const views = new Map<string, TensorView>();
  const visit = (module: PickledObject, prefix: string, depth: number): ModuleNode => {
    if (depth > deepestModule) walk.entriesLeft = 0;
    const children = new Map<string, ModuleNode>();
    for (const [key, value] of entriesOf(module)) {
      countEntry(walk);
      if (typeof key !== "string") continue;
      if (isModule(value)) children.set(key, visit(value, `${prefix}${key}.`, depth + 1));
      else addView(views, `${prefix}${key}`, value);
    }
    const attributes = keptAttributes
      .map((name) => [name, attributeOf(module.state.get(name))] as const)
      .filter((entry): entry is readonly [string, ModuleAttribute] => entry[1] !== undefined);
    return { className: module.className, attributes: new Map(attributes), children };
  };
  const modules = visit(root, "", 0);
  return { views, modules };
}

function viewsOf(value: PickleValue | undefined, walk: Walk, depth = 0): Views | undefined {
  if (isModule(value)) return viewsOfModule(value, walk);
  if (!isKind(value, "dict") || depth > deepestWrapper) return undefined;
  for (const key of wrapperKeys) {
    countEntry(walk);
    const inner = value.entries.get(key);
    const found = isKind(inner, "dict", "object") ? viewsOf(inner, walk, depth + 1) : undefined;
    if (found !== undefined && found.views.size > 0) return found;
  }
  const modules = [...value.entries.values()].filter(isModule);
  if (modules.length === 1) return viewsOfModule(modules[0]!, walk);
  return { views: viewsOfDict(value, walk) };
}

function nothingFound(value: PickleValue, where: string): Error {
  const keys = isKind(value, "dict")
    ? [...value.entries.keys()].slice(0, 8).map((key) => quote(String(key)))
    : [];
  return checkpointError(where, "the file holds no tensors by name", {
    expected: "a state_dict, a dictionary that wraps one, or a whole module",
    found: keys.length > 0 ? `a dictionary with ${keys.join(", ")}` : describe(value),
  });
}

export function tooManyTensors(count: number, where: string): Error {
  return checkpointError(where, "the checkpoint names more tensors than any network has", {
    expected: `at most ${mostTensors}`,
    found: `${count}`,
  });
}

/** Tensors, each materialised once however many names it has, and the tree of modules where there is one. Errors: ADN_CHECKPOINT. */
export function collectTensors(value: PickleValue, budget: Budget, where: string): Collected {
  const found = viewsOf(value, { where, entriesLeft: mostEntries });
  if (found === undefined || found.views.size === 0) throw nothingFound(value, where);
  if (found.views.size > mostTensors) throw tooManyTensors(found.views.size, where);
  const read = new Map<TensorView, Tensor>();
  const tensors = new Map<string, Tensor>();
  for (const [name, view] of found.views) {
    const tensor = read.get(view) ?? readTensor(view, budget, `${where}, tensor ${quote(name)}`);
    read.set(view, tensor);
    tensors.set(name, tensor);
  }
  return { tensors, ...(found.modules && { modules: found.modules }) };
}
