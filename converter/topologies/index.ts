// Known networks as data, and models built from them with a checkpoint's weights.

export { listArchitectures } from "./architectures.ts";
export { type BuildOptions, buildModel, guessArchitectures } from "./build-model.ts";
export type { LayerKind } from "./draft.ts";
export { type RandomCheckpointOptions, randomCheckpoint } from "./random-checkpoint.ts";
