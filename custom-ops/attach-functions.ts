// Function bodies in models: added so that any engine runs the file, dropped where our kernels do, or written out in place.

import { AdderNetError } from "../src/core/errors.ts";
import { inferShapes } from "../src/core/infer-shapes.ts";
import { intAttribute, intsAttribute, nodeLabel, tensorAttribute } from "../src/core/ir/attributes.ts";
import { addInitializer, freshName, namesIn, replaceNode, subgraphsOf } from "../src/core/ir/edit.ts";
import type { Attribute, Dim, FunctionBody, Graph, Model, Node } from "../src/core/ir/model.ts";
import { indexGraph } from "../src/core/ir/walk.ts";
import { float32Tensor, int64Tensor, type NumberArray, type Tensor } from "../src/core/tensor.ts";
import { adderWindow } from "./adder-window.ts";
import {
  closeBounds,
  type FunctionForm,
  functionForms,
  type NeutralInput,
  openBounds,
  variantFor,
} from "./function-forms.ts";
import { ops } from "./index.ts";

const domain = "addernet";

interface PlacedNode {
  readonly node: Node;
  readonly graph: Graph;
  readonly form: FunctionForm;
}

function formOf(opDomain: string, opType: string): FunctionForm | undefined {
  return functionForms.find(({ op }) => op.domain === opDomain && op.opType === opType);
}

/** Every node of our ops with the graph it stands in; those of branches and loops included. */
function adderNodes(graph: Graph): PlacedNode[] {
  return graph.nodes.flatMap((node) => {
    const form = formOf(node.domain, node.opType);
    return [...(form ? [{ node, graph, form }] : []), ...subgraphsOf(node).flatMap(adderNodes)];
  });
}

/** The shape of a value as far as the graph, or else the whole model, states it. */
function shapeOf(model: Model, graph: Graph, name: string): readonly Dim[] | undefined {
  for (const part of [graph, model.graph]) {
    const tensor = part.initializers.get(name);
    if (tensor !== undefined) return tensor.dims;
    const info =
      part.valueInfo.get(name) ?? [...part.inputs, ...part.overridable].find((input) => input.name === name);
    if (info?.type?.kind === "tensor" && info.type.shape !== undefined) return info.type.shape;
  }
  return undefined;
}

/** The shape that follows from what the model states of its inputs. */
function inferredShape({ graph, opsetImports, functions }: Model, name: string): readonly Dim[] | undefined {
  return inferShapes(graph, opsetImports, ops, { functions }).get(name)?.shape;
}

/** Writes out every attribute that the function body refers to. */
function makeExplicit(model: Model, { node, graph, form }: PlacedNode, clips: boolean): void {
  const inputs = form.windowInputs.map((index) => {
    const name = node.inputs[index]!;
    const stated = shapeOf(model, graph, name);
    return stated === undefined && node.attributes.has("auto_pad") ? inferredShape(model, name) : stated;
  });
  const [size, kernel] = inputs.map((shape) => (shape ?? [null, null, null, null]).slice(2));
  const where = nodeLabel(node);
  const { strides, pads, dilations, group } = adderWindow(node, size!, kernel!, where);
  node.attributes.delete("auto_pad");
  node.attributes.set("strides", intsAttribute(strides));
  node.attributes.set("pads", intsAttribute(pads));
  node.attributes.set("dilations", intsAttribute(dilations));
  node.attributes.set("group", intAttribute(group));
  for (const [name, attribute] of form.attributes(node, where)) node.attributes.set(name, attribute);
  if (clips) closeBounds(form, node);
}

function filtersOf(model: Model, { node, graph }: PlacedNode): number {
  const lengths = [1, 2, 3].map((index) => shapeOf(model, graph, node.inputs[index] ?? "")?.[0]);
  const filters = lengths.find((length) => typeof length === "number");
  if (filters !== undefined) return filters as number;
  throw new AdderNetError("ADN_SHAPE", "the number of filters is unknown", {
    where: nodeLabel(node),
    expected: "W with a known shape",
  });
}

function neutralTensor({ type, value, perFilter }: NeutralInput, filters: () => number): Tensor {
  const [count, dims] = perFilter ? [filters(), [filters()]] : [1, []];
  if (type === "float32") return float32Tensor(new Array<number>(count).fill(value), dims);
  return { type, data: new Uint8Array(count).fill(value), dims };
}

/** Gives a node the inputs it lacks; nodes share the constants for that. */
function fillInputs(model: Model, placed: PlacedNode, count: number, shared: Map<string, string>): void {
  const { node, form } = placed;
  while (node.inputs.length < count) node.inputs.push("");
  for (const input of form.neutralInputs.flat()) {
    if (input.index >= count || node.inputs[input.index] !== "") continue;
    const tensor = neutralTensor(input, () => filtersOf(model, placed));
    const wanted = [input.name, ...tensor.dims].join("_");
    const name = shared.get(wanted) ?? addInitializer(model.graph, wanted, tensor);
    shared.set(wanted, name);
    node.inputs[input.index] = name;
  }
}

function isNeutral(node: Node, { index, type, value }: NeutralInput, graphs: readonly Graph[]): boolean {
  const name = node.inputs[index] ?? "";
  if (graphs.some(({ overridable }) => overridable.some((input) => input.name === name))) return false;
  const tensor = graphs
    .map(({ initializers }) => initializers.get(name))
    .find((found) => found !== undefined);
  return tensor?.type === type && (tensor.data as NumberArray).every((element) => element === value);
}

