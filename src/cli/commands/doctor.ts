// addernet doctor: what this machine offers; how to mend a model, or what a PyTorch message means.

import { readFileSync, statSync } from "node:fs";
import { AdderNetError } from "../../core/errors.ts";
import { defineCommand, type Outcome } from "../command.ts";
import { type KnownMessage, recogniseMessage } from "../doctor/error-messages.ts";
import { examineMachine, type Machine, type PeerState } from "../doctor/machine.ts";
import { examineModel } from "../doctor/model.ts";
import * as types from "../flag-types.ts";
import { textTable } from "../text-table.ts";

function peerText({ version, problem }: PeerState): string {
  if (problem === null) return version ?? "found";
  return problem === "not installed" ? problem : `found, but it does not load: ${problem}`;
}

function machineText({ node, platform, cpu, board, memoryBytes, wasm, onnxruntime }: Machine): string {
  const rows = [
    ["Node", `${node}, ${platform}`],
    ...(board === null ? [] : [["board", board]]),
    ["CPU", `${cpu.model}, ${cpu.cores} cores`],
    ...(cpu.features.length > 0 ? [["CPU features", cpu.features.join(" ")]] : []),
    ["memory", `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ["WASM SIMD", wasm.simd ? "yes" : "no"],
    ["relaxed SIMD", wasm.relaxedSimd],
    ["shared memory", wasm.sharedMemory ? "yes: threads can be used" : "no: one thread"],
    ["kernels chosen", wasm.kernels],
    ...onnxruntime.map((peer) => [peer.name, peerText(peer)]),
  ];
  return textTable(rows);
}

const indent = (text: string): string => text.replace(/^/gm, "    ");

function messageOutcome(text: string, known: KnownMessage | undefined): Outcome {
  if (known === undefined) {
    return {
      text: "This message is not known. Run `addernet doctor MODEL.onnx` on the export itself, if there is one.",
      json: { schemaVersion: 1, kind: "message", ok: false, message: text, match: null },
    };
  }
  const { name, meaning, fix, snippet } = known;
  return {
    text: [`${name}: ${meaning}.`, `To mend it, ${fix}:`, ...(snippet ? [indent(snippet)] : [])].join("\n\n"),
    json: {
      schemaVersion: 1,
      kind: "message",
      ok: true,
      message: text,
      match: { name, meaning, fix, snippet: snippet ?? null },
    },
  };
}

/** The argument is a file when there is one of that name, else a message when it reads like one. */
async function examineArgument(given: string): Promise<Outcome> {
  const stat = statSync(given, { throwIfNoEntry: false });
  if (stat?.isFile() && /\.(txt|log)$/i.test(given)) return explain(readFileSync(given, "utf8"));
  if (stat !== undefined || /^[^\s]+\.\w+$/.test(given)) return examineModel(given);
  return explain(given);
}

function explain(text: string): Outcome {
  return messageOutcome(text, recogniseMessage(text));
}

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "Tells what this machine offers, what to mend in a model, or what a message of PyTorch means.",
  positionals: [
    {
      name: "MODEL|TEXT",
      help: "an .onnx file, a .txt or .log file with a message, or the message",
      optional: true,
    },
  ],
  flags: { error: { type: types.text, placeholder: "TEXT", help: "a message of PyTorch or onnxruntime" } },
  examples: [
    "addernet doctor",
    "addernet doctor net.onnx",
    'addernet doctor --error "TypeError: iteration over a 0-d tensor"',
  ],
  run: async ({ positionals, flags }, context) => {
    const [given] = positionals;
    if (given !== undefined && flags.error !== undefined) {
      throw new AdderNetError("ADN_USAGE", "give a file or --error, not both", { where: "doctor" });
    }
    if (flags.error !== undefined) return explain(flags.error);
    if (given !== undefined) return examineArgument(given);
    context.progress("examining this machine", 0, 1);
    const machine = await examineMachine();
    return { text: machineText(machine), json: { schemaVersion: 1, kind: "machine", ok: true, machine } };
  },
});
