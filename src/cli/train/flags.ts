// The flags of `train`, and what of them decides the result.

import type { Flags, FlagType, FlagValues } from "../command.ts";
import { dataFolderFlag } from "../data-sets/cache.ts";
import * as types from "../flag-types.ts";
import { normalisationFlags } from "../image-input.ts";

const share: FlagType<number> = {
  expects: "a number from 0 to 1",
  parse: (given) => {
    const value = types.nonNegative.parse(given);
    return value !== undefined && value <= 1 ? value : undefined;
  },
};

const width: FlagType<number> = {
  expects: "a number above 0, at most 1",
  parse: (given) => share.parse(given) || undefined,
};

const codeBits: FlagType<number> = {
  expects: "an integer from 3 to 8",
  parse: (given) => (/^[3-8]$/.test(given) ? Number(given) : undefined),
};

export const trainFlags = {
  out: { short: "o", type: types.path, placeholder: "OUT.onnx", help: "where the trained model goes" },
  arch: {
    type: types.text,
    placeholder: "NAME",
    help: "a network to train (see below)",
  },
  layers: {
    type: types.oneOf("adder", "conv"),
    placeholder: "adder|conv",
    default: "adder",
    help: "whether layers of --arch add or multiply; the reference's ordinary ones multiply",
  },
  width: {
    type: width,
    placeholder: "W",
    help: "share of the reference's filters that every layer of a new --arch gets (default 1)",
  },
  model: {
    type: types.path,
    placeholder: "M.onnx",
    help: "a converted model to fine-tune, in place of --arch",
  },
  init: {
    type: types.path,
    placeholder: "W",
    help: "weights to start from: .pth or .safetensors that fit --arch",
  },
  data: {
    type: types.text,
    placeholder: "D",
    help: "what is learned from: mnist, fashion-mnist or cifar10 (the training part), a folder, or x.npy,y.npy",
  },
  validation: {
    type: types.text,
    placeholder: "D",
    help: "what is measured with after each epoch (default: the test part of a named data set)",
  },
  limit: { type: types.positiveInteger, placeholder: "N", help: "learn from the first N images only" },
  epochs: { type: types.positiveInteger, placeholder: "N", default: 50, help: "times to see all images" },
  batch: {
    type: types.positiveInteger,
    placeholder: "N",
    help: "images per step (default 256, fine-tuning 128)",
  },
  optimizer: {
    type: types.oneOf("sgd", "adam"),
    placeholder: "sgd|adam",
    default: "sgd",
    help: "sgd uses AdderNet's layer-wise rate for adder weights",
  },
  "learning-rate": {
    type: types.nonNegative,
    placeholder: "R",
    help: "where the schedule starts (default 0.1, fine-tuning 0.02, with --bits 0.0005; adam a hundredth of it)",
  },
  schedule: {
    type: types.oneOf("cosine", "smooth-cosine", "steps", "constant"),
    placeholder: "cosine|smooth-cosine|steps|constant",
    help: "how the rate falls: cosine by epochs (default), smooth-cosine by steps (default when fine-tuning), steps at 1/2 and 3/4",
  },
  "warm-up": {
    type: types.integer,
    placeholder: "N",
    default: 0,
    help: "steps in which the rate rises to its start",
  },
  momentum: { type: share, placeholder: "M", default: 0.9, help: "of sgd" },
  nesterov: { help: "look one step ahead" },
  "weight-decay": {
    type: types.nonNegative,
    placeholder: "W",
    default: 5e-4,
    help: "how fast weights shrink",
  },
  "weight-gradient": {
    type: types.oneOf("full", "sign"),
    placeholder: "full|sign",
    default: "full",
    help: "the gradient of adder weights: x - w as in AdderNet, or its sign",
  },
  "input-gradient": {
    type: types.oneOf("clamp", "sign"),
    placeholder: "clamp|sign",
    help: "the gradient of an adder layer's input: clamped to -1..1 as in AdderNet (default), or its sign (default with --bits)",
  },
  "adder-rate": {
    type: types.oneOf("adaptive", "increased"),
    placeholder: "adaptive|increased",
    default: "adaptive",
    help: "of adder weights: AdderNet's layer-wise rate, or --rate-factor times the others'",
  },
  "rate-factor": {
    type: types.nonNegative,
    placeholder: "F",
    help: "of adder weights (default: adaptive 0.2, increased 100)",
  },
  crop: {
    type: types.integer,
    placeholder: "P",
    help: "move images at random by up to P pixels (default 4 for cifar10, 2 for mnist and fashion-mnist, else 0)",
  },
  flip: {
    type: types.oneOf("on", "off"),
    placeholder: "on|off",
    help: "mirror every other image (default on for cifar10 and fashion-mnist)",
  },
  smoothing: {
    type: share,
    placeholder: "S",
    default: 0,
    help: "share of a label that is spread over all classes",
  },
  teacher: {
    type: types.path,
    placeholder: "T.onnx",
    help: "a model whose outputs are learned as well; CNNs run by onnxruntime (default with --bits: the float network itself)",
  },
  alpha: { type: share, placeholder: "A", default: 0.5, help: "share of the labels beside a teacher" },
  temperature: { type: types.nonNegative, placeholder: "T", default: 4, help: "of a teacher's outputs" },
  bits: {
    type: codeBits,
    placeholder: "B",
    help: "train for codes of 3 to 8 bits: adder layers see rounded values and weights",
  },
  seed: {
    type: types.integer,
    placeholder: "N",
    default: 1,
    help: "decides weights, order and augmentation",
  },
  threads: {
    type: types.positiveInteger,
    placeholder: "N",
    help: "threads (default: the cores); the result does not depend on them",
  },
  resume: { help: "go on from the checkpoint beside OUT.onnx; without one, begin" },
  "checkpoint-every": {
    type: types.positiveInteger,
    placeholder: "SECONDS",
    default: 30,
    help: "how often a checkpoint is written; after every epoch as well",
  },
  ...normalisationFlags,
  ...dataFolderFlag,
} as const satisfies Flags;

export type TrainFlags = FlagValues<typeof trainFlags>;

const undecisive = new Set([
  "out",
  "threads",
  "resume",
  "checkpoint-every",
  "dir",
  "json",
  "quiet",
  "help",
  "version",
]);

/** The flags that decide the result, as a checkpoint keeps them. */
export function decisiveFlags(given: TrainFlags): Record<string, unknown> {
  const entries = Object.entries(given).filter(
    ([name, value]) => !undecisive.has(name) && value !== undefined,
  );
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
