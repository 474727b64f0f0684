// Runs a graph by the references of its ops: slow, plain, and the meaning that everything else is checked against.

import { byteLengthOf, type DataType, dataTypes, isFloat } from "./dtype.ts";
import { AdderNetError } from "./errors.ts";
import { bindCall, calledFunction } from "./functions.ts";
import { definitionOf } from "./infer-shapes.ts";
import {
  chainFunction,
  constantNumbers,
  type DeferredTensor,
  defer,
  deferFurther,
  reductionChains,
  sumDeferred,
} from "./interpret-reduction.ts";
import { nodeLabel } from "./ir/attributes.ts";
import type { Attribute, FunctionBody, Graph, Node, ValueInfo } from "./ir/model.ts";
import { topologicalOrder } from "./ir/walk.ts";
import { castTensor } from "./ops/cast.ts";
import type { OpDefinition, OpTable } from "./ops/define-op.ts";
import { factOf } from "./ops/facts.ts";
import { computedFloats } from "./ops/operands.ts";
import { elementCount, type Tensor } from "./tensor.ts";

export interface InterpretOptions {
  /** Widens every float of the graph and of the feeds to float64, and computes in that. */
  readonly float64?: boolean;
  /** Model-local functions; a call of one runs its body where the op itself has no reference. */
  readonly functions?: readonly FunctionBody[];
  /** Most elements that one tensor may have; 2^28 when absent. */
  readonly maxElements?: number;
  /** Called after each node, those in functions included; nodes inside a chain that is summed without being held are left out. */
  readonly onNode?: (node: Node, outputs: readonly (Tensor | undefined)[]) => void;
  /** Values to answer besides the graph's outputs. */
  readonly keep?: ReadonlySet<string>;
}

/** Above this many elements a difference that is only summed is not held. */
const largestHeldDifference = 65536;
/** Most elements that are summed without being held: minutes of work. */
const mostSummed = 2 ** 34;

interface Settings {
  readonly ops: OpTable;
  readonly functions: readonly FunctionBody[];
  readonly float64: boolean;
  readonly maxElements: number;
  readonly onNode: NonNullable<InterpretOptions["onNode"]>;
}

type OpSets = ReadonlyMap<string, number>;

/** What a node means: the reference of its op, else the body of the function it calls. */
function meaningOf(node: Node, opsets: OpSets, { ops, functions }: Pick<Settings, "ops" | "functions">) {
  const known = definitionOf(node, ops, opsets);
  if (known?.definition.reference !== undefined) return known;
  const body = calledFunction(node, functions);
  return body === undefined ? undefined : { body };
}

type Part = Pick<Settings, "ops" | "functions">;

function missingLabel(node: Node, opsets: OpSets, ops: OpTable): string {
  const isKnown = ops.get(node.domain, node.opType)?.reference !== undefined;
  return isKnown ? `${nodeLabel(node)} (opset ${opsets.get(node.domain) ?? "?"})` : nodeLabel(node);
}

/** Every node without a meaning, those inside called functions included. */
function unsupportedNodes(
  nodes: readonly Node[],
  opsets: OpSets,
  part: Part,
  calls: FunctionBody[] = [],
): string[] {
  return nodes.flatMap((node) => {
    const meaning = meaningOf(node, opsets, part);
    if (meaning === undefined) return [missingLabel(node, opsets, part.ops)];
    if (!("body" in meaning)) return [];
    if (calls.includes(meaning.body)) {
      throw new AdderNetError("ADN_ONNX_MODEL", "a function calls itself", { where: nodeLabel(node) });
    }
    const inner = bindCall(node, meaning.body);
    return unsupportedNodes(inner, meaning.body.opsetImports, part, [...calls, meaning.body]);
  });
}

function requireSupported(graph: Graph, opsets: OpSets, part: Part): void {
  const missing = unsupportedNodes(graph.nodes, opsets, part);
  if (missing.length === 0) return;
  throw new AdderNetError("ADN_OP_UNSUPPORTED", `no reference for ${missing.join(", ")}`, {
    fix: "run the model with onnxruntime",
  });
}

/** In float64 mode every float type stands for float64. */
function widened(tensor: Tensor, float64: boolean): Tensor {
  return float64 && isFloat(tensor.type) ? castTensor(tensor, "float64", "") : tensor;
}

function widenedAttribute(name: string, attribute: Attribute): Attribute {
  if (attribute.type === "TENSOR") return { ...attribute, value: widened(attribute.value, true) };
  const namesFloat =
    attribute.type === "INT" &&
    (name === "to" || name === "dtype") &&
    ["float32", "float16", "bfloat16"].some(
      (type) => dataTypes[type as DataType].onnx === Number(attribute.value),
    );
  return namesFloat ? { ...attribute, value: BigInt(dataTypes.float64.onnx) } : attribute;
}

