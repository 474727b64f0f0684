// Random sound models for fast-check: any attribute, any element type, subgraphs that capture, functions, notes.

import fc from "fast-check";
import { byteLengthOf, type DataType, dataTypes } from "../../src/core/dtype.ts";
import type { Attribute, Dim, FunctionBody, Graph, Model, Node, ValueInfo } from "../../src/core/ir/model.ts";
import { elementCount, type Tensor, type TensorData } from "../../src/core/tensor.ts";

const typeNames = Object.keys(dataTypes) as DataType[];
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const float32 = fc.float({ noDefaultInfinity: false });
const bytes = fc.uint8Array({ maxLength: 6 });
const text = fc.string({ unit: "grapheme", maxLength: 8 });
const word = text.filter((value) => value !== "");
const notes = fc
  .dictionary(word, text, { minKeys: 1, maxKeys: 3 })
  .map((entries) => new Map(Object.entries(entries)));

function dataOf(type: DataType, dims: readonly number[], seed: Uint8Array): TensorData {
  const { array } = dataTypes[type];
  const count = elementCount(dims);
  if (array === "string") return Array.from({ length: count }, (_, index) => `s${seed[index % seed.length]}`);
  const raw = Uint8Array.from(
    { length: byteLengthOf(type, count) },
    (_, index) => seed[index % seed.length]!,
  );
  if (type === "bool") return raw.map((byte) => byte & 1);
  return array === "raw" ? raw : new array(raw.buffer);
}

const tensor: fc.Arbitrary<Tensor> = fc
  .record({
    type: fc.constantFrom(...typeNames),
    dims: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
    seed: fc.uint8Array({ minLength: 1, maxLength: 16 }),
  })
  .map(({ type, dims, seed }) => ({ type, dims, data: dataOf(type, dims, seed) }));

const dim: fc.Arbitrary<Dim> = fc.oneof(fc.constant(null), word, fc.maxSafeNat());

const valueType: fc.Arbitrary<Pick<ValueInfo, "type">> = fc
  .record({ elemType: fc.constantFrom(...typeNames), shape: fc.option(fc.array(dim, { maxLength: 4 })) })
  .map(({ elemType, shape }) => ({ type: { kind: "tensor", elemType, ...(shape && { shape }) } }));

const anyType = fc.oneof(fc.constant<Pick<ValueInfo, "type">>({}), valueType);

/** Attributes without graphs. */
const plainAttribute: fc.Arbitrary<Attribute> = fc.oneof(
  float32.map((value): Attribute => ({ type: "FLOAT", value })),
  int64.map((value): Attribute => ({ type: "INT", value })),
  bytes.map((value): Attribute => ({ type: "STRING", value })),
  tensor.map((value): Attribute => ({ type: "TENSOR", value })),
  fc.array(float32, { maxLength: 4 }).map((value): Attribute => ({ type: "FLOATS", value })),
  fc.array(int64, { maxLength: 4 }).map((value): Attribute => ({ type: "INTS", value })),
  fc.array(bytes, { maxLength: 3 }).map((value): Attribute => ({ type: "STRINGS", value })),
  fc.array(tensor, { maxLength: 2 }).map((value): Attribute => ({ type: "TENSORS", value })),
  fc.tuple(int64, word).map(([value, docString]): Attribute => ({ type: "INT", value, docString })),
);

interface NodePlan {
  readonly opType: string;
  readonly domain: string;
  readonly name: string;
  /** Each picks one of the values known so far, or none. */
  readonly picks: readonly number[];
  readonly outputCount: number;
  readonly attributes: Record<string, Attribute>;
  readonly metadata: Map<string, string> | null;
}

const nodePlan: fc.Arbitrary<NodePlan> = fc.record({
  opType: word,
  domain: fc.constantFrom("", "addernet"),
  name: text,
  picks: fc.array(fc.nat({ max: 20 }), { maxLength: 4 }),
  outputCount: fc.integer({ min: 1, max: 2 }),
  attributes: fc.dictionary(word, plainAttribute, { maxKeys: 3 }),
  metadata: fc.option(notes),
});

