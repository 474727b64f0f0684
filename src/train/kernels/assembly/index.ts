// All kernels of training.

export { unfold, fold } from "./window";
export { adder, conv } from "./layer";
export { weightGradient, signWeightGradient, rowSums, subtractWeighted } from "./weight-gradient";
export { adderInputGradient, signInputGradient, convInputGradient } from "./input-gradient";
export { normParts, normStatistics, normRunning, normFrozenStatistics, norm, normGradientParts, normInputGradient } from "./norm";
export { maxPool, maxPoolGradient, averagePool, averagePoolGradient } from "./pool";
export { relu, reluGradient, prelu, preluGradient, add, copy, clear, sumSlices, toGrid, toGridGradient } from "./elementwise";