/** The node with the float types that its attributes name or hold widened. */
function widenedNode(node: Node): Node {
  const attributes = [...node.attributes].map(
    ([name, attribute]) => [name, widenedAttribute(name, attribute)] as const,
  );
  return { ...node, attributes: new Map(attributes) };
}

function feedError(name: string, problem: string, expected?: string, found?: string): AdderNetError {
  return new AdderNetError("ADN_FEED", problem, {
    where: `input "${name}"`,
    ...(expected !== undefined && { expected }),
    ...(found !== undefined && { found }),
  });
}

function requireConsistent(name: string, { type, data, dims }: Tensor): void {
  if (!Object.hasOwn(dataTypes, type)) throw feedError(name, "the type is unknown", undefined, `${type}`);
  const { array } = dataTypes[type];
  if (array !== "raw" && (array === "string" ? !Array.isArray(data) : !(data instanceof array))) {
    throw feedError(name, "the data is no array of its type", array === "string" ? "string[]" : array.name);
  }
  const length = array === "raw" ? byteLengthOf(type, elementCount(dims)) : elementCount(dims);
  if (length === data.length) return;
  const unit = array === "raw" ? "bytes" : "elements";
  throw feedError(name, "data and dims disagree", `${length} ${unit}`, `${data.length}`);
}

function requireFit(info: ValueInfo, tensor: Tensor, float64: boolean): void {
  requireConsistent(info.name, tensor);
  if (info.type?.kind !== "tensor") return;
  const { elemType, shape } = info.type;
  const isEqual = tensor.type === elemType || (float64 && isFloat(tensor.type) && isFloat(elemType));
  if (!isEqual) throw feedError(info.name, "the type is wrong", elemType, tensor.type);
  const fits = shape?.every((dim, axis) => typeof dim !== "number" || dim === tensor.dims[axis]) ?? true;
  if (fits && (shape === undefined || shape.length === tensor.dims.length)) return;
  const expected = shape!.map((dim) => dim ?? "?").join(", ");
  throw feedError(info.name, "the shape is wrong", `[${expected}]`, `[${tensor.dims.join(", ")}]`);
}

/** Feeds and initialisers by name, checked against what the graph declares. */
function startValues(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  float64: boolean,
): Map<string, Tensor> {
  const values = new Map<string, Tensor>();
  const declared = new Map([...graph.overridable, ...graph.inputs].map((info) => [info.name, info]));
  for (const name of feeds.keys()) {
    if (declared.has(name)) continue;
    const names = graph.inputs.map((info) => info.name).join(", ");
    throw feedError(name, "the graph has no such input", names || "no inputs");
  }
  for (const [name, tensor] of graph.initializers) values.set(name, widened(tensor, float64));
  for (const info of declared.values()) {
    const feed = feeds.get(info.name);
    if (feed === undefined) continue;
    requireFit(info, feed, float64);
    values.set(info.name, widened(feed, float64));
  }
  const missing = graph.inputs.filter(({ name }) => !values.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new AdderNetError("ADN_FEED", `nothing is fed to ${missing.map((name) => `"${name}"`).join(", ")}`);
  }
  return values;
}

/** Without images there are no elements, but what references note about each position of a map takes room all the same. */
function requireRoom(node: Node, dims: readonly number[], maxElements: number): void {
  const count = elementCount(dims.map((length) => Math.max(1, length)));
  if (count <= maxElements) return;
  throw new AdderNetError("ADN_LIMIT", "a tensor would be too large", {
    where: nodeLabel(node),
    expected: `at most ${maxElements} elements`,
    found: `${count}, shape [${dims.join(", ")}]`,
    fix: "use a smaller batch or input",
  });
}

/** One graph or function body on its way. */
interface Run {
  readonly settings: Settings;
  readonly opsets: OpSets;
  readonly values: Map<string, Tensor>;
  readonly deferred: Map<string, DeferredTensor>;
  readonly chains: ReadonlySet<Node>;
  readonly numberOf: (name: string) => number | undefined;
}

type Known = { readonly definition: OpDefinition; readonly opset: number };

function inputsOf(node: Node, { values }: Run): (Tensor | undefined)[] {
  return node.inputs.map((name) => {
    const tensor = values.get(name);
    if (tensor !== undefined || name === "") return tensor;
    throw new AdderNetError("ADN_ONNX_MODEL", `no node makes the value "${name}"`, {
      where: nodeLabel(node),
    });
  });
}

/** Takes a node of a reduction chain as far as it can be taken without holding the difference. */
function runDeferred(node: Node, { definition, opset }: Known, run: Run): Tensor | "deferred" {
  const before = run.deferred.get(node.inputs[0]!)!;
  run.deferred.delete(node.inputs[0]!);
  const scalar = chainFunction(node, run.numberOf);
  if (scalar === undefined) {
    return sumDeferred(node, before, run.values.get(node.inputs[1] ?? ""), definition, opset);
  }
  run.deferred.set(node.outputs[0]!, deferFurther(before, scalar));
  return "deferred";
}

