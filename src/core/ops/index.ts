// The standard ONNX ops whose meaning is implemented here.

import { binaryOps } from "./binary.ts";
import { castOps } from "./cast.ts";
import { constantOps } from "./constants.ts";
import { convOps } from "./conv.ts";
import type { OpDefinition } from "./define-op.ts";
import { type InputCount, takingInputs } from "./facts.ts";
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

/** What layers take beside their data. */
const operands: Readonly<Record<string, InputCount>> = {
  Conv: [2, 3],
  ConvTranspose: [2, 3],
  Gemm: [2, 3],
  MatMul: 2,
  LayerNormalization: [2, 3],
  InstanceNormalization: 3,
  BatchNormalization: 5,
};

const layerOps = [...convOps, ...gemmOps, ...normalizationOps, ...poolingOps, ...softmaxOps].map((op) =>
  takingInputs(op, operands[op.opType] ?? 1),
);

/** Axes are an input of sums and extrema, and an attribute of where these lie. */
const foldOps = reductionOps.map((op) => takingInputs(op, op.opType.startsWith("Arg") ? 1 : [1, 2]));

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
  ...foldOps,
  ...resizeOps,
];
