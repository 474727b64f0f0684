// addernet profile: what a model costs here or on a board, per layer, and against its CNN.

import { statSync } from "node:fs";
import {
  type Condition,
  checkBaseline,
  checkConditions,
  conditionForm,
  differences,
  mergedHtml,
  mergedMarkdown,
  type ProfileReport,
  parseCondition,
  sectionsOf,
  thresholdFailure,
  toHtml,
  toMarkdown,
  toTrace,
} from "../../../runtime/profile/index.ts";
import { mergedSection } from "../../../runtime/profile/render/merge.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { encodeModel } from "../../core/onnx/index.ts";
import {
  type Command,
  defineCommand,
  type Flags,
  type FlagType,
  type FlagValues,
  type Outcome,
} from "../command.ts";
import type { Context } from "../context.ts";
import { threadCount } from "../engines.ts";
import { readFeeds } from "../feeds.ts";
import * as types from "../flag-types.ts";
import { bundleText } from "../profile/bundle.ts";
import { profileHere, type Surroundings } from "../profile/here.ts";
import { profileOnHost } from "../profile/host.ts";
import { type Profiled, prepareModel } from "../profile/model.ts";
import { type AskedOutputs, planOutputs, writeOutputs } from "../profile/outputs.ts";
import { peerContender } from "../profile/peers.ts";
import { readReport, readReports } from "../profile/read-report.ts";
import type { ProfileTask, Tell } from "../profile/task.ts";
import { readModel } from "../read-model.ts";
import { textTable } from "../text-table.ts";
import { version } from "../version.ts";
import { checkOutput, writeFiles } from "../write-file.ts";

const condition: FlagType<Condition> = { expects: conditionForm, parse: parseCondition };

/** "5%" or 0.05. */
const share: FlagType<number> = {
  expects: "a share, as 5% or 0.05",
  parse: (given) => {
    const match = /^(\d*\.?\d+)(%?)$/.exec(given);
    return match === null ? undefined : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  },
};

const sshOption: FlagType<string> = {
  expects: "KEY=VALUE as in an ssh configuration",
  parse: (given) => (/^[A-Za-z]+=\S.*$/.test(given) ? given : undefined),
};

const endsWith =
  (...endings: readonly string[]) =>
  (next: string) =>
    endings.some((ending) => next.endsWith(ending));

const flags = {
  compare: {
    type: types.path,
    placeholder: "CNN.onnx",
    alone: endsWith(".onnx"),
    help: "measure against the CNN of the same topology, made up or given, on onnxruntime-web and onnxruntime-node",
  },
  output: { short: "o", type: types.path, placeholder: "FILE", help: "write the report as JSON" },
  html: {
    type: types.path,
    placeholder: "FILE",
    alone: endsWith(".html", ".htm"),
    help: "write one page with plots",
  },
  md: { type: types.path, placeholder: "FILE", alone: endsWith(".md"), help: "write Markdown for an issue" },
  trace: {
    type: types.path,
    placeholder: "FILE",
    alone: endsWith(".json"),
    help: "write a trace for Perfetto or chrome://tracing",
  },
  baseline: { type: types.path, placeholder: "FILE", help: "a report made before, to be compared with" },
  "max-regress": {
    type: share,
    placeholder: "SHARE",
    default: 0.05,
    help: "how much slower than the baseline the median may be before the exit code is 5",
  },
  "fail-if": {
    type: condition,
    placeholder: '"p95>12ms"',
    repeat: true,
    help: "exit code 5 when this holds",
  },
  threads: { type: threadCount, placeholder: "N", default: 1, help: "threads of every engine, or auto" },
  simd: {
    type: types.oneOf("auto", "simd", "scalar"),
    default: "auto",
    help: "kernels: auto, simd or scalar",
  },
  seconds: {
    type: types.nonNegative,
    placeholder: "S",
    default: 10,
    help: "measure at most so long (twice that to compare)",
  },
  precision: {
    type: share,
    placeholder: "SHARE",
    default: 0.01,
    help: "stop when the median is known this well, 95 times of 100",
  },
  runs: { type: types.positiveInteger, placeholder: "N", help: "exactly so many runs" },
  "warmup-runs": { type: types.integer, placeholder: "N", help: "runs before those that count" },
  "cool-down": {
    type: types.nonNegative,
    placeholder: "S",
    default: 0,
    help: "wait until the processor has stopped cooling, at most so many seconds, before measuring",
  },
  input: {
    type: types.namedPath,
    placeholder: "[NAME=]x.npy",
    repeat: true,
    help: "data to run; made up otherwise",
  },
  "input-shape": {
    type: types.namedShape,
    placeholder: "NAME:1,3,32,32",
    repeat: true,
    help: "lengths of an input that the model leaves open",
  },
  host: {
    type: types.text,
    placeholder: "USER@BOARD",
    help: "run there over ssh, with Node alone, and bring the report back",
  },
  "ssh-option": {
    type: sshOption,
    placeholder: "KEY=VALUE",
    repeat: true,
    help: "an option for ssh, as Port=2222 or IdentityFile=key",
  },
  "remote-node": {
    type: types.path,
    placeholder: "PATH",
    help: "Node on the other machine, where it is not found",
  },
  bundle: {
    type: types.path,
    placeholder: "FILE.mjs",
    help: "write one file that does this on a machine with Node alone, and end",
  },
  merge: { help: "put reports (files, or folders of them) side by side" },
} as const satisfies Flags;

