// A network in memory, ready to be run forward and backward. It lives until `dispose`.

import { AdderNetError } from "../core/errors.ts";
import { elementCount } from "../core/tensor.ts";
import { initialise, type Values } from "./initialise.ts";
import { compileKernels } from "./kernels/load.ts";
import { kernelNames } from "./kernels/table.ts";
import type { AdderGradients } from "./lower/context.ts";
import { gatherImages, makePlan, type Plan, scatterImages } from "./lower/plan.ts";
import type { Network, Parameter } from "./network.ts";
import type { Kernel } from "./threads/control.ts";
import { type Crew, loneCrew, startCrew, threadsRefusal } from "./threads/crew.ts";

export interface TrainerOptions {
  /** Images per step. */
  readonly batch: number;
  /** Values of all parameters; without them, they are drawn by `seed`. */
  readonly values?: Values;
  readonly seed?: number;
  /** Threads that compute; results are the same bits for any number. */
  readonly threads?: number;
  /** How gradients of adder layers are taken: AdderNet's own, or signs. */
  readonly gradients?: AdderGradients;
}

export interface Trainer {
  readonly network: Network;
  readonly batch: number;
  readonly threads: number;
  /** Output numbers of one image. */
  readonly outputs: number;
  /** Live views into memory: what is written there is used in the next run. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** Gradients of the last `backward`, of parameters that have one. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /**
   * Runs images [batch, C, H, W] and answers [batch, outputs]. "training" takes statistics from the batch and moves the running
   * ones; "inference" uses those.
   */
  forward(images: Float32Array, mode: "training" | "inference"): Float32Array;
  /** Gradients of all parameters from those of the outputs, after a "training" forward. */
  backward(outputGradients: Float32Array): void;
  /** A value of the last forward run, [batch, C, H, W]; of values made in place, what the last layer left there. */
  read(value: string): Float32Array;
  dispose(): Promise<void>;
}

const pageBytes = 65536;
const mostPages = 65536;

function allocate(plan: Plan, isShared: boolean): WebAssembly.Memory {
  const initial = Math.ceil(plan.bytes / pageBytes) + 1;
  try {
    if (initial > mostPages) throw new RangeError(`${Math.round(plan.bytes / 1e6)} MB`);
    return new WebAssembly.Memory(isShared ? { initial, maximum: mostPages, shared: true } : { initial });
  } catch (cause) {
    throw new AdderNetError("ADN_LIMIT", "there is no memory for a batch of this size", {
      found: `${Math.round(plan.bytes / 1e6)} MB for ${plan.batch} images`,
      fix: "take a smaller batch",
      cause,
    });
  }
}

function checkValues(network: Network, values: Values): void {
  const wrong = [...network.parameters.values()].filter(
    ({ name, dims }) => values.get(name)?.length !== elementCount(dims),
  );
  if (wrong.length === 0) return;
  throw new AdderNetError("ADN_CHECKPOINT", "parameters are missing or have the wrong size", {
    expected: wrong.map(({ name, dims }) => `${name} [${dims.join(", ")}]`).join(", "),
  });
}

function checkLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new AdderNetError("ADN_SHAPE", `${what} have the wrong number of elements`, {
    expected: `${expected}`,
    found: `${found}`,
  });
}

function viewsOf(
  parameters: Iterable<Parameter>,
  address: (name: string) => number | undefined,
  memory: WebAssembly.Memory,
): Map<string, Float32Array> {
  const views = new Map<string, Float32Array>();
  for (const { name, dims } of parameters) {
    const at = address(name);
    if (at !== undefined) views.set(name, new Float32Array(memory.buffer, at, elementCount(dims)));
  }
  return views;
}

function fillMemory(plan: Plan, { buffer }: WebAssembly.Memory): void {
  for (const { address, numbers } of plan.constants) {
    if (numbers instanceof Float64Array) new Float64Array(buffer, address, numbers.length).set(numbers);
    else new Float32Array(buffer, address, numbers.length).set(numbers);
  }
  for (const { address, words } of Object.values(plan.words)) {
    new Int32Array(buffer, address, words.length).set(words);
  }
}

async function makeCrew(plan: Plan, memory: WebAssembly.Memory, threads: number): Promise<Crew> {
  const module = await compileKernels(threads > 1);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const kernels = kernelNames.map((name) => exports[name] as Kernel);
  if (threads === 1) return loneCrew(memory, kernels);
  return startCrew({ module, memory, kernelNames, kernels, control: plan.control, threads });
}

function chooseThreads(wanted: number): number {
  const refusal = wanted > 1 ? threadsRefusal() : undefined;
  if (refusal === undefined) return wanted;
  throw new AdderNetError("ADN_WASM", `no threads can be started: ${refusal}`, {
    fix: "train with one thread",
  });
}

/** Errors: ADN_SHAPE, ADN_CHECKPOINT where values do not fit, ADN_LIMIT where memory does not suffice, ADN_WASM. */
export async function createTrainer(network: Network, options: TrainerOptions): Promise<Trainer> {
  const { batch, seed = 1, gradients } = options;
  const threads = chooseThreads(options.threads ?? 1);
  const plan = makePlan(network, batch, gradients);
  const initial = options.values ?? initialise(network, seed);
  checkValues(network, initial);
  const memory = allocate(plan, threads > 1);
  fillMemory(plan, memory);
  const crew = await makeCrew(plan, memory, threads);
  return trainerOver({ plan, memory, crew, initial });
}

interface Parts {
  readonly plan: Plan;
  readonly memory: WebAssembly.Memory;
  readonly crew: Crew;
  readonly initial: Values;
}

function trainerOver({ plan, memory, crew, initial }: Parts): Trainer {
  const { network, batch } = plan;
  const all = new Float32Array(memory.buffer);
  const values = viewsOf(network.parameters.values(), plan.parameter, memory);
  const gradients = viewsOf(network.parameters.values(), plan.gradient, memory);
  for (const [name, view] of values) view.set(initial.get(name)!);
  const outputs = elementCount(plan.shapes.get(network.output)!);
  const run = (name: keyof Plan["words"]): void => crew.run(plan.words[name].address / 4);
  const read = (name: string): Float32Array => gatherImages(plan, name, plan.value(name), all);
  return {
    ...{ network, batch, outputs, values, gradients, read },
    threads: crew.threads,
    forward(images, mode) {
      checkLength("the images", images.length, batch * elementCount(network.shape));
      scatterImages(plan, network.input, plan.value(network.input), all, images);
      run(mode === "training" ? "forward" : "inference");
      return read(network.output);
    },
    backward(outputGradients) {
      checkLength("the gradients", outputGradients.length, batch * outputs);
      scatterImages(plan, network.output, plan.outputGradient, all, outputGradients);
      run("backward");
    },
    dispose: () => crew.stop(),
  };
}
