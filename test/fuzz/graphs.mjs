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

/** The values of `data` over and over, or their beginning: `length` of them. */
function repeated(data, length) {
  const values = new data.constructor(length);
  for (let at = 0; at < length; at += data.length) values.set(data.subarray(0, length - at), at);
  return values;
}

/** What the values of a batch may take: in a layer's standard form every difference is a value. */
const mostValueBytes = 2 ** 28;

/** As many images of those asked for as have room, where the session's one plan is for `count`. */
function withRoom(session, count, batch) {
  const perImage = session.explain().plans[0].arenaBytes / count;
  return Math.min(batch, Math.max(1, Math.floor(mostValueBytes / perImage)));
}

/** Where the batch is free, runs of other batches of the same images must answer the same, and leave no trace. */
export async function runSession(bytes, feeds, options, { batches = [], tolerance = floatTolerance } = {}) {
  const session = await createSession(bytes, options);
  const { x } = feeds;
  const withBatch = ({ data, dims, ...rest }, batch) => ({
    ...rest,
    data: repeated(data, (data.length / dims[0]) * batch),
    dims: [batch, ...dims.slice(1)],
  });
  try {
    const first = await answer(session, feeds);
    const fitting = batches.map((batch) => withRoom(session, x.dims[0], batch));
    for (const batch of fitting) {
      const found = await answer(session, { x: withBatch(x, batch) });
      requireClose(
        `a batch of ${batch} against one of ${x.dims[0]}`,
        found,
        withBatch(first, batch),
        tolerance,
      );
    }
    if (batches.length > 0)
      requireClose("the second run against the first", await answer(session, feeds), first, 0);
    return first;
  } finally {
    await session.dispose();
  }
}

/** Bytes of values from which on a batch may go through the layers image by image. */
const largeBatch = 5 * 2 ** 20;

/** The first image alone, all of them three times over, and now and then many. */
function otherBatches({ freeBatch, manyImages = false }, { x }) {
  if (!freeBatch) return [];
  const [count] = x.dims;
  const many = Math.ceil((largeBatch * count) / (2 * x.data.byteLength));
  return [1, 3 * count, ...(manyImages ? [Math.min(many, 1000)] : [])];
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
      runSession(bytes, feeds, { simd, threads }, { batches: otherBatches(recipe, feeds) }),
    );
    requireClose(`kernels, ${simd}, against float64`, found, wanted, floatTolerance);
  }
  const found = await attempt("onnxruntime", () => runOrt(bytes, feeds));
  requireClose("onnxruntime against float64", found, wanted, floatTolerance);
  await checkRegistered(bytes, recipe, feeds, wanted, floatTolerance);
}

/** Codes are exact, unless floats between them round to another code: an average that lies between two. */
const codeTolerance = ({ steps, head }) =>
  head === "adderHead" || steps.some(({ kind }) => kind === "averagePool") ? 0.05 : 1e-5;

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
  const [{ threads }, tolerance] = [recipe, codeTolerance(recipe)];
  for (const simd of levels) {
    const found = await attempt(`codes, ${simd}`, () =>
      runSession(bytes, feeds, { simd, threads }, { batches: otherBatches(recipe, feeds), tolerance }),
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
