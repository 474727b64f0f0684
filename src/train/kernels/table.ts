// The kernels of training by name. Arguments are addresses, counts of elements and distances in bytes, in the order of their sources.

/** A kernel's number in programs is its place here. */
export const kernelNames = [
  "unfold",
  "fold",
  "adder",
  "conv",
  "weightGradient",
  "signWeightGradient",
  "rowSums",
  "subtractWeighted",
  "adderInputGradient",
  "signInputGradient",
  "convInputGradient",
  "normParts",
  "normStatistics",
  "normRunning",
  "normFrozenStatistics",
  "norm",
  "normGradientParts",
  "normInputGradient",
  "maxPool",
  "maxPoolGradient",
  "averagePool",
  "averagePoolGradient",
  "relu",
  "reluGradient",
  "prelu",
  "preluGradient",
  "add",
  "copy",
  "clear",
  "sumSlices",
  "toGrid",
  "toGridGradient",
] as const;

export type KernelName = (typeof kernelNames)[number];
