// One random graph through everything: converter, kernels at every level, onnxruntime on function bodies, 3- to 8-bit codes.

import ort from "onnxruntime-node";
import { convert, quantize } from "../../dist/converter/index.js";
import { ops } from "../../dist/custom-ops/index.js";
import { isLevelAvailable, simdLevels } from "../../dist/custom-ops/kernels/load.js";
import { createSession } from "../../dist/runtime/index.js";
import { interpret } from "../../dist/src/core/interpret.js";
import { decodeModel, encodeModel } from "../../dist/src/core/onnx/index.js";
import { adderNetEp, registerAdderNet } from "../../dist/src/ort.js";
import { buildModel, feedsFor } from "./build.mjs";
import { Finding, isKnownError, requireClose } from "./outcome.mjs";

export const levels = simdLevels.filter(isLevelAvailable);
/** Of float32 results, against the largest of them. */
export const floatTolerance = 2e-4;

registerAdderNet(ort, { strategy: "native" });

const answer = async (session, feeds) => Object.values(await session.run(feeds))[0];

/** Where the batch is free, runs of another one in between must leave no trace. */
export async function runSession(bytes, feeds, options, between = []) {
  const session = await createSession(bytes, options);
  try {
    const first = await answer(session, feeds);
    for (const others of between) await session.run(others);
    if (between.length > 0)
      requireClose("the second run against the first", await answer(session, feeds), first, 0);
    return first;
  } finally {
    await session.dispose();
  }
}

/** The first image alone, then all of them three times over. */
function otherBatches({ freeBatch }, { x }) {
  if (!freeBatch) return [];
  const image = x.data.length / x.dims[0];
  const thrice = new Float32Array(3 * x.data.length);
  for (const at of [0, 1, 2]) thrice.set(x.data, at * x.data.length);
  const of = (data) => ({ x: { ...x, data, dims: [data.length / image, ...x.dims.slice(1)] } });
  return [of(x.data.slice(0, image)), of(thrice)];
}

const quiet = { logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 };

export async function runOrt(bytes, feeds, options = {}) {
  const session = await ort.InferenceSession.create(bytes, { ...quiet, ...options });
  try {
    const tensors = Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new ort.Tensor(type, data, dims),
    ]);
    return Object.values(await session.run(Object.fromEntries(tensors)))[0];
  } finally {
    await session.release();
  }
}

export function runPlainly({ graph, opsetImports, functions }, feeds, float64) {
  const answers = interpret(graph, opsetImports, ops, new Map(Object.entries(feeds)), { float64, functions });
  return [...answers.values()][0];
}

export async function attempt(what, act) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Finding) throw error;
    throw new Finding(isKnownError(error) ? "refusal" : "crash", `${what}: ${error?.stack ?? error}`);
  }
}

/** Through `addernet/ort`, where the recipe says so. */
async function checkRegistered(bytes, { strategy = "none" }, feeds, wanted, tolerance) {
  if (strategy === "none") return;
  const options = { executionProviders: [adderNetEp({ strategy })] };
  const found = await attempt(`registered, ${strategy}`, () => runOrt(bytes, feeds, options));
  requireClose(`registered, ${strategy}`, found, wanted, tolerance);
}

async function checkFloat(bytes, feeds, wanted, recipe) {
  const { threads } = recipe;
  for (const simd of levels) {
    const found = await attempt(`kernels, ${simd}`, () =>
      runSession(bytes, feeds, { simd, threads }, otherBatches(recipe, feeds)),
    );
    requireClose(`kernels, ${simd}, against float64`, found, wanted, floatTolerance);
  }
  const found = await attempt("onnxruntime", () => runOrt(bytes, feeds));
  requireClose("onnxruntime against float64", found, wanted, floatTolerance);
  await checkRegistered(bytes, recipe, feeds, wanted, floatTolerance);
}

/** Codes are exact, unless floats between them round to another code: an average that lies between two. */
const codeTolerance = ({ steps }) => (steps.some(({ kind }) => kind === "averagePool") ? 0.05 : 1e-5);

async function checkCodes(model, recipe, [feeds, ...samples]) {
  const maps = samples.map((sample) => new Map(Object.entries(sample)));
  let quantized;
  try {
    quantized = await quantize(model, { samples: maps, bits: recipe.bits });
  } catch (error) {
    if (error.code === "ADN_USAGE" && /layer/.test(error.message)) return "no layer for codes";
    throw new Finding(isKnownError(error) ? "refusal" : "crash", `quantize: ${error?.stack ?? error}`);
  }
  const { bytes } = quantized;
  const meant = await attempt("references of codes", () => runPlainly(decodeModel(bytes), feeds, false));
  const wanted = await attempt("onnxruntime on codes", () => runOrt(bytes, feeds));
  requireClose("onnxruntime against references, codes", wanted, meant, codeTolerance(recipe));
  for (const simd of levels) {
    const { threads } = recipe;
    const found = await attempt(`codes, ${simd}`, () =>
      runSession(bytes, feeds, { simd, threads }, otherBatches(recipe, feeds)),
    );
    requireClose(`codes, ${simd}, against onnxruntime`, found, wanted, codeTolerance(recipe));
  }
  await checkRegistered(bytes, recipe, feeds, wanted, codeTolerance(recipe));
  return "floats and codes";
}

/** Throws a Finding when anything about the recipe's graph is wrong. Answers how far it went. */
export async function checkGraph(recipe) {
  const model = await attempt("building", () => buildModel(recipe));
  const [feeds, ...samples] = feedsFor(recipe, recipe.bits > 0 ? 5 : 1);
  const wanted = await attempt("float64", () => runPlainly(model, feeds, true));
  if (!wanted.data.every(Number.isFinite)) return "not finite";
  const source = encodeModel(model).bytes;
  const {
    bytes,
    report,
    model: converted,
  } = await attempt("convert", () => convert(source, { check: false, target: recipe.target }));
  const adders = buildModel({ ...recipe, form: "custom" }).graph.nodes.filter(
    ({ opType }) => opType === "Adder2d",
  );
  if (report.layers.length !== adders.length) {
    throw new Finding("unrecognised", `${report.layers.length} layers of ${adders.length}`);
  }
  await checkFloat(bytes, feeds, wanted, recipe);
  // Codes have no standard form before opset 11.
  const hasCodes = recipe.bits > 0 && recipe.target === "custom" && recipe.opset >= 11;
  const done = hasCodes ? await checkCodes(converted, recipe, [feeds, ...samples]) : "floats";
  return recipe.strategy === "none" ? done : `${done}, registered, ${recipe.strategy}`;
}
