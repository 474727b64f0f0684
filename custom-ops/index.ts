// THE op table: every op this project knows the meaning of.

import { makeOpTable, type OpTable } from "../src/core/ops/define-op.ts";
import { takingInputs } from "../src/core/ops/facts.ts";
import { standardOps } from "../src/core/ops/index.ts";
import { AdderInteger2d } from "./adder-integer2d.ts";
import { Adder2d } from "./adder2d.ts";
import { QLinearAdder2d } from "./qlinear-adder2d.ts";

export { AdderInteger2d } from "./adder-integer2d.ts";
export { adderWindow } from "./adder-window.ts";
export { Adder2d, adder2dAttributes, adder2dTaps } from "./adder2d.ts";
export { QLinearAdder2d, qlinearAdder2dAttributes, qlinearAdder2dInputs } from "./qlinear-adder2d.ts";
export { standardOps };

export const ops: OpTable = makeOpTable([
  ...standardOps,
  takingInputs(Adder2d, [2, 5]),
  takingInputs(QLinearAdder2d, [6, 9]),
  takingInputs(AdderInteger2d, 3),
]);
