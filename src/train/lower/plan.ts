// From a network and a batch to programs: what is computed forward, backward and for inference, and where everything lies.

import { AdderNetError } from "../../core/errors.ts";
import { elementCount } from "../../core/tensor.ts";
import { isTrained, type Layer, type Network, type Parameter, type Shape, shapesOf } from "../network.ts";
import { controlWords } from "../threads/control.ts";
import type { AdderGradients, Lowering, Mode, Places } from "./context.ts";
import { columnBytes } from "./filters.ts";
import { type Blocks, blockAt, cutBatch, makeSpace, rowBytes, type Slices, type Space } from "./layout.ts";
import { lowerings } from "./lowerings.ts";
import { draftProgram, encodeProgram, type Program } from "./program.ts";
import { draftGradients } from "./value-gradients.ts";
import { placeValues } from "./values.ts";

export interface Plan {
  readonly network: Network;
  readonly batch: number;
  readonly slices: Slices;
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly programs: { readonly forward: Program; readonly backward: Program; readonly inference: Program };
  readonly value: (name: string) => Blocks;
  readonly outputGradient: Blocks;
  /** Addresses of values and gradients of the whole batch. */
  readonly parameter: (name: string) => number;
  readonly gradient: (name: string) => number;
  /** Numbers that must lie in memory before the first run. */
  readonly constants: readonly { readonly address: number; readonly numbers: Float64Array | Float32Array }[];
  readonly control: number;
  /** Where each program's words lie, and the bytes of all memory. */
  readonly words: Readonly<
    Record<keyof Plan["programs"], { readonly address: number; readonly words: Int32Array }>
  >;
  readonly bytes: number;
}

interface ParameterPlaces {
  readonly address: (name: string) => number;
  readonly gradient: (name: string) => number;
  readonly slice: (name: string) => Blocks;
  /** Where gradients that every slice has lie as one run, and how many floats they are. */
  readonly run: { readonly total: number; readonly slices: Blocks; readonly floats: number };
}

/** Norms compute gradients of the whole batch themselves; all others leave a share in every slice. */
const isSliced = ({ role }: Parameter): boolean => role !== "gamma" && role !== "beta";

const paddedFloats = ({ dims }: Parameter): number => 4 * Math.ceil(elementCount(dims) / 4);

function placeParameters(network: Network, slices: number, space: Space): ParameterPlaces {
  const all = [...network.parameters.values()];
  const address = new Map(all.map((parameter) => [parameter.name, space.take(4 * paddedFloats(parameter))]));
  const sliced = all.filter((parameter) => isTrained(parameter) && isSliced(parameter));
  const offsets = new Map<string, number>();
  let floats = 0;
  for (const parameter of sliced) {
    offsets.set(parameter.name, 4 * floats);
    floats += paddedFloats(parameter);
  }
  const total = space.take(4 * floats);
  const sliceBytes = Math.ceil((4 * floats) / 64) * 64;
  const blocks = { address: space.take(slices * sliceBytes), sliceBytes };
  const gradient = new Map(
    all.flatMap((parameter): [string, number][] => {
      const offset = offsets.get(parameter.name);
      if (offset !== undefined) return [[parameter.name, total + offset]];
      return isTrained(parameter) ? [[parameter.name, space.take(4 * paddedFloats(parameter))]] : [];
    }),
  );
  return {
    address: (name) => address.get(name)!,
    gradient: (name) => gradient.get(name)!,
    slice: (name) => ({ address: blocks.address + offsets.get(name)!, sliceBytes }),
    run: { total, slices: blocks, floats },
  };
}

/** Memory of layers, made when first asked for. */
function ownMemory(space: Space, slices: number): Places["own"] {
  const known = new Map<string, Blocks>();
  return (layer, name, bytes) => {
    const key = `${name} ${layer.name}`;
    const blocks = known.get(key);
    if (blocks !== undefined) return blocks;
    const sliceBytes = Math.ceil(bytes / 64) * 64;
    const made = { address: space.take(slices * sliceBytes), sliceBytes };
    known.set(key, made);
    return made;
  };
}

/** Columns are used between two calls only, so that all layers share one block of them per slice. */
function takeScratch(
  network: Network,
  places: Pick<Places, "shapes" | "slices">,
  space: Space,
): Places["scratch"] {
  const most = network.layers.reduce(
    (bytes, layer) =>
      layer.kind === "adder" || layer.kind === "conv" ? Math.max(bytes, columnBytes(layer, places)) : bytes,
    0,
  );
  const sliceBytes = Math.ceil(most / 64) * 64;
  const take = (): Blocks => ({ address: space.take(places.slices.count * sliceBytes), sliceBytes });
  const blocks = { columns: take(), gradient: take() };
  return (name) => blocks[name];
}

const lowering = (layer: Layer): Lowering<Layer> => lowerings[layer.kind] as Lowering<Layer>;

function forwardProgram(network: Network, places: Places, mode: Mode): Program {
  const program = draftProgram(places.slices.count);
  for (const layer of network.layers) lowering(layer).forward(layer, places, program, mode);
  return program.finish();
}

/** Floats that one task adds up. */
const sumFloats = 4096;