function runOp(node: Node, known: Known, run: Run): readonly Tensor[] | "deferred" {
  if (run.deferred.has(node.inputs[0] ?? "")) {
    const result = runDeferred(node, known, run);
    return result === "deferred" ? result : [result];
  }
  const { definition, opset } = known;
  const context = { opset, where: nodeLabel(node) };
  const meant = run.settings.float64 ? widenedNode(node) : node;
  const inputs = inputsOf(meant, run);
  const facts = inputs.map((tensor) => tensor && factOf(tensor));
  const shapes = definition.infer(meant, facts, context).map((fact) => fact?.shape);
  const [dims] = shapes as [readonly number[]];
  const isDeferrable =
    run.chains.has(node) && inputs.every((tensor) => computedFloats.includes(tensor!.type));
  if (isDeferrable && elementCount(dims) > largestHeldDifference) {
    requireRoom(node, dims, mostSummed);
    run.deferred.set(node.outputs[0]!, defer(node, inputs[0]!, inputs[1]!, dims));
    return "deferred";
  }
  for (const shape of shapes) {
    if (shape?.every((dim) => typeof dim === "number")) {
      requireRoom(node, shape as readonly number[], run.settings.maxElements);
    }
  }
  const outputs = definition.reference!(meant, inputs, context);
  return outputs.map((tensor) => widened(tensor, run.settings.float64));
}

function runCall(node: Node, body: FunctionBody, run: Run): readonly (Tensor | undefined)[] {
  const values = new Map<string, Tensor>();
  for (const [index, tensor] of inputsOf(node, run).entries()) {
    if (tensor !== undefined) values.set(body.inputs[index]!, tensor);
  }
  const graph: Graph = {
    name: body.name,
    inputs: [],
    outputs: body.outputs.map((name) => ({ name })),
    nodes: bindCall(node, body),
    initializers: new Map(),
    overridable: [],
    valueInfo: new Map(),
  };
  runNodes(graph, body.opsetImports, values, run.settings, new Set(body.outputs));
  return body.outputs.map((name) => values.get(name));
}

/** How often each value is still to be read. */
function readCounts(nodes: readonly Node[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of nodes.flatMap((node) => node.inputs)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Runs every node into `values`; values that are not kept go after their last reader. */
function runNodes(
  graph: Graph,
  opsets: OpSets,
  values: Map<string, Tensor>,
  settings: Settings,
  kept: ReadonlySet<string>,
): void {
  const left = readCounts(graph.nodes);
  const chains = reductionChains(graph, (name) => kept.has(name));
  const numberOf = constantNumbers(graph);
  const run: Run = { settings, opsets, values, deferred: new Map(), chains, numberOf };
  for (const node of topologicalOrder(graph.nodes)) {
    const meaning = meaningOf(node, opsets, settings)!;
    const outputs = "body" in meaning ? runCall(node, meaning.body, run) : runOp(node, meaning, run);
    if (outputs !== "deferred") {
      for (const [index, name] of node.outputs.entries()) {
        const isRead = kept.has(name) || left.has(name);
        if (name !== "" && isRead && outputs[index] !== undefined) values.set(name, outputs[index]);
      }
      settings.onNode(node, outputs);
    }
    for (const name of node.inputs) {
      left.set(name, left.get(name)! - 1);
      if (left.get(name) === 0 && !kept.has(name)) values.delete(name);
    }
  }
}

/**
 * The graph's outputs (and the values of `keep`) for the given feeds, by the references of the ops. Throws ADN_OP_UNSUPPORTED
 * naming every node without a reference, ADN_FEED for missing or unfit feeds, ADN_LIMIT before a tensor grows too large.
 */
export function interpret(
  graph: Graph,
  opsets: ReadonlyMap<string, number>,
  ops: OpTable,
  feeds: ReadonlyMap<string, Tensor>,
  options: InterpretOptions = {},
): Map<string, Tensor> {
  const settings: Settings = {
    ops,
    functions: options.functions ?? [],
    float64: options.float64 ?? false,
    maxElements: options.maxElements ?? 2 ** 28,
    onNode: options.onNode ?? (() => undefined),
  };
  requireSupported(graph, opsets, settings);
  const values = startValues(graph, feeds, settings.float64);
  const kept = new Set([...graph.outputs.map(({ name }) => name), ...(options.keep ?? [])]);
  runNodes(graph, opsets, values, settings, kept);
  const answers = new Map<string, Tensor>();
  for (const name of kept) {
    const tensor = values.get(name);
    if (tensor === undefined) {
      throw new AdderNetError("ADN_ONNX_MODEL", `no node makes the value "${name}"`, {
        where: "graph outputs",
      });
    }
    answers.set(name, tensor);
  }
  return answers;
}