/**
 * Takes back what `makeExplicit` and `fillInputs` add: bounds that never clip and inputs that change nothing. Answers the
 * names of those inputs.
 */
function dropNeutral({ node, graph, form }: PlacedNode, root: Graph): string[] {
  for (const name of openBounds(form, node)) node.attributes.delete(name);
  const dropped: string[] = [];
  for (const group of form.neutralInputs) {
    if (!group.every((input) => isNeutral(node, input, [graph, root]))) continue;
    for (const { index } of group) {
      dropped.push(node.inputs[index]!);
      node.inputs[index] = "";
    }
  }
  while (node.inputs.at(-1) === "") node.inputs.pop();
  return dropped;
}

/** Drops the function bodies of our own ops, and the inputs that only a body needs: for a reader with kernels. */
export function detachFunctions(model: Model): void {
  model.functions = model.functions.filter((body) => formOf(body.domain, body.name) === undefined);
  const dropped = adderNodes(model.graph).flatMap((placed) => dropNeutral(placed, model.graph));
  const { consumers, outputs } = indexGraph(model.graph);
  for (const name of dropped) {
    if (!consumers.has(name) && !outputs.has(name)) model.graph.initializers.delete(name);
  }
}

/** The version of the standard ops that bodies are written in: the model's, or one of our choice where it has none. */
function standardOpset(model: Model): number {
  const opset = model.opsetImports.get("") ?? 17;
  model.opsetImports.set("", opset);
  return opset;
}

/** Brings the nodes of one op to one form and answers the body for them, plain where it is to be found again. */
function bodyFor(
  model: Model,
  form: FunctionForm,
  placed: readonly PlacedNode[],
  shared: Map<string, string>,
  isPlain: boolean,
): FunctionBody {
  const nodes = placed.map(({ node }) => node);
  const variant = { ...variantFor(form, nodes), isPlain };
  for (const place of placed) {
    makeExplicit(model, place, variant.clips);
    fillInputs(model, place, variant.inputs, shared);
  }
  return form.body(variant, standardOpset(model));
}

/**
 * Makes the model run on any ONNX engine: all nodes of one op of ours get the same inputs and explicit attributes, and the
 * model a function body for them. Replaces what an earlier call did; calling it twice changes nothing. ADN_SHAPE where a node
 * has auto_pad and the height and width of its input do not follow from the model's inputs, ADN_OPSET where the model's opset is too old for a body.
 */
export function attachFunctions(model: Model): void {
  detachFunctions(model);
  const placed = adderNodes(model.graph);
  if (placed.length === 0) {
    model.opsetImports.delete(domain);
    return;
  }
  const shared = new Map<string, string>();
  for (const form of functionForms) {
    const own = placed.filter((place) => place.form === form);
    if (own.length > 0) model.functions.push(bodyFor(model, form, own, shared, false));
  }
  model.opsetImports.set(domain, 1);
}

/** The value of a Constant as a tensor: readers of graphs know that form best. */
function constantValue(
  name: string,
  { type, value }: Attribute & { value?: unknown },
): [string, Attribute] | undefined {
  if (name === "value_float" && type === "FLOAT")
    return ["value", tensorAttribute(float32Tensor([value as number], []))];
  if (name === "value_int" && type === "INT")
    return ["value", tensorAttribute(int64Tensor([Number(value)], []))];
  return undefined;
}

/** A body's attribute in the place of a call: references become what the call gives, and vanish where it gives nothing. */
function boundAttributes(node: Node, call: Node): Map<string, Attribute> {
  const entries = [...node.attributes].flatMap(([name, attribute]): [string, Attribute][] => {
    const value = attribute.type === "REF" ? call.attributes.get(attribute.name) : attribute;
    if (value === undefined) return [];
    return [constantValue(name, value) ?? [name, value]];
  });
  return new Map(entries);
}

/** The nodes of a body under names of the calling graph. */
function bodyNodes(body: FunctionBody, call: Node, taken: Set<string>): Node[] {
  const names = new Map<string, string>([["", ""]]);
  body.inputs.forEach((name, index) => {
    names.set(name, call.inputs[index] ?? "");
  });
  body.outputs.forEach((name, index) => {
    names.set(name, call.outputs[index] ?? "");
  });
  const label = call.name || call.outputs[0]!;
  const renamed = (name: string): string => {
    const known = names.get(name) ?? freshName(taken, `${label}/${name}`);
    names.set(name, known);
    return known;
  };
  return body.nodes.map((node) => ({
    ...node,
    name: `${label}/${node.name}`,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
    attributes: boundAttributes(node, call),
  }));
}

/** Replaces every node of our ops by standard ops. No trace of the addernet domain is left. */
export function inlineFunctions(model: Model): void {
  detachFunctions(model);
  const taken = namesIn(model.graph);
  for (const place of adderNodes(model.graph)) {
    const body = bodyFor(model, place.form, [place], new Map(), true);
    replaceNode(place.graph, place.node, ...bodyNodes(body, place.node, taken));
  }
  model.opsetImports.delete(domain);
}
