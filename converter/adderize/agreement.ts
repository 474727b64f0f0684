// How near the outputs of an adder network are to those of its CNN.

import type { Tensor } from "../../src/core/tensor.ts";
import { makeNoiseMeter } from "../quantize/lanes.ts";

export interface OutputAgreement {
  readonly output: string;
  /** Signal to noise against the CNN, in dB; null without a difference. */
  readonly sqnr: number | null;
  /** Share of rows whose largest element is the same, for outputs [N, classes]; null for others. */
  readonly sameTop1: number | null;
}

/** Elements of a row when an output is a list of scores per image. */
function classesOf({ dims }: Tensor): number | undefined {
  const classes = dims.slice(1).reduce((product, length) => product * length, 1);
  const isList =
    dims.length >= 2 && classes >= 2 && dims.slice(1).filter((length) => length > 1).length === 1;
  return isList ? classes : undefined;
}

function largest(data: Float32Array, start: number, count: number): number {
  let best = start;
  for (let index = start + 1; index < start + count; index++) if (data[index]! > data[best]!) best = index;
  return best - start;
}

export function compareOutputs(
  output: string,
  cnn: readonly Tensor[],
  adder: readonly Tensor[],
): OutputAgreement {
  const meter = makeNoiseMeter();
  const classes = classesOf(cnn[0]!);
  let [rows, same] = [0, 0];
  for (const [feed, tensor] of cnn.entries()) {
    const [wanted, found] = [tensor.data as Float32Array, adder[feed]!.data as Float32Array];
    meter.add(wanted, found);
    if (classes === undefined) continue;
    for (let start = 0; start < wanted.length; start += classes, rows++) {
      if (largest(wanted, start, classes) === largest(found, start, classes)) same++;
    }
  }
  return { output, sqnr: meter.decibel(), sameTop1: classes === undefined ? null : same / rows };
}