type Given = FlagValues<typeof flags>;

function usage(problem: string, fix?: string): AdderNetError {
  return new AdderNetError("ADN_USAGE", problem, { where: "profile", ...(fix && { fix }) });
}

const askedOutputs = ({ html, md, trace, output }: Given): AskedOutputs => ({
  ...(html !== undefined && { html }),
  ...(md !== undefined && { md }),
  ...(trace !== undefined && { trace }),
  ...(output !== undefined && { json: output }),
});

const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function reportText(report: ProfileReport): string {
  const parts = sectionsOf(report).map(({ title, head, rows, notes }) => {
    const table = textTable(head === null ? rows : [head, ...rows], { head: head !== null });
    return [title, table, ...notes].join("\n");
  });
  const checks = report.thresholds.map(
    ({ condition: text, found, unit, crossed }) =>
      `${crossed ? "FAILED" : "passed"}  ${text}: ${unit === "" ? `${(100 * found).toPrecision(3)} %` : `${Number(found.toPrecision(5))} ${unit}`}`,
  );
  return [...parts, ...(checks.length > 0 ? [["Thresholds", ...checks].join("\n")] : [])].join("\n\n");
}

/** Checks the thresholds, writes the files, and answers. */
function conclude(
  report: ProfileReport,
  given: Given,
  baseline: ProfileReport | undefined,
  outputs: ReturnType<typeof planOutputs>,
  context: Context,
): Outcome {
  if (baseline !== undefined)
    for (const difference of differences(report, baseline)) context.warn(difference);
  const thresholds = [
    ...checkConditions(report, given["fail-if"]),
    ...(baseline === undefined ? [] : [checkBaseline(report, baseline, given["max-regress"])]),
  ];
  const judged: ProfileReport = { ...report, thresholds };
  writeOutputs(outputs, {
    html: () => toHtml(judged),
    md: () => toMarkdown(judged),
    trace: () => jsonText(toTrace(judged)),
    json: () => jsonText(judged),
  });
  for (const path of outputs.values()) context.note(`written: ${path}`);
  const failure = thresholdFailure(thresholds);
  return { text: reportText(judged), json: judged, ...(failure && { failure }) };
}

function mergeReports(paths: readonly string[], given: Given, context: Context): Outcome {
  const reports = readReports(paths);
  if (given.trace !== undefined) throw usage("--merge writes --html and --md; a trace belongs to one report");
  const outputs = planOutputs(
    askedOutputs(given),
    "merged",
    paths.filter((path) => statSync(path).isFile()),
  );
  const merged = { schemaVersion: 1, kind: "merged", reports };
  writeOutputs(outputs, {
    html: () => mergedHtml(reports),
    md: () => mergedMarkdown(reports),
    trace: () => "",
    json: () => jsonText(merged),
  });
  for (const path of outputs.values()) context.note(`written: ${path}`);
  const { head, rows } = mergedSection(reports);
  return { text: textTable([head!, ...rows], { head: true }), json: merged };
}

function taskOf({ file, changed, sha256 }: Profiled, given: Given): ProfileTask {
  const known = file.model.graph.inputs.map(({ name }) => name);
  for (const { name } of given["input-shape"]) {
    if (!known.includes(name)) throw usage(`the model has no input "${name}"`, `it has ${known.join(", ")}`);
  }
  return {
    name: file.path.replace(/^.*[/\\]/, ""),
    sha256,
    bytes: file.totalBytes,
    changed,
    version,
    threads: given.threads,
    simd: given.simd,
    runs: given.runs ?? null,
    warmUpRuns: given["warmup-runs"] ?? null,
    seconds: given.seconds,
    precision: given.precision,
    coolDownSeconds: given["cool-down"],
    compare: given.compare !== undefined,
    inputShapes: given["input-shape"].map(({ name, dims }) => [name, dims]),
  };
}

/** The CNN of a file, without its batch fixed by the feeds' names: inputs go by their order. */
function givenTwin(path: string): NonNullable<Surroundings["twin"]> {
  return { model: readModel(path).model, name: path };
}