interface GraphPlan {
  readonly name: string;
  readonly nodes: readonly NodePlan[];
  readonly inputTypes: readonly Pick<ValueInfo, "type">[];
  readonly initializers: readonly Tensor[];
  readonly isOverridable: boolean;
  readonly branch: GraphPlan | null;
}

const graphPlan: fc.Memo<GraphPlan> = fc.memo((depth) =>
  fc.record({
    name: word,
    nodes: fc.array(nodePlan, { minLength: 1, maxLength: 4 }),
    inputTypes: fc.array(anyType, { maxLength: 2 }),
    initializers: fc.array(tensor, { maxLength: 3 }),
    isOverridable: fc.boolean(),
    branch: depth > 1 ? fc.option(graphPlan(depth - 1)) : fc.constant(null),
  }),
);

function buildNode(plan: NodePlan, prefix: string, known: string[]): Node {
  const outputs = Array.from({ length: plan.outputCount }, (_, index) => `${prefix}_${index}`);
  const inputs = plan.picks.map((pick) => (pick === 0 ? "" : (known[pick % known.length] ?? "")));
  known.push(...outputs);
  return {
    opType: plan.opType,
    domain: plan.domain,
    name: plan.name,
    inputs,
    outputs,
    attributes: new Map(Object.entries(plan.attributes)),
    ...(plan.metadata && { metadata: plan.metadata }),
  };
}

function buildGraph(plan: GraphPlan, prefix: string, outer: readonly string[]): Graph {
  const inputs = plan.inputTypes.map((type, index): ValueInfo => ({ name: `${prefix}in${index}`, ...type }));
  const initializers = new Map(plan.initializers.map((value, index) => [`${prefix}w${index}`, value]));
  const known = [...outer, ...inputs.map(({ name }) => name), ...initializers.keys()];
  const nodes = plan.nodes.map((node, index) => buildNode(node, `${prefix}n${index}`, known));
  if (plan.branch) {
    nodes[0]!.attributes.set("branch", {
      type: "GRAPH",
      value: buildGraph(plan.branch, `${prefix}b`, outer),
    });
  }
  return {
    name: plan.name,
    inputs,
    outputs: [{ name: nodes.at(-1)!.outputs[0]! }],
    nodes,
    initializers,
    overridable: plan.isOverridable ? [...initializers.keys()].map((name) => ({ name })) : [],
    valueInfo: new Map(),
  };
}

function buildFunction(nodes: readonly NodePlan[], index: number): FunctionBody {
  const known = ["a", "b"];
  const body = nodes.map((plan, place) => buildNode(plan, `f${place}`, known));
  return {
    name: `F${index}`,
    domain: "addernet",
    inputs: ["a", "b"],
    outputs: [body.at(-1)!.outputs[0]!],
    attributes: ["alpha"],
    attributeDefaults: new Map([["beta", { type: "INT", value: 1n }]]),
    nodes: body,
    opsetImports: new Map([
      ["", 13],
      ["addernet", 1],
    ]),
    valueInfo: new Map(),
  };
}

export const modelArbitrary: fc.Arbitrary<Model> = fc
  .record({
    irVersion: fc.constant(13),
    producerName: text,
    producerVersion: text,
    domain: text,
    modelVersion: int64,
    docString: text,
    metadata: fc.oneof(fc.constant(new Map<string, string>()), notes),
    graph: graphPlan(3).map((plan) => buildGraph(plan, "", [])),
    functions: fc.array(fc.array(nodePlan, { minLength: 1, maxLength: 3 }), { maxLength: 2 }),
  })
  .map(({ functions, ...model }) => ({
    ...model,
    functions: functions.map(buildFunction),
    opsetImports: new Map([
      ["", 13],
      ["addernet", 1],
    ]),
  }));
