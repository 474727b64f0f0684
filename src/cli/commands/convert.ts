// addernet convert: an export in, an optimised and verified model out.

import { basename } from "node:path";
import {
  type Converted,
  type ConvertProgress,
  convert,
  defaultCheck,
  listArchitectures,
} from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import { decodeModel, type EncodedModel, encodeModel } from "../../core/onnx/index.ts";
import { adderSettings } from "../adder-settings.ts";
import { defineCommand, type Flags, type FlagValues } from "../command.ts";
import type { Context } from "../context.ts";
import { summarise, summaryJson, summaryText } from "../convert-summary.ts";
import { readFeeds } from "../feeds.ts";
import { fileRunner } from "../file-runner.ts";
import * as types from "../flag-types.ts";
import { isCheckpointPath, readCheckpointModel } from "../read-checkpoint-model.ts";
import { type ModelFile, readModel } from "../read-model.ts";
import { warningTexts } from "../warning-text.ts";
import { checkOutput, type OutputFile, writeFiles } from "../write-file.ts";

const flags = {
  output: { short: "o", type: types.path, placeholder: "OUT", help: "where the model goes" },
  arch: {
    type: types.text,
    placeholder: "NAME",
    help: "the network whose weights a checkpoint holds",
  },
  classes: { type: types.positiveInteger, placeholder: "N", help: "the classes a checkpoint must have" },
  layers: {
    type: types.oneOf("from-checkpoint", "adder", "conv"),
    placeholder: "from-checkpoint|adder|conv",
    default: "from-checkpoint",
    help: "which layers of a checkpoint add: those it calls so, all but first and last, or none",
  },
  "input-shape": {
    type: types.namedShape,
    placeholder: "NAME:1,3,32,32",
    repeat: true,
    help: "fix the shape of an input; a length may be a symbol. A checkpoint's input is called input",
  },
  "map-op": {
    type: types.opName,
    placeholder: "DOMAIN::OP",
    repeat: true,
    help: "an op of your own that is an adder layer",
  },
  set: {
    type: types.nodeSetting,
    placeholder: "NODE.strides=2,2",
    repeat: true,
    help: "an attribute that the exporter lost",
  },
  target: {
    type: types.oneOf("custom", "standard"),
    placeholder: "custom|standard",
    default: "custom",
    help: "custom keeps addernet::Adder2d with a body in standard ops beside it; standard leaves only ONNX ops",
  },
  check: {
    type: types.integer,
    placeholder: "N",
    help: `random inputs to verify with (default ${defaultCheck.samples})`,
  },
  "no-check": { help: "write without verifying" },
  input: {
    type: types.namedPath,
    placeholder: "[NAME=]X.npy",
    repeat: true,
    help: "verify with these inputs as well",
  },
  rtol: {
    type: types.nonNegative,
    placeholder: "R",
    default: defaultCheck.rtol,
    help: "accepted difference, relative to the largest value of an output",
  },
  atol: {
    type: types.nonNegative,
    placeholder: "A",
    default: defaultCheck.atol,
    help: "accepted difference, absolute",
  },
  "keep-batch": {
    help: "keep a batch that the export fixed to 1; by default it becomes free where rows do not mix",
  },
  "external-data": { help: "write the weights to OUT.data beside OUT" },
  report: { type: types.path, placeholder: "R.json", help: "write what --json prints to a file as well" },
} as const satisfies Flags;

type ConvertFlags = FlagValues<typeof flags>;

/** An export, or what a checkpoint and --arch make. */
async function readSource(path: string, given: ConvertFlags): Promise<ModelFile> {
  const { arch, classes, layers } = given;
  if (arch === undefined && !isCheckpointPath(path)) return readModel(path);
  if (/\.onnx$/i.test(path)) {
    throw new AdderNetError("ADN_USAGE", "--arch is for checkpoints: an ONNX file holds its own network", {
      where: path,
    });
  }
  const shape = given["input-shape"].find(({ name }) => name === "input")?.dims;
  return readCheckpointModel(path, {
    arch,
    layers,
    ...(classes !== undefined && { classes }),
    ...(shape && { inputShape: shape }),
  });
}

