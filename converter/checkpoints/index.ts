// Checkpoints of trained networks: read safely, with their names made alike.

export type { Checkpoint, CheckpointFormat, ModuleAttribute, ModuleNode } from "./checkpoint.ts";
export { normaliseNames } from "./normalise-names.ts";
export { readCheckpoint } from "./read-checkpoint.ts";
