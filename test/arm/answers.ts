// Every kernel level over the suites: a fingerprint of each answer and the kernels behind it, as one JSON document. Run on two
// processors by run.mjs, which compares them.

import { createHash } from "node:crypto";
import { simdLevels } from "../../custom-ops/kernels/load.ts";
import { createExecutor, unsupportedNodes } from "../../runtime/index.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { oneNodeModel } from "../core/one-node-model.ts";
import { standardCases } from "../core/suites/standard.ts";
import {
  type AdderCase,
  adderFeeds,
  adderModel,
  chosenCases,
  plain,
  randomCase,
} from "../custom-ops/adder-case.ts";
import { codeCases, codeFeeds, codeModel } from "../custom-ops/qlinear-case.ts";

interface Question {
  readonly name: string;
  readonly model: Model;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

/** Every so many of the cases: emulation is slow. */
const every = Number(process.argv[2] ?? 1);

/** Layers as large as a network's, so that lists, panels and chunks are all there. */
const large: readonly AdderCase[] = [
  {
    name: "64 of 3x3x64",
    x: [1, 64, 12, 12],
    w: [64, 64, 3, 3],
    ...plain,
    pads: [1, 1, 1, 1],
    bias: true,
    scale: true,
    min: 0,
  },
  {
    name: "fully connected",
    x: [2, 120, 1, 1],
    w: [84, 120, 1, 1],
    ...plain,
    scale: true,
  },
];

const adders = [
  ...chosenCases,
  ...large,
  ...Array.from({ length: Math.ceil(30 / every) }, (_, seed) => randomCase(seed)),
];

/** With a ReLU in front, X is provably not negative: other kernels run. */
function afterRelu(adder: AdderCase): Model {
  const model = adderModel([adder]);
  const [layer] = model.graph.nodes;
  layer!.inputs[0] = "positive";
  model.graph.nodes.unshift({
    opType: "Relu",
    domain: "",
    name: "relu",
    inputs: ["x0"],
    outputs: ["positive"],
    attributes: new Map(),
  });
  return model;
}

function constantOperands(model: Model, feeds: Map<string, Tensor>): void {
  for (const [name, tensor] of [...feeds].slice(1)) {
    model.graph.initializers.set(name, tensor);
    feeds.delete(name);
  }
  model.graph.inputs = model.graph.inputs.filter(({ name }) => feeds.has(name));
}

function standardQuestions(): Question[] {
  return standardCases.flatMap((testCase, index) => {
    if (index % every !== 0) return [];
    const model = oneNodeModel(testCase);
    const given = testCase.inputs.flatMap((tensor, input) =>
      tensor === null ? [] : [[`in${input}`, tensor] as const],
    );
    const feeds = new Map<string, Tensor>(given);
    constantOperands(model, feeds);
    return unsupportedNodes(model).length > 0 ? [] : [{ name: `${index} ${testCase.name}`, model, feeds }];
  });
}

const questions: readonly Question[] = [
  ...adders.flatMap((adder): Question[] => [
    { name: adder.name, model: adderModel([adder]), feeds: adderFeeds([adder]) },
    { name: `${adder.name}, after ReLU`, model: afterRelu(adder), feeds: adderFeeds([adder]) },
  ]),
  ...codeCases
    .filter((_, index) => index % every === 0)
    .map(
      (given): Question => ({
        name: `codes ${codeCases.indexOf(given)}: ${given.adder.name}`,
        model: codeModel([given]),
        feeds: codeFeeds([given]),
      }),
    ),
  ...standardQuestions(),
];

/** Bits of the values; the sign and payload of a NaN are the processor's own. */
function fingerprint(outputs: Readonly<Record<string, Tensor>>): string {
  const hash = createHash("sha256");
  for (const [name, { type, data, dims }] of Object.entries(outputs)) {
    hash.update(`${name} ${type} ${dims.join("x")} `);
    const values = data as Float32Array | BigInt64Array;
    const isFloat = data instanceof Float32Array || data instanceof Float64Array;
    const sound = isFloat
      ? (data as Float32Array).map((value) => (Number.isNaN(value) ? Number.NaN : value))
      : values;
    hash.update(new Uint8Array(sound.buffer as ArrayBuffer, sound.byteOffset, sound.byteLength));
  }
  return hash.digest("hex").slice(0, 16);
}

async function answer({ model, feeds }: Question, simd: (typeof simdLevels)[number]) {
  const session = await createExecutor(model, { simd, kernels: "predicted" });
  try {
    const outputs = await session.run(Object.fromEntries(feeds));
    const { plans } = session.explain();
    const kernels = [
      ...new Set(plans.flatMap(({ steps }) => steps.flatMap((step) => Object.keys(step.kernels)))),
    ];
    return { bits: fingerprint(outputs), kernels };
  } finally {
    await session.dispose();
  }
}

const levels: Record<string, Record<string, Awaited<ReturnType<typeof answer>>>> = {};
for (const level of simdLevels) {
  const answers: (typeof levels)[string] = {};
  for (const question of questions) {
    if (Object.hasOwn(answers, question.name)) throw new Error(`two questions are called ${question.name}`);
    answers[question.name] = await answer(question, level);
  }
  levels[level] = answers;
}
process.stdout.write(JSON.stringify({ arch: process.arch, node: process.version, levels }));
