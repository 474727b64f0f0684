// THE op table: every op this project knows the meaning of.

import { makeOpTable, type OpTable } from "../src/core/ops/define-op.ts";
import { standardOps } from "../src/core/ops/index.ts";
import { Adder2d } from "./adder2d.ts";

export { Adder2d, adder2dAttributes, adder2dTaps } from "./adder2d.ts";
export { standardOps };

export const ops: OpTable = makeOpTable([...standardOps, Adder2d]);