function peersFor(
  twin: Model,
  ...[feeds, { threads }]: Parameters<NonNullable<Surroundings["peers"]>> extends [unknown, ...infer Rest]
    ? Rest
    : never
) {
  const { bytes } = encodeModel(twin);
  return (["onnxruntime-web", "onnxruntime-node"] as const).map((peer) =>
    peerContender(peer, bytes, feeds, threads),
  );
}

function surroundingsOf({ model }: Profiled, given: Given): Surroundings {
  return {
    peers: peersFor,
    ...(given.input.length > 0 && { feeds: Object.fromEntries(readFeeds(given.input, model)) }),
    ...(typeof given.compare === "string" && { twin: givenTwin(given.compare) }),
  };
}

function requireTravelling(given: Given, how: "--host" | "--bundle"): void {
  if (given.input.length > 0)
    throw usage(`--input does not travel with ${how}`, "leave it away: time hardly depends on data");
  if (typeof given.compare === "string")
    throw usage(`a CNN's file does not travel with ${how}`, "use --compare alone");
}

async function writeBundle(prepared: Profiled, given: Given, path: string): Promise<Outcome> {
  requireTravelling(given, "--bundle");
  checkOutput(path, prepared.file.files);
  const text = await bundleText(taskOf(prepared, given), prepared.bytes);
  writeFiles([{ path, bytes: text }]);
  const bytes = Buffer.byteLength(text);
  return {
    text: `written: ${path}, ${bytes.toLocaleString("en-US")} bytes\non the other machine: node ${path.replace(/^.*[/\\]/, "")} report.json`,
    json: { schemaVersion: 1, kind: "bundle", model: prepared.file.path, file: path, bytes },
  };
}

async function measure(prepared: Profiled, given: Given, tell: Tell): Promise<ProfileReport> {
  const task = taskOf(prepared, given);
  const { host } = given;
  if (host === undefined)
    return profileHere(
      prepared.changed === null && prepared.file.files.length === 1 ? prepared.bytes : prepared.model,
      task,
      surroundingsOf(prepared, given),
      tell,
    );
  requireTravelling(given, "--host");
  return profileOnHost(
    { host, sshOptions: given["ssh-option"], node: given["remote-node"] },
    task,
    prepared.bytes,
    tell,
  );
}

/** `--compare net.onnx` with nothing else names the model. */
function modelAndFlags(positionals: readonly string[], given: Given): [string, Given] {
  const [path, other] = positionals;
  if (path !== undefined && other === undefined) return [path, given];
  if (path === undefined && typeof given.compare === "string")
    return [given.compare, { ...given, compare: true }];
  throw usage(
    path === undefined ? "MODEL is missing" : "one model at a time",
    "several reports: --merge a.json b.json",
  );
}

async function run(
  { positionals, flags: asked }: { readonly positionals: readonly string[]; readonly flags: Given },
  context: Context,
): Promise<Outcome> {
  if (asked.merge) return mergeReports(positionals, asked, context);
  const [path, given] = modelAndFlags(positionals, asked);
  const baseline = given.baseline === undefined ? undefined : readReport(given.baseline);
  if (path.endsWith(".json")) {
    const report = readReport(path);
    return conclude(
      report,
      given,
      baseline,
      planOutputs(askedOutputs(given), report.model.name, [path]),
      context,
    );
  }
  const file = readModel(path);
  const outputs = planOutputs(askedOutputs(given), path, file.files);
  const prepared = await prepareModel(file);
  if (prepared.changed !== null) context.note(prepared.changed);
  if (given.bundle !== undefined) return writeBundle(prepared, given, given.bundle);
  const report = await measure(prepared, given, context.progress);
  for (const warning of report.warnings) context.warn(warning);
  return conclude(report, given, baseline, outputs, context);
}

export const profileCommand: Command = defineCommand({
  name: "profile",
  summary:
    "Measures what a model costs, layer by layer, here or on a board, and against the CNN of the same topology.",
  positionals: [
    {
      name: "MODEL",
      help: "an .onnx file, or a report (.json) to be checked and written in other forms; with --merge reports and folders of them",
      optional: true,
      rest: true,
    },
  ],
  flags,
  notes: [
    "Layers add up to the wall clock but for a line that says what is left. Intervals are of the median, 95 times of 100.",
    "Energy and cycles come from published tables and are models; times, ratios and limits are measured.",
    "--host needs Node 20 or newer there and nothing else; nothing is written there. --bundle is for machines without ssh.",
  ],
  examples: [
    "addernet profile resnet20.onnx --compare --html",
    'addernet profile net.onnx --baseline old.json --max-regress 5% --fail-if "p95>12ms"',
    "addernet profile net.onnx --host pi@raspberrypi --cool-down 60 -o pi4.json",
    "addernet profile --merge reports/ --html boards.html",
  ],
  run,
});
