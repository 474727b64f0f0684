// The standard ONNX ops whose meaning is implemented here.

import { binaryOps } from "./binary.ts";
import { castOps } from "./cast.ts";
import { constantOps } from "./constants.ts";
import { convOps } from "./conv.ts";
import type { OpDefinition } from "./define-op.ts";
import { gatherOps } from "./gather.ts";
import { gemmOps } from "./gemm.ts";
import { countingInputs } from "./input-counts.ts";
import { movementOps } from "./movement.ts";
import { normalizationOps } from "./normalization.ts";
import { padOps } from "./pad.ts";
import { poolingOps } from "./pooling.ts";
import { quantizationOps } from "./quantization.ts";
import { reductionOps } from "./reduction.ts";
import { regulationOps } from "./regulation.ts";
import { resizeOps } from "./resize.ts";
import { shapeOps } from "./shape-ops.ts";
import { sliceOps } from "./slice.ts";
import { softmaxOps } from "./softmax.ts";
import { triluOps } from "./trilu.ts";
import { unaryOps } from "./unary.ts";

export const standardOps: readonly OpDefinition[] = [
  ...unaryOps.map((op) => countingInputs(op, 1)),
  ...[
    ...constantOps,
    ...shapeOps,
    ...movementOps,
    ...sliceOps,
    ...padOps,
    ...gatherOps,
    ...castOps,
    ...binaryOps,
    ...regulationOps,
    ...quantizationOps,
    ...triluOps,
    ...convOps,
    ...gemmOps,
    ...normalizationOps,
    ...poolingOps,
    ...resizeOps,
    ...softmaxOps,
    ...reductionOps,
  ].map((op) => countingInputs(op)),
];
