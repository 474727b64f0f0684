// What becomes of a model: which adder layers are recognised, what no kernel covers, and what to do about it.

import { convert } from "../../../converter/index.ts";
import { createSessionFromModel } from "../../../runtime/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import type { Outcome } from "../command.ts";
import { describeLayer, layerTable } from "../layers.ts";
import { readModel } from "../read-model.ts";

interface Finding {
  readonly code: string;
  readonly message: string;
  readonly fix: string | null;
}

function findingOf(error: unknown): Finding {
  if (!(error instanceof AdderNetError)) throw error;
  const { code, message, details } = error;
  return { code, message, fix: details.fix ?? null };
}

/** How the runtime would run it, or why it does not. */
async function tryRuntime(model: Model): Promise<{ kernels: string | null; findings: Finding[] }> {
  try {
    const session = await createSessionFromModel(model);
    const kernels = session.explain();
    await session.dispose();
    return { kernels, findings: [] };
  } catch (error) {
    return { kernels: null, findings: [findingOf(error)] };
  }
}

async function examine(model: Model) {
  try {
    const { model: converted, report } = await convert(model, { check: false });
    const { kernels, findings } = await tryRuntime(converted);
    const warnings = report.warnings.map(({ code, message }) => ({ code, message, fix: null }));
    return { converts: true, layers: report.layers.map(describeLayer), kernels, warnings, findings };
  } catch (error) {
    return { converts: false, layers: [], kernels: null, warnings: [], findings: [findingOf(error)] };
  }
}

/** Errors: those of reading the file. What is wrong with the model itself is told, not thrown. */
export async function examineModel(path: string): Promise<Outcome> {
  const { model } = readModel(path);
  const { converts, layers, kernels, warnings, findings } = await examine(model);
  const ok = converts && findings.length === 0;
  const verdict = ok
    ? `${path} converts: addernet convert ${path} -o ${path.replace(/(\.onnx)?$/i, ".adder.onnx")}`
    : converts
      ? `${path} converts, but not all of it runs in addernet/runtime`
      : `${path} does not convert as it is`;
  const told = [...findings, ...warnings].map(({ code, message }) => `${code}: ${message}`);
  return {
    text: [
      verdict,
      layers.length > 0
        ? `adder layers: ${layers.length}\n${layerTable(layers)}`
        : converts && "no adder layers were found",
      ...told,
      kernels,
    ]
      .filter(Boolean)
      .join("\n\n"),
    json: { schemaVersion: 1, kind: "model", ok, model: path, converts, layers, kernels, warnings, findings },
  };
}
