// The standard ONNX ops whose meaning is implemented here.

import type { OpDefinition } from "./define-op.ts";

export const standardOps: readonly OpDefinition[] = [];
