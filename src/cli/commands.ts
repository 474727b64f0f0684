// The list of commands. Their files are loaded when they are asked for.

import type { Command } from "./command.ts";

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export const commands: Readonly<Record<string, CommandEntry>> = {
  convert: {
    summary: "turn a PyTorch export or checkpoint into an optimised model, and verify it",
    load: async () => (await import("./commands/convert.ts")).convertCommand,
  },
  adderize: {
    summary: "turn a CNN into an AdderNet of the same topology, fitted on images without labels",
    load: async () => (await import("./commands/adderize.ts")).adderizeCommand,
  },
  quantize: {
    summary: "put the adder layers of a model on 8- to 3-bit codes, calibrated on images",
    load: async () => (await import("./commands/quantize.ts")).quantizeCommand,
  },
  train: {
    summary: "train or fine-tune a network, resumable, and write what it learned as ONNX",
    load: async () => (await import("./commands/train.ts")).trainCommand,
  },
  run: {
    summary: "run one inference on .npy files",
    load: async () => (await import("./commands/run.ts")).runCommand,
  },
  eval: {
    summary: "measure top-1, top-5 and images per second on a data set",
    load: async () => (await import("./commands/eval.ts")).evalCommand,
  },
  profile: {
    summary: "measure what a model costs, layer by layer, here or on a board, and against its CNN",
    load: async () => (await import("./commands/profile.ts")).profileCommand,
  },
  inspect: {
    summary: "list ops, parameters, additions, multiplications and adder layers",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  doctor: {
    summary: "tell what this machine offers, and how to mend a model or a PyTorch error",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
  data: {
    summary: "list or fetch data sets",
    load: async () => (await import("./commands/data.ts")).dataCommand,
  },
};
