// What a topology is: a list of steps, as data. Widths, class count and input channels are those of the reference; a checkpoint may have others.

export interface FilterStep {
  readonly kind: "filter";
  /** The layer's path in the reference's state_dict. */
  readonly name: string;
  readonly outputs: number | "classes";
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  /** First and last layers multiply in the reference: `--layers adder` leaves them alone. */
  readonly isOrdinary: boolean;
  /** A fully connected layer in the reference: it takes the whole feature map. */
  readonly isLinear: boolean;
}

export interface NormStep {
  readonly kind: "norm";
  readonly name: string;
  /** Left out where the checkpoint has none under this name. */
  readonly isOptional: boolean;
  /** Only there for sums of distances: a new network whose layer before it multiplies has none. */
  readonly isForAdders?: boolean;
}

/** ReLU, or PReLU where the checkpoint has slopes under `slope`. */
export interface ActivationStep {
  readonly kind: "activation";
  readonly slope?: string;
}

export interface MaxPoolStep {
  readonly kind: "max-pool";
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

/** The mean over all positions; nothing where one position is left. */
export interface AverageStep {
  readonly kind: "average";
  /** False where the reference expects one position to be left. */
  readonly isExpected: boolean;
}

/** body(x) + shortcut(x). */
export interface ResidualStep {
  readonly kind: "residual";
  readonly name: string;
  readonly body: readonly Step[];
  readonly shortcut: readonly Step[];
  /** The shortcut is the identity where the checkpoint has no layers for it. */
  readonly isShortcutOptional: boolean;
}

export type Step = FilterStep | NormStep | ActivationStep | MaxPoolStep | AverageStep | ResidualStep;

export interface Topology {
  /** Height and width of the input when none is given. */
  readonly size: number;
  readonly inputChannels: number;
  readonly classes: number;
  readonly steps: readonly Step[];
}

type FilterOptions = Partial<Pick<FilterStep, "kernel" | "stride" | "pad" | "isOrdinary" | "isLinear">>;

export function filter(
  name: string,
  outputs: FilterStep["outputs"],
  options: FilterOptions = {},
): FilterStep {
  const base = { kernel: 1, stride: 1, pad: 0, isOrdinary: false, isLinear: false };
  return { kind: "filter", name, outputs, ...base, ...options };
}

export const norm = (name: string): NormStep => ({ kind: "norm", name, isOptional: false });
export const optionalNorm = (name: string): NormStep => ({ kind: "norm", name, isOptional: true });
export const normOfAdder = (name: string): NormStep => ({ ...optionalNorm(name), isForAdders: true });
export const relu: ActivationStep = { kind: "activation" };
export const prelu = (slope: string): ActivationStep => ({ kind: "activation", slope });
export const maxPool = (kernel: number, stride: number, pad = 0): MaxPoolStep => ({
  kind: "max-pool",
  kernel,
  stride,
  pad,
});
export const average: AverageStep = { kind: "average", isExpected: true };
export const averageOfRest: AverageStep = { kind: "average", isExpected: false };

const scaleStep = (step: Step, width: number): Step => {
  if (step.kind === "residual") {
    return { ...step, body: scaleSteps(step.body, width), shortcut: scaleSteps(step.shortcut, width) };
  }
  if (step.kind !== "filter" || step.outputs === "classes") return step;
  return { ...step, outputs: Math.min(step.outputs, Math.max(2, Math.round(step.outputs * width))) };
};

/** The same layers with `width` (at most 1) times the filters, but for the classes; two are left at least. */
export const scaleSteps = (steps: readonly Step[], width: number): Step[] =>
  steps.map((step) => scaleStep(step, width));

/** A layer the reference describes: what its parameters are called, and the shape of its weights. */
export interface Slot {
  readonly kind: "filter" | "norm" | "slope";
  readonly name: string;
  /** "usual" is in the reference but may be missing, "rare" is not in it but may be there. */
  readonly presence: "always" | "usual" | "rare";
  /** [O,I,k,k] of a filter, [C] of a normalisation; [1] of a slope. */
  readonly dims: readonly number[];
  readonly step: FilterStep | NormStep | ActivationStep;
}

interface Extent {
  readonly channels: number;
  readonly size: number;
}

/** floor((size + 2 pad - kernel) / stride) + 1 */
export const outputSize = (size: number, kernel: number, stride: number, pad: number): number =>
  Math.floor((size + 2 * pad - kernel) / stride) + 1;

function slotsOfFilter(step: FilterStep, { channels, size }: Extent, classes: number): [Slot[], Extent] {
  const outputs = step.outputs === "classes" ? classes : step.outputs;
  const kernel = step.isLinear ? size : step.kernel;
  const dims = [outputs, channels, kernel, kernel];
  const slot: Slot = { kind: "filter", name: step.name, presence: "always", dims, step };
  return [[slot], { channels: outputs, size: outputSize(size, kernel, step.stride, step.pad) }];
}

function slotsOfResidual(step: ResidualStep, extent: Extent, classes: number): [Slot[], Extent] {
  const [body, after] = slotsOfSteps(step.body, extent, classes);
  const [shortcut] = slotsOfSteps(step.shortcut, extent, classes);
  const rare = shortcut.map((slot): Slot => ({ ...slot, presence: "rare" }));
  return [[...body, ...(step.isShortcutOptional ? rare : shortcut)], after];
}

function slotsOfNorm(step: NormStep, { channels }: Extent): Slot[] {
  const presence = step.isOptional ? "usual" : "always";
  return [{ kind: "norm", name: step.name, presence, dims: [channels], step }];
}

function slotsOfActivation(step: ActivationStep): Slot[] {
  return step.slope === undefined
    ? []
    : [{ kind: "slope", name: step.slope, presence: "usual", dims: [1], step }];
}

function slotsOfStep(step: Step, extent: Extent, classes: number): [Slot[], Extent] {
  switch (step.kind) {
    case "filter":
      return slotsOfFilter(step, extent, classes);
    case "norm":
      return [slotsOfNorm(step, extent), extent];
    case "activation":
      return [slotsOfActivation(step), extent];
    case "max-pool":
      return [[], { ...extent, size: outputSize(extent.size, step.kernel, step.stride, step.pad) }];
    case "average":
      return [[], { ...extent, size: 1 }];
    case "residual":
      return slotsOfResidual(step, extent, classes);
    default:
      return step satisfies never;
  }
}

function slotsOfSteps(steps: readonly Step[], start: Extent, classes: number): [Slot[], Extent] {
  let extent = start;
  const slots = steps.flatMap((step) => {
    const [made, after] = slotsOfStep(step, extent, classes);
    extent = after;
    return made;
  });
  return [slots, extent];
}

/** Every layer with parameters, in the order PyTorch registers them: a block's body before its shortcut. */
export function slotsOf({ steps, inputChannels, size, classes }: Topology): Slot[] {
  return slotsOfSteps(steps, { channels: inputChannels, size }, classes)[0];
}
