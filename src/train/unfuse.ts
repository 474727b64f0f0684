// A converted model as it was before fusing: each Adder2d with scale, bias, residual and clip becomes the layer of the paper, batch
// normalisation, Add and Relu. The statistics that fusing forgot are those of a norm that changes nothing yet: mean 0, variance 1.

import { AdderNetError } from "../core/errors.ts";
import { floatAttribute, getFloat, nodeLabel } from "../core/ir/attributes.ts";
import { cloneModel } from "../core/ir/clone.ts";
import { freshName, makeNode, namesIn, replaceNodes } from "../core/ir/edit.ts";
import type { Graph, Model, Node } from "../core/ir/model.ts";
import { float32Tensor } from "../core/tensor.ts";

export interface Unfused {
  readonly model: Model;
  /** Outputs of norms whose statistics have to be measured before they are trained. */
  readonly unmeasured: ReadonlySet<string>;
}

const epsilon = 1e-5;

interface Draft {
  readonly graph: Graph;
  readonly names: Set<string>;
  readonly unmeasured: Set<string>;
}

/** "conv1" of a weight called "conv1.adder", so that what belongs to a layer is named alike. */
const stemOf = (weight: string): string => weight.replace(/\.(adder|weight)$/, "");

function normNode(draft: Draft, node: Node, input: string, output: string): Node {
  const { graph, names } = draft;
  const [, weight, bias, scale] = node.inputs as [string, string, string | undefined, string | undefined];
  const filters = graph.initializers.get(weight)?.dims[0];
  const stem = `${stemOf(weight)}.norm`;
  const fill = (suffix: string, value: number): string => {
    if (filters === undefined) {
      throw new AdderNetError("ADN_OP_UNSUPPORTED", "the weights are no constant", {
        where: nodeLabel(node),
      });
    }
    const name = freshName(names, `${stem}.${suffix}`);
    graph.initializers.set(name, float32Tensor(new Float32Array(filters).fill(value), [filters]));
    return name;
  };
  const inputs = [
    input,
    scale || fill("weight", 1),
    bias || fill("bias", 0),
    fill("running_mean", 0),
    fill("running_var", 1 - epsilon),
  ];
  draft.unmeasured.add(output);
  return makeNode("BatchNormalization", inputs, [output], [["epsilon", floatAttribute(epsilon)]]);
}

/** What files write for no bound at all. */
const largestFloat = 3.4028234663852886e38;

function isRelu(node: Node): boolean {
  const low = getFloat(node, "activation_min") ?? Number.NEGATIVE_INFINITY;
  const high = getFloat(node, "activation_max") ?? Number.POSITIVE_INFINITY;
  if (low <= -largestFloat && high >= largestFloat) return false;
  if (low === 0 && high >= largestFloat) return true;
  throw new AdderNetError("ADN_OP_UNSUPPORTED", "a clip other than ReLU is not trained", {
    where: nodeLabel(node),
    found: `${low} to ${high}`,
  });
}

/** The input's name, or "" where it is absent or a constant that changes nothing. */
function unlessAll({ graph }: Draft, name: string | undefined, neutral: number): string {
  const data = graph.initializers.get(name ?? "")?.data as Float32Array | undefined;
  return name === undefined || data?.every((value) => value === neutral) ? "" : name;
}

function unfuseAdder(draft: Draft, node: Node): Node[] | undefined {
  const [x, weight] = node.inputs;
  const z = unlessAll(draft, node.inputs[4], 0);
  const hasNorm = unlessAll(draft, node.inputs[2], 0) !== "" || unlessAll(draft, node.inputs[3], 1) !== "";
  const steps: ((input: string, output: string) => Node)[] = [
    (input, output) =>
      makeNode(
        "Adder2d",
        [input, weight!],
        [output],
        [...node.attributes].filter(([name]) => !name.startsWith("activation_")),
        {
          domain: "addernet",
          name: node.name,
        },
      ),
  ];
  if (hasNorm) steps.push((input, output) => normNode(draft, node, input, output));
  if (z) steps.push((input, output) => makeNode("Add", [input, z], [output]));
  if (isRelu(node)) steps.push((input, output) => makeNode("Relu", [input], [output]));
  let input = x!;
  return steps.map((step, index) => {
    const isLast = index === steps.length - 1;
    const output = isLast ? node.outputs[0]! : freshName(draft.names, `${node.outputs[0]}.${index}`);
    const made = step(input, output);
    input = output;
    return made;
  });
}

/** A constant that several nodes read becomes one for each: they learn apart. */
function separateConstants({ graph, names }: Draft): void {
  const taken = new Set<string>();
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((name) => {
      const tensor = graph.initializers.get(name);
      if (tensor === undefined || !taken.has(name)) {
        taken.add(name);
        return name;
      }
      const own = freshName(names, name);
      graph.initializers.set(own, tensor);
      return own;
    });
  }
}

/** The argument is left as it is. Errors: ADN_OP_UNSUPPORTED. */
export function unfuse(original: Model): Unfused {
  const model = cloneModel(original);
  const { graph } = model;
  const draft: Draft = { graph, names: namesIn(graph), unmeasured: new Set() };
  replaceNodes(graph, (node) =>
    node.domain === "addernet" && node.opType === "Adder2d" ? unfuseAdder(draft, node) : undefined,
  );
  separateConstants(draft);
  model.functions = model.functions.filter(({ domain }) => domain !== "addernet");
  graph.valueInfo.clear();
  return { model, unmeasured: draft.unmeasured };
}
