// Optimizers as chains of small transforms: each link changes a parameter's gradient in place, and what comes out at the end is
// subtracted from the parameter. AdderNet's layer-wise rate is one link among the others.

import type { Parameter } from "./network.ts";
import { constant, type Progress, type Schedule } from "./schedules.ts";

export interface LinkArguments {
  readonly parameter: Parameter;
  readonly value: Float32Array;
  /** The link's own arrays for this parameter, as long as it; zeros at first. */
  readonly state: readonly Float32Array[];
  readonly progress: Progress;
}

/** One link of a chain. */
export interface Transform {
  readonly name: string;
  /** How many arrays it keeps for a parameter; 0 for parameters it leaves alone. */
  readonly states: (parameter: Parameter) => number;
  readonly update: (gradient: Float32Array, given: LinkArguments) => void;
}

const none = (): number => 0;

function scale(gradient: Float32Array, factor: number): void {
  for (let i = 0; i < gradient.length; i++) gradient[i]! *= factor;
}

function length(gradient: Float32Array): number {
  let sum = 0;
  for (const value of gradient) sum += value * value;
  return Math.sqrt(sum);
}

/** AdderNet's layer-wise rate: gradients of adder weights get the length eta·√k, k the number of weights of the layer. */
export function adaptiveAdderRate(eta = 0.2): Transform {
  return {
    name: "adaptive adder rate",
    states: none,
    update(gradient, { parameter }) {
      if (parameter.role !== "adder") return;
      scale(gradient, (eta * Math.sqrt(gradient.length)) / Math.max(length(gradient), 1e-12));
    },
  };
}

/** The plain alternative to the adaptive rate: adder weights learn `factor` times as fast; taken first, it leaves their decay as it is. */
export function increasedAdderRate(factor: number): Transform {
  return {
    name: "increased adder rate",
    states: none,
    update(gradient, { parameter }) {
      if (parameter.role === "adder") scale(gradient, factor);
    },
  };
}

/** gradient += rate·value, as PyTorch's SGD does: for all parameters, or those `of` some roles. */
export function weightDecay(rate: number, of?: readonly Parameter["role"][]): Transform {
  return {
    name: "weight decay",
    states: none,
    update(gradient, { parameter, value }) {
      if (rate === 0 || (of !== undefined && !of.includes(parameter.role))) return;
      for (let i = 0; i < gradient.length; i++) gradient[i]! += rate * value[i]!;
    },
  };
}

/** velocity = rate·velocity + gradient, which takes the gradient's place; Nesterov looks one step ahead. */
export function momentum(rate: number, { nesterov = false } = {}): Transform {
  return {
    name: "momentum",
    states: () => (rate === 0 ? 0 : 1),
    update(gradient, { state: [velocity] }) {
      if (velocity === undefined) return;
      for (let i = 0; i < gradient.length; i++) {
        const next = Math.fround(rate * velocity[i]! + gradient[i]!);
        velocity[i] = next;
        gradient[i] = nesterov ? gradient[i]! + rate * next : next;
      }
    },
  };
}

/** Adam's ratio of first moment and root of the second, both corrected for their start at zero. */
export function adamRatio({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = {}): Transform {
  return {
    name: "adam",
    states: () => 2,
    update(gradient, { state: [first, second], progress }) {
      const steps = progress.step + 1;
      const [early, late] = [1 - beta1 ** steps, 1 - beta2 ** steps];
      for (let i = 0; i < gradient.length; i++) {
        const g = gradient[i]!;
        first![i] = beta1 * first![i]! + (1 - beta1) * g;
        second![i] = beta2 * second![i]! + (1 - beta2) * g * g;
        gradient[i] = first![i]! / early / (Math.sqrt(second![i]! / late) + epsilon);
      }
    },
  };
}

/** gradient *= the schedule's rate. */
export function learningRate(schedule: Schedule): Transform {
  return {
    name: "learning rate",
    states: none,
    update: (gradient, { progress }) => scale(gradient, schedule(progress)),
  };
}

const asSchedule = (rate: number | Schedule): Schedule => (typeof rate === "number" ? constant(rate) : rate);

export interface SgdOptions {
  readonly learningRate: number | Schedule;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
  /** What is done to gradients of adder weights first; AdderNet's adaptive rate by default. */
  readonly adders?: Transform;
}

/** The order of the AdderNet code: its rate belongs to the gradient, so decay and momentum come after it. */
export function sgd(options: SgdOptions): Transform[] {
  const { momentum: rate = 0.9, nesterov = false, weightDecay: decay = 0 } = options;
  return [
    options.adders ?? adaptiveAdderRate(),
    weightDecay(decay),
    momentum(rate, { nesterov }),
    learningRate(asSchedule(options.learningRate)),
  ];
}

export interface AdamOptions {
  readonly learningRate: number | Schedule;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

/** Adam: its ratio makes the size of gradients irrelevant, so adder layers need no rate of their own. */
export function adam({ learningRate: rate, weightDecay: decay = 0, ...moments }: AdamOptions): Transform[] {
  return [weightDecay(decay), adamRatio(moments), learningRate(asSchedule(rate))];
}

/** The arrays of every link, by parameter; plain data that a checkpoint can hold. */
export type OptimizerState = readonly ReadonlyMap<string, readonly Float32Array[]>[];

export function startState(chain: readonly Transform[], parameters: Iterable<Parameter>): OptimizerState {
  const all = [...parameters];
  return chain.map(
    ({ states }) =>
      new Map(
        all.map((parameter) => {
          const count = parameter.dims.reduce((product, dim) => product * dim, 1);
          return [
            parameter.name,
            Array.from({ length: states(parameter) }, () => new Float32Array(count)),
          ] as const;
        }),
      ),
  );
}

/** Lets every link change the gradient, then takes it away from the value. The gradient is used up. */
export function applyChain(
  chain: readonly Transform[],
  state: OptimizerState,
  gradient: Float32Array,
  given: Omit<LinkArguments, "state">,
): void {
  for (const [index, link] of chain.entries()) {
    link.update(gradient, { ...given, state: state[index]!.get(given.parameter.name)! });
  }
  const { value } = given;
  for (let i = 0; i < gradient.length; i++) value[i]! -= gradient[i]!;
}
