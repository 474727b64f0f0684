// What becomes of a model: which adder layers are recognised, what no kernel covers, and what to do about it.

import { convert } from "../../../converter/index.ts";
import { createSession } from "../../../runtime/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { allocate, elementCount, type Tensor } from "../../core/tensor.ts";
import type { Outcome } from "../command.ts";
import { modelInputs } from "../feeds.ts";
import { describeLayer, layerTable } from "../layers.ts";
import { readModel } from "../read-model.ts";
import { textTable } from "../text-table.ts";
import { warningTexts } from "../warning-text.ts";

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

interface KernelUse {
  readonly node: string;
  readonly fused: readonly string[];
  readonly kernels: readonly string[];
}

/** Zeros for every input, a batch without a length being 1; undefined when other lengths are open. */
function zeroFeeds(model: Model): Record<string, Tensor> | undefined {
  const feeds: Record<string, Tensor> = {};
  for (const { name, type, shape = [null] } of modelInputs(model)) {
    const dims = shape.map((dim, axis) => (axis === 0 && typeof dim !== "number" ? 1 : dim));
    if (!dims.every((dim) => typeof dim === "number")) return undefined;
    feeds[name] = { type, dims, data: allocate(type, elementCount(dims)) };
  }
  return feeds;
}

/** Which kernels would run it for one image, or why none do. */
async function tryRuntime(model: Model): Promise<{ kernels: KernelUse[] | null; findings: Finding[] }> {
  try {
    const session = await createSession(model);
    const feeds = zeroFeeds(model);
    if (feeds) await session.run(feeds);
    const steps = session.explain().plans[0]?.steps;
    await session.dispose();
    const kernels = steps?.map(({ node, fused, kernels }) => ({
      node,
      fused,
      kernels: Object.keys(kernels),
    }));
    return { kernels: kernels ?? null, findings: [] };
  } catch (error) {
    return { kernels: null, findings: [findingOf(error)] };
  }
}

function kernelTable(uses: readonly KernelUse[]): string {
  const rows = uses.map(({ node, fused, kernels }) => [node, kernels.join(" "), fused.join(", ")]);
  return textTable([["node", "kernels", "takes in"], ...rows], { head: true });
}

async function examine(model: Model) {
  try {
    const { model: converted, report } = await convert(model, { check: false });
    const { kernels, findings } = await tryRuntime(converted);
    const warnings = warningTexts(report.warnings);
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
  const told = [...findings.map(({ code, message }) => `${code}: ${message}`), ...warnings];
  return {
    text: [
      verdict,
      layers.length > 0
        ? `adder layers: ${layers.length}\n${layerTable(layers)}`
        : converts && "no adder layers were found",
      ...told,
      kernels && kernelTable(kernels),
    ]
      .filter(Boolean)
      .join("\n\n"),
    json: { schemaVersion: 1, kind: "model", ok, model: path, converts, layers, kernels, warnings, findings },
  };
}
