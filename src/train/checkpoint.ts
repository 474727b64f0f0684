// Checkpoints: everything a run needs to go on, in one .safetensors file: parameters, the optimizer's arrays and, as metadata, where the
// run stands. Floats keep their bits, so that a run that goes on makes the same ones.

import { AdderNetError } from "../core/errors.ts";
import { encodeSafetensors, type FloatTensor } from "../core/safetensors.ts";
import type { FitState } from "./fit.ts";
import type { Values } from "./initialise.ts";
import type { Network } from "./network.ts";

export interface TrainingCheckpoint {
  readonly values: Map<string, Float32Array>;
  readonly state: FitState;
  /** What the run was started with, as its caller wrote it. */
  readonly settings: unknown;
}

const metadataKey = "addernet.train";
const format = 1;

interface Stored {
  readonly format: number;
  readonly settings: unknown;
  readonly step: number;
  readonly tally: FitState["tally"];
  readonly history: FitState["history"];
  readonly links: number;
}

const dimsOf = ({ parameters }: Network, name: string, length: number): readonly number[] =>
  parameters.get(name)?.dims ?? [length];

/** The bytes of a checkpoint. */
export function encodeCheckpoint(
  network: Network,
  values: Values,
  state: FitState,
  settings: unknown,
): Uint8Array {
  const tensors = new Map<string, FloatTensor>();
  for (const [name, data] of values) {
    tensors.set(`value/${name}`, { dims: dimsOf(network, name, data.length), data });
  }
  for (const [link, arrays] of state.optimizer.entries()) {
    for (const [name, own] of arrays) {
      for (const [index, data] of own.entries()) {
        tensors.set(`link/${link}/${index}/${name}`, { dims: dimsOf(network, name, data.length), data });
      }
    }
  }
  const { step, tally, history, optimizer } = state;
  const stored: Stored = { format, settings, step, tally, history, links: optimizer.length };
  return encodeSafetensors(tensors, { [metadataKey]: JSON.stringify(stored) });
}

interface Entry {
  readonly data_offsets: readonly [number, number];
}

function readTensors(bytes: Uint8Array): { tensors: Map<string, Float32Array>; stored: Stored } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    unknown
  >;
  const { __metadata__: metadata, ...entries } = header;
  const stored = JSON.parse((metadata as Record<string, string>)[metadataKey]!) as Stored;
  const tensors = new Map<string, Float32Array>();
  for (const [name, entry] of Object.entries(entries)) {
    const [begin, end] = (entry as Entry).data_offsets;
    // A copy of its own: Node's buffers share theirs.
    const content = new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end));
    if (content.length !== end - begin) throw new RangeError("cut off");
    tensors.set(name, new Float32Array(content.buffer));
  }
  return { tensors, stored };
}

/** Errors: ADN_CHECKPOINT for what no training run wrote. */
export function decodeCheckpoint(bytes: Uint8Array, where: string): TrainingCheckpoint {
  try {
    const { tensors, stored } = readTensors(bytes);
    if (stored.format !== format) throw new RangeError(`format ${stored.format}`);
    const values = new Map<string, Float32Array>();
    const links = Array.from({ length: stored.links }, () => new Map<string, Float32Array[]>());
    for (const [key, data] of tensors) {
      const [kind, ...rest] = key.split("/");
      if (kind === "value") values.set(rest.join("/"), data);
      else {
        const [link, index, ...name] = rest;
        const arrays = links[Number(link)]!.get(name.join("/")) ?? [];
        arrays[Number(index)] = data;
        links[Number(link)]!.set(name.join("/"), arrays);
      }
    }
    // Links that keep nothing for a parameter still have an entry for it.
    for (const link of links) for (const name of values.keys()) if (!link.has(name)) link.set(name, []);
    const { step, tally, history, settings } = stored;
    return { values, state: { step, tally, history, optimizer: links }, settings };
  } catch (cause) {
    throw new AdderNetError("ADN_CHECKPOINT", "the file is no checkpoint of a training run, or is damaged", {
      where,
      fix: "start the run again without it",
      cause,
    });
  }
}
