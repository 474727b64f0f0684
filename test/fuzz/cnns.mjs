// One random CNN through adderize: what is written must be whole, and mean the same to every engine.

import { adderize } from "../../dist/converter/index.js";
import { createSession } from "../../dist/runtime/index.js";
import { decodeModel } from "../../dist/src/core/onnx/index.js";
import { buildModel, feedsFor } from "./build.mjs";
import { attempt, floatTolerance, levels, runOrt, runPlainly, runSession } from "./graphs.mjs";
import { Finding, isKnownError, requireClose } from "./outcome.mjs";
import { makeRecipe } from "./recipe.mjs";

export const makeCnn = (seed) => ({
  ...makeRecipe(seed),
  layers: "conv",
  form: "custom",
  target: "custom",
  bits: 0,
  strategy: "none",
});

async function start(model) {
  const session = await createSession(model);
  return {
    run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
    dispose: () => session.dispose(),
  };
}

/** Throws a Finding when adderize makes anything but a sound file of the recipe's CNN. */
export async function checkCnn(recipe) {
  const model = await attempt("building", () => buildModel(recipe));
  const [feeds, ...others] = feedsFor(recipe, 4);
  const samples = [feeds, ...others].map((sample) => new Map(Object.entries(sample)));
  let made;
  try {
    made = await adderize(model, {
      samples,
      start,
      layers: "all",
      steps: 3,
      positions: 32,
      seed: recipe.seed,
    });
  } catch (error) {
    if (error.code === "ADN_USAGE" && /no layer that can become/.test(error.message)) return "no layer";
    throw new Finding(isKnownError(error) ? "refusal" : "crash", `adderize: ${error?.stack ?? error}`);
  }
  const { bytes, report } = made;
  if (report.layers.length === 0) throw new Finding("silence", "no layer was made, and none refused");
  const wanted = await attempt("references", () => runPlainly(decodeModel(bytes), feeds, true));
  if (!wanted.data.every(Number.isFinite))
    throw new Finding("mismatch", "the written model's answers are not finite");
  requireClose(
    "onnxruntime",
    await attempt("onnxruntime", () => runOrt(bytes, feeds)),
    wanted,
    floatTolerance,
  );
  for (const simd of levels) {
    const found = await attempt(`kernels, ${simd}`, () => runSession(bytes, feeds, { simd }));
    requireClose(`kernels, ${simd}`, found, wanted, floatTolerance);
  }
  return "passed";
}
