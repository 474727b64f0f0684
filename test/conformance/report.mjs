// SUPPORTED-OPS.md from verdicts: one line per op and version of its schema, and what is claimed without proof.

import { ops, standardOps } from "../../dist/custom-ops/index.js";
import { lowerings } from "../../dist/runtime/lowerings.js";
import { opsetRange } from "../../dist/src/core/onnx/opset.js";
import { levels } from "./engines.mjs";

export const failuresOf = (results) =>
  results.flatMap(({ name, opset, verdicts }) =>
    Object.entries(verdicts)
      .filter(([, { failed }]) => failed !== undefined)
      .map(([engine, { failed }]) => ({ name, opset, engine, failed })),
  );

const engines = ["reference", ...levels, "ort"];

/** Versions of an op's schema that are claimed, each with the opsets where it is in force. */
export function claimedSpans({ opType, first, last }, sinceVersions) {
  const versions = sinceVersions[opType] ?? [];
  return versions
    .map((since, at) => ({
      since,
      from: Math.max(since, first, opsetRange.first),
      to: Math.min(
        (versions[at + 1] ?? Number.POSITIVE_INFINITY) - 1,
        last ?? opsetRange.last,
        opsetRange.last,
      ),
    }))
    .filter(({ from, to }) => from <= to);
}

function countsOf(results) {
  const counts = Object.fromEntries(engines.map((engine) => [engine, { passed: 0, failed: 0 }]));
  const reasons = new Map();
  for (const { verdicts } of results) {
    for (const [engine, { passed, failed, left }] of Object.entries(verdicts)) {
      if (passed) counts[engine].passed++;
      if (failed) counts[engine].failed++;
      if (left === undefined || engine === "scalar") continue;
      const shown = engine === "load" ? left : `${engine === "simd" ? "kernels" : engine}: ${left}`;
      reasons.set(shown, (reasons.get(shown) ?? 0) + 1);
    }
  }
  return { counts, reasons };
}

/** The reason without what differs from case to case. */
function tidied(reason, opType) {
  return reason
    .replace(/^[^:]*\.onnx?: /, "")
    .replace(new RegExp(`: ${opType}: `), ": ")
    .replace(/no reference for \w+ "[^"]*"/, "not computed by references")
    .replace(/no cast from \w+ to \w+/, "a cast to or from strings, float8, 4 or 2 bits")
    .replace(/ ""/g, "")
    .replace(/\|/g, "/");
}

function leftOut(reasons, opType) {
  const merged = new Map();
  for (const [reason, count] of reasons) {
    const text = tidied(reason, opType);
    merged.set(text, (merged.get(text) ?? 0) + count);
  }
  return [...merged]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${count} ${reason}`)
    .join("; ");
}

const spanText = ({ from, to }) => (from === to ? `${from}` : `${from}–${to}`);

function claimsOf({ opType, reference }) {
  return {
    reference: reference !== undefined,
    kernels: Object.hasOwn(lowerings, opType),
  };
}

function opLine(op, span, results) {
  const own = results.filter((result) => result.op === op.opType && result.since === span.since);
  const { counts, reasons } = countsOf(own);
  const claims = claimsOf(op);
  const cell = (engine, isClaimed) => (isClaimed ? `${counts[engine].passed}` : "–");
  const cells = [
    op.opType,
    spanText(span),
    `${own.length}`,
    cell("reference", claims.reference),
    ...levels.map((level) => cell(level, claims.kernels)),
    cell("ort", true),
    leftOut(
      [...reasons].filter(([reason]) => claims.kernels || !reason.startsWith("kernels: ")),
      op.opType,
    ),
  ];
  const missing = [
    ...(claims.reference && counts.reference.passed === 0 ? ["references"] : []),
    ...(claims.kernels ? levels.filter((level) => counts[level].passed === 0) : []),
    ...(counts.ort.passed === 0 ? ["addernet/ort"] : []),
  ];
  return { line: `| ${cells.join(" | ")} |`, missing };
}

function graphLines(results) {
  const sources = new Map();
  for (const result of results.filter(({ op }) => op === undefined)) {
    const source = result.name.split("/")[0];
    sources.set(source, [...(sources.get(source) ?? []), result]);
  }
  return [...sources].map(([source, own]) => {
    const { counts } = countsOf(own);
    return `| ${[source, own.length, ...engines.map((engine) => counts[engine].passed)].join(" | ")} |`;
  });
}

/** Graphs that onnx ships as topologies of ImageNet networks. */
function networkLines(results) {
  return results
    .filter(({ name }) => name.startsWith("light/"))
    .map(({ name, opset, verdicts }) => {
      const told = [...levels, "ort"].map((engine) =>
        verdicts[engine]?.passed ? "yes" : (verdicts[engine]?.left ?? "no"),
      );
      return `| ${[name.slice("light/light_".length), opset, ...told].join(" | ")} |`;
    });
}

const table = (heads, lines) =>
  [`| ${heads.join(" | ")} |`, `|${" --- |".repeat(heads.length)}`, ...lines].join("\n");

/** The page, and what is claimed though no case passes. */
export function reportOf(results, { onnx, sinceVersions }) {
  const unproven = [];
  const known = [...standardOps].sort((a, b) => (a.opType < b.opType ? -1 : 1));
  const lines = known.flatMap((op) =>
    claimedSpans(op, sinceVersions).map((span) => {
      const { line, missing } = opLine(op, span, results);
      if (missing.length > 0) unproven.push(`${op.opType} ${spanText(span)} (${missing.join(", ")})`);
      return line;
    }),
  );
  const failed = failuresOf(results).length;
  const own = ["Adder2d", "QLinearAdder2d", "AdderInteger2d"].filter((name) => ops.get("addernet", name));
  const text = `# Supported ops

Written by \`npm run conformance\`; do not edit. The ONNX project's own backend tests (onnx ${onnx}, and libonnx-testdata of Debian), every
case at every version of its op's schema under which it is valid: ${results.length} runs, ${failed} failures. At the opset a case was recorded for
the recorded outputs count; at others onnxruntime's.

- **references**: the op in plain numbers, which conversion folds and verifies with.
- **${levels.join("**, **")}**: kernels of \`addernet/runtime\`, by instruction set. They compute with float32 (codes with uint8) and want shapes,
  axes and the like as constants; cases that feed these are run with them made constant.
- **addernet/ort**: through \`registerAdderNet\`; what the kernels do not take runs in onnxruntime, so that any op of onnxruntime's runs.

Opsets ${opsetRange.first} to ${opsetRange.last}. A dash: not claimed. Beside these: ${own.map((name) => `\`addernet::${name}\``).join(", ")}.

${table(["op", "opsets", "cases", "references", ...levels, "addernet/ort", "left out, and why"], lines)}

## Graphs of several ops

Passed by engine; a graph with an op that an engine does not have is left out there.

${table(["source", "graphs", ...engines.map((engine) => ({ reference: "references", ort: "addernet/ort" })[engine] ?? engine)], graphLines(results))}

## Networks

The ImageNet topologies that onnx ships, with the outputs it recorded.

${table(["network", "opset", ...levels, "addernet/ort"], networkLines(results))}
`;
  return { text, unproven };
}
