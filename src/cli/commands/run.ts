// addernet run: one inference on .npy files.

import { AdderNetError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { defineCommand } from "../command.ts";
import { engineFlags, withEngine } from "../engines.ts";
import { type NamedFile, readFeeds, shapeText } from "../feeds.ts";
import * as types from "../flag-types.ts";
import { encodeNpy } from "../npy.ts";
import { readModel } from "../read-model.ts";
import { jsonValues, summarise, summaryText } from "../summarise.ts";
import { checkOutput, writeFiles } from "../write-file.ts";

/** File of each output that is to be written. */
function assignOutputs(wanted: readonly NamedFile[], outputs: readonly string[]): Map<string, string> {
  const assigned = new Map<string, string>();
  for (const { name, path } of wanted) {
    const output = name ?? (outputs.length === 1 ? outputs[0]! : undefined);
    if (output === undefined || !outputs.includes(output)) {
      throw new AdderNetError(
        "ADN_USAGE",
        name ? `the model has no output "${name}"` : "the model has several outputs",
        {
          where: path,
          expected: outputs.map((one) => `-o ${one}=FILE`).join(", "),
        },
      );
    }
    if (assigned.has(output)) throw new AdderNetError("ADN_USAGE", `output "${output}" is written twice`);
    assigned.set(output, path);
  }
  return assigned;
}

function describeOutput(name: string, tensor: Tensor, file: string | undefined) {
  return {
    name,
    type: tensor.type,
    dims: tensor.dims,
    ...summarise(tensor),
    ...(file === undefined ? { data: jsonValues(tensor) } : { file }),
  };
}

export const runCommand = defineCommand({
  name: "run",
  summary: "Runs one inference on .npy files.",
  positionals: [{ name: "MODEL", help: "an .onnx file" }],
  flags: {
    input: {
      type: types.namedPath,
      placeholder: "[NAME=]X.npy",
      repeat: true,
      help: "values of an input; the name may be left out when there is one input",
    },
    output: {
      short: "o",
      type: types.namedPath,
      placeholder: "[NAME=]Y.npy",
      repeat: true,
      help: "where an output goes; without any, a summary is printed",
    },
    limit: { type: types.positiveInteger, placeholder: "N", help: "use only the first N rows of each input" },
    ...engineFlags,
  },
  notes: ["Values are converted to the type of the input only when every one of them exists there."],
  examples: [
    "addernet run lenet.onnx --input digits.npy -o logits.npy",
    "addernet run net.onnx --input left=a.npy --input right=b.npy --json",
  ],
  run: async ({ positionals, flags }, context) => {
    const file = readModel(positionals[0]!);
    const { engine: engineName, threads, limit } = flags;
    const names = file.model.graph.outputs.map(({ name }) => name);
    const targets = assignOutputs(flags.output, names);
    const inputFiles = [...file.files, ...flags.input.map(({ path }) => path)];
    for (const path of targets.values()) checkOutput(path, inputFiles);
    const feeds = readFeeds(flags.input, file.model, limit);
    context.progress(`running ${file.path}`, 0, 1);
    const startedAt = performance.now();
    const { outputs, milliseconds } = await withEngine(engineName, file, { threads }, async (engine) => {
      if (engine.note) context.warn(engine.note);
      const from = performance.now();
      return { outputs: await engine.run(feeds), milliseconds: performance.now() - from };
    });
    writeFiles([...targets].map(([name, path]) => ({ path, bytes: encodeNpy(outputs.get(name)!) })));
    const described = names.map((name) => describeOutput(name, outputs.get(name)!, targets.get(name)));
    const lines = described.map(
      ({ name, type, dims, ...rest }) =>
        `${name}  ${type} ${shapeText(dims)}  ${summaryText(rest)}${"file" in rest ? `  -> ${rest.file}` : ""}`,
    );
    return {
      text: [...lines, `${milliseconds.toFixed(2)} ms on ${engineName}`].join("\n"),
      json: {
        schemaVersion: 1,
        model: file.path,
        engine: engineName,
        milliseconds,
        loadMilliseconds: performance.now() - startedAt - milliseconds,
        outputs: described,
      },
    };
  },
});
