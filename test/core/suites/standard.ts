// The cases of all standard ops that the runtime has kernels for.

import { elementwiseCases } from "./elementwise.ts";
import { indexingCases } from "./indexing.ts";
import { cases as linearCases } from "./linear.ts";
import { movementCases } from "./movement.ts";
import type { OpCase } from "./op-case.ts";
import { cases as quantizationCases } from "./quantization.ts";
import { cases as reductionCases } from "./reductions.ts";
import { cases as windowCases } from "./windows.ts";

export const standardCases: readonly OpCase[] = [
  ...windowCases,
  ...linearCases,
  ...reductionCases,
  ...movementCases,
  ...indexingCases,
  ...elementwiseCases,
  ...quantizationCases,
];