function sumPhase({ run }: ParameterPlaces, slices: number): Program {
  const tasks = [];
  for (let first = 0; first < run.floats; first += sumFloats) {
    const count = Math.min(sumFloats, run.floats - first);
    const args = [
      run.slices.address + 4 * first,
      run.total + 4 * first,
      count,
      slices,
      run.slices.sliceBytes,
    ];
    tasks.push([{ kernel: "sumSlices" as const, args }]);
  }
  return tasks.length > 0 ? [tasks] : [];
}

interface Backward {
  readonly program: Program;
  readonly outputGradient: Blocks;
}

function backwardProgram(network: Network, places: Places): Backward {
  const { shapes, slices, space } = places;
  const program = draftProgram(slices.count);
  const gradients = draftGradients(network, shapes, slices, space, program);
  const outputGradient = gradients.of(network.output);
  for (const layer of [...network.layers].reverse()) {
    lowering(layer).backward(layer, places, program, gradients);
    gradients.finish(layer.output);
  }
  return { program: program.finish(), outputGradient };
}

function constantPlaces(space: Space) {
  const made = new Map<string, { address: number; numbers: Float64Array | Float32Array }>();
  const take: Places["constants"] = (layer, type, numbers) => {
    const known = made.get(layer.name);
    if (known !== undefined) return known.address;
    const address = space.take(8 * numbers.length);
    made.set(layer.name, {
      address,
      numbers: new (type === "float64" ? Float64Array : Float32Array)(numbers),
    });
    return address;
  };
  return { take, all: () => [...made.values()] };
}

const mostBytes = 2 ** 32;

/** Errors: ADN_LIMIT, before programs are written that no memory could run. */
function requireRoom(space: Space, batch: number): void {
  if (space.used() < mostBytes) return;
  throw new AdderNetError("ADN_LIMIT", "there is no memory for a batch of this size", {
    found: `more than ${Math.round(space.used() / 1e6)} MB for ${batch} images`,
    fix: "take a smaller batch",
  });
}

const defaultGradients: AdderGradients = { weight: "full", input: "clamp" };

/** Errors: ADN_SHAPE, ADN_LIMIT. */
export function makePlan(
  network: Network,
  batch: number,
  gradients: AdderGradients = defaultGradients,
): Plan {
  const shapes = shapesOf(network);
  const trained = [...network.parameters.values()].filter(isTrained);
  const slices = cutBatch(batch, 4 * trained.reduce((sum, parameter) => sum + paddedFloats(parameter), 0));
  const space = makeSpace();
  const control = space.take(4 * controlWords.length);
  const parameters = placeParameters(network, slices.count, space);
  const constants = constantPlaces(space);
  const places: Places = {
    ...{ network, slices, space, shapes, gradients },
    value: placeValues(network, shapes, slices, space),
    parameter: parameters.address,
    gradientOf: parameters.gradient,
    sliceGradient: parameters.slice,
    own: ownMemory(space, slices.count),
    scratch: takeScratch(network, { shapes, slices }, space),
    constants: constants.take,
  };
  requireRoom(space, batch);
  const forward = forwardProgram(network, places, "training");
  const inference = forwardProgram(network, places, "inference");
  const { program, outputGradient } = backwardProgram(network, places);
  const backward = [...program, ...sumPhase(parameters, slices.count)];
  const programs = { forward, inference, backward };
  const words = Object.fromEntries(
    Object.entries(programs).map(([name, made]) => {
      const encoded = encodeProgram(made);
      return [name, { address: space.take(4 * encoded.length), words: encoded }];
    }),
  ) as unknown as Plan["words"];
  return {
    ...{ network, batch, slices, shapes, programs, outputGradient, control, words },
    value: places.value,
    parameter: parameters.address,
    gradient: parameters.gradient,
    constants: constants.all(),
    bytes: space.used(),
  };
}

/** Copies images, one after the other, into a value's blocks. */
export function scatterImages(
  plan: Plan,
  name: string,
  blocks: Blocks,
  all: Float32Array,
  images: Float32Array,
): void {
  const shape = plan.shapes.get(name)!;
  const plane = shape[1] * shape[2];
  const row = rowBytes(shape, plan.slices.images[0]!) / 4;
  let from = 0;
  for (const [slice, count] of plan.slices.images.entries()) {
    const start = blockAt(blocks, slice) / 4;
    for (let image = 0; image < count; image++) {
      for (let c = 0; c < shape[0]; c++) {
        all.set(images.subarray(from, from + plane), start + c * row + image * plane);
        from += plane;
      }
    }
  }
}

/** A value as images one after the other. */
export function gatherImages(plan: Plan, name: string, blocks: Blocks, all: Float32Array): Float32Array {
  const shape = plan.shapes.get(name)!;
  const plane = shape[1] * shape[2];
  const row = rowBytes(shape, plan.slices.images[0]!) / 4;
  const images = new Float32Array(plan.batch * shape[0] * plane);
  let to = 0;
  for (const [slice, count] of plan.slices.images.entries()) {
    const start = blockAt(blocks, slice) / 4;
    for (let image = 0; image < count; image++) {
      for (let c = 0; c < shape[0]; c++) {
        const at = start + c * row + image * plane;
        images.set(all.subarray(at, at + plane), to);
        to += plane;
      }
    }
  }
  return images;
}
