// The standard ONNX ops whose meaning is implemented here.

import { binaryOps } from "./binary.ts";
import { castOps } from "./cast.ts";
import { constantOps } from "./constants.ts";
import { convOps } from "./conv.ts";
import type { OpDefinition } from "./define-op.ts";
import { requiringInputs } from "./facts.ts";
import { gatherOps } from "./gather.ts";
import { gemmOps } from "./gemm.ts";
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

/** Operands that a layer cannot do without, by op. */
const operands: Readonly<Record<string, number>> = {
  Conv: 2,
  ConvTranspose: 2,
  Gemm: 2,
  MatMul: 2,
  LayerNormalization: 2,
  InstanceNormalization: 3,
  BatchNormalization: 5,
};

/** Layers and folds: each takes at least its data. */
const layerOps = [
  ...convOps,
  ...gemmOps,
  ...normalizationOps,
  ...poolingOps,
  ...softmaxOps,
  ...reductionOps,
].map((op) => requiringInputs(op, operands[op.opType] ?? 1));

export const standardOps: readonly OpDefinition[] = [
  ...constantOps,
  ...shapeOps,
  ...movementOps,
  ...sliceOps,
  ...padOps,
  ...gatherOps,
  ...castOps,
  ...unaryOps,
  ...binaryOps,
  ...regulationOps,
  ...quantizationOps,
  ...triluOps,
  ...layerOps,
  ...resizeOps,
];