function checkTargets(file: ModelFile, given: ConvertFlags): string {
  const { output, report } = given;
  if (output === undefined) {
    throw new AdderNetError("ADN_USAGE", "-o is missing: where does the model go?", {
      where: "convert",
      fix: `for example -o ${file.path.replace(/(\.\w+)?$/, ".adder.onnx")}`,
    });
  }
  const inputs = [...file.files, ...given.input.map(({ path }) => path)];
  checkOutput(output, inputs);
  if (given["external-data"]) checkOutput(`${output}.data`, inputs);
  if (report !== undefined) checkOutput(report, inputs);
  return output;
}

function checkOf(file: ModelFile, given: ConvertFlags) {
  const { check, rtol, atol } = given;
  if (given["no-check"]) {
    if (check === undefined && given.input.length === 0) return false;
    throw new AdderNetError("ADN_USAGE", "--no-check excludes --check and --input", { where: "convert" });
  }
  const feeds = given.input.length > 0 ? [readFeeds(given.input, file.model)] : [];
  return { ...defaultCheck, rtol, atol, feeds, ...(check !== undefined && { samples: check }) };
}

async function convertFile(file: ModelFile, given: ConvertFlags, context: Context) {
  const runner = fileRunner();
  const shapes = new Map(given["input-shape"].map(({ name, dims }) => [name, dims]));
  const onProgress = ({ phase, done, total }: ConvertProgress): void => context.progress(phase, done, total);
  try {
    const converted = await convert(file.model, {
      set: adderSettings(given.set),
      mapOps: new Map(given["map-op"].map((name) => [name, "adder2d"])),
      ...(shapes.size > 0 && { inputShapes: shapes }),
      target: given.target,
      check: checkOf(file, given),
      run: runner.run,
      runForeign: runner.runForeign,
      keepBatch: given["keep-batch"],
      onProgress,
    });
    return { ...converted, verifiedBy: runner.ranBy() };
  } finally {
    await runner.dispose();
  }
}

/** The bytes that were verified, or the same model with its weights in a second file. */
function encode({ model, bytes }: Converted, output: string, external: boolean): EncodedModel {
  if (!external) return { bytes };
  const encoded = encodeModel(model, { externalData: { location: basename(`${output}.data`) } });
  // What was verified had its weights inside: make sure that they are found again.
  decodeModel(encoded.bytes, { where: output, externalData: () => encoded.externalData });
  return encoded;
}

export const convertCommand = defineCommand({
  name: "convert",
  summary: "Turns a PyTorch export or checkpoint into an optimised model, and verifies what it writes.",
  positionals: [
    {
      name: "IN",
      help: "an .onnx file, with its external data beside it, or a .pth or .safetensors checkpoint",
    },
  ],
  flags,
  notes: [
    `Architectures: ${listArchitectures().join(", ")}.`,
    "Verification runs the same inputs through the original's meaning in float64 and through the written file. When they differ by\nmore than atol + rtol * largest value, nothing is written and the exit code is 4.",
  ],
  examples: [
    "addernet convert net.onnx -o net.adder.onnx",
    "addernet convert net.pth --arch resnet20 -o net.onnx",
    "addernet convert net.onnx -o out.onnx --set /conv1/PythonOp.strides=2,2 --set /conv1/PythonOp.pads=1,1,1,1",
    "addernet convert net.onnx -o out.onnx --map-op mylib::L1Conv --report out.report.json",
  ],
  run: async ({ positionals, flags: given }, context) => {
    const file = await readSource(positionals[0]!, given);
    const output = checkTargets(file, given);
    const converted = await convertFile(file, given, context);
    const { bytes, externalData } = encode(converted, output, given["external-data"]);
    const dataPath = `${output}.data`;
    const summary = summarise(file, converted, { path: output, bytes, externalData });
    const json = summaryJson(summary);
    const files: OutputFile[] = [
      ...(externalData ? [{ path: dataPath, bytes: externalData }] : []),
      ...(given.report === undefined
        ? []
        : [{ path: given.report, bytes: `${JSON.stringify(json, null, 2)}\n` }]),
      { path: output, bytes },
    ];
    writeFiles(files);
    for (const text of warningTexts(converted.report.warnings)) context.warn(text);
    return { text: summaryText(summary), json };
  },
});
