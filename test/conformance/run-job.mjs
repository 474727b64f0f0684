// One case at one opset through every engine.

import { firstDifference } from "./compare.mjs";
import { LeftOut, levels, runKernels, runPlainOrt, runReference, runRegistered } from "./engines.mjs";

export const engines = {
  reference: runReference,
  ...Object.fromEntries(levels.map((level) => [level, (model, inputs) => runKernels(model, inputs, level)])),
  ort: runRegistered,
};

async function attempt(act) {
  try {
    return { outputs: await act() };
  } catch (error) {
    return { error };
  }
}

function crashed() {
  throw new LeftOut("onnxruntime ends the process");
}

const firstLine = (error) =>
  String(error?.message ?? error)
    .split("\n")[0]
    .slice(0, 200);

function verdict({ outputs, error }, wanted, tolerance) {
  if (error instanceof LeftOut) return { left: error.message };
  if (error !== undefined) return { failed: firstLine(error) };
  const wrong = firstDifference(outputs, wanted, tolerance);
  return wrong === undefined ? { passed: true } : { failed: wrong };
}

/**
 * What a set must come to: the recorded outputs at the opset they were recorded for, onnxruntime's at others. Where onnxruntime does not
 * run, recorded outputs still prove what agrees with them, but nothing wrong.
 */
function judge(result, recorded, plain, { name, isNative, rtol, atol }) {
  const tolerance = { rtol, atol };
  const byRecord = verdict(result, recorded, tolerance);
  if (byRecord.failed !== undefined && name.startsWith("converted/") && plain.outputs === undefined) {
    return { left: "not valid as onnx converted it" };
  }
  if (isNative || byRecord.failed === undefined) return byRecord;
  if (plain.outputs === undefined) return { left: "no oracle for this opset" };
  return verdict(result, plain.outputs, tolerance);
}

/** Through `addernet/ort` a model gives what it gives in onnxruntime alone, also where that differs from the record. */
function judgeOrt(result, recorded, plain, job) {
  if (plain.outputs === undefined) {
    const alone = judge(result, recorded, plain, job);
    return alone.passed ? alone : { left: "onnxruntime refuses the model" };
  }
  const { rtol, atol } = job;
  const like = verdict(result, plain.outputs, { rtol, atol });
  return like.passed ? like : verdict(result, recorded, { rtol, atol }).passed ? { passed: true } : like;
}

/** Old sets hold bfloat16 as uint16. */
function isMistyped({ graph }, sets) {
  const declared = (infos, tensors) =>
    infos.every(({ type }, at) => type?.elemType === undefined || type.elemType === tensors[at].type);
  return !sets.every(
    ({ inputs, outputs }) => declared(graph.inputs, inputs) && declared(graph.outputs, outputs),
  );
}

/** Verdicts by engine: `{ passed }`, `{ failed }` or `{ left }`, each over all data sets of the case. */
export async function runJob(job, { withOrt = true } = {}) {
  if (job.sets === 0) return { load: { left: "sequences, maps or optionals" } };
  const loaded = await attempt(job.load);
  if (loaded.error) return { load: { left: firstLine(loaded.error) } };
  const { model, sets } = loaded.outputs;
  if (isMistyped(model, sets)) return { load: { left: "recorded with other types than the model's" } };
  const results = {};
  for (const { inputs, outputs } of sets) {
    const plain = await attempt(() => (withOrt ? runPlainOrt(model, inputs) : crashed()));
    for (const [name, run] of Object.entries(engines)) {
      if (name === "reference" && job.name.startsWith("light/")) {
        results[name] = { left: "hours by the references" };
        continue;
      }
      const result = await attempt(() => (withOrt || name !== "ort" ? run(model, inputs) : crashed()));
      const judged = (name === "ort" ? judgeOrt : judge)(result, outputs, plain, job);
      if (results[name] === undefined || results[name].passed) results[name] = judged;
    }
  }
  return results;
}
