// One set of a case through each engine: the references, the kernels at each level, onnxruntime with and without ours.

import ort from "onnxruntime-node";
import { ops } from "../../dist/custom-ops/index.js";
import { isLevelAvailable, simdLevels } from "../../dist/custom-ops/kernels/load.js";
import { createExecutor, unsupportedNodes } from "../../dist/runtime/index.js";
import { loweringOf } from "../../dist/runtime/lowerings.js";
import { interpret } from "../../dist/src/core/interpret.js";
import { encodeModel } from "../../dist/src/core/onnx/index.js";
import { adderNetEp, registerAdderNet } from "../../dist/src/ort.js";

registerAdderNet(ort);

/** An engine answers the outputs in order, or says why the case is none of its business. */
export class LeftOut extends Error {}

export const levels = simdLevels.filter(isLevelAvailable);

const outputNames = ({ graph }) => graph.outputs.map(({ name }) => name);

function feedsOf({ graph }, inputs) {
  const declared = [...graph.inputs];
  return Object.fromEntries(declared.map(({ name }, index) => [name, inputs[index]]));
}

/** The same model with inputs turned into constants. */
function frozen(model, feeds, names) {
  const { graph } = model;
  const initializers = new Map([...graph.initializers, ...names.map((name) => [name, feeds[name]])]);
  const inputs = graph.inputs.filter(({ name }) => !names.includes(name));
  const left = Object.fromEntries(Object.entries(feeds).filter(([name]) => !names.includes(name)));
  return { model: { ...model, graph: { ...graph, inputs, initializers } }, feeds: left };
}

/** Inputs that a kernel needs as constants. */
function parametersFed({ graph }) {
  const fed = new Set(graph.inputs.map(({ name }) => name));
  return graph.nodes.flatMap((node) => {
    const names = (loweringOf(node)?.parameters ?? []).map((index) => node.inputs[index]);
    return names.filter((name) => fed.has(name));
  });
}

function withParameters(model, feeds) {
  return frozen(model, feeds, [...new Set(parametersFed(model))]);
}

function reasonsOf(missing) {
  return [...new Set(missing.map(({ node, reason }) => `${node.opType}: ${reason}`))].join(", ");
}

const refusals = ["ADN_OP_UNSUPPORTED", "ADN_TYPE"];

async function orLeaveOut(act) {
  try {
    return await act();
  } catch (error) {
    if (refusals.includes(error.code)) throw new LeftOut(error.problem ?? error.message, { cause: error });
    throw error;
  }
}

export function runReference(model, inputs) {
  return orLeaveOut(() => {
    const feeds = new Map(Object.entries(feedsOf(model, inputs)));
    const { graph, opsetImports, functions } = model;
    const found = interpret(graph, opsetImports, ops, feeds, { functions });
    return outputNames(model).map((name) => found.get(name));
  });
}

export async function runKernels(given, inputs, simd) {
  const { model, feeds } = withParameters(given, feedsOf(given, inputs));
  const missing = await orLeaveOut(() => unsupportedNodes(model));
  if (missing.length > 0) throw new LeftOut(reasonsOf(missing));
  const session = await createExecutor(model, { simd });
  try {
    const found = await session.run(feeds);
    return outputNames(model).map((name) => found[name]);
  } finally {
    await session.dispose();
  }
}

async function runOrt(model, inputs, options) {
  const session = await ort.InferenceSession.create(encodeModel(model).bytes, options);
  try {
    const feeds = Object.entries(feedsOf(model, inputs)).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]);
    const found = await session.run(Object.fromEntries(feeds));
    return outputNames(model).map((name) => found[name]);
  } finally {
    await session.release();
  }
}

const quiet = { logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 };

export const runPlainOrt = (model, inputs) => runOrt(model, inputs, quiet);
export const runRegistered = (model, inputs) =>
  runOrt(model, inputs, { ...quiet, executionProviders: [adderNetEp()] });
