// A plan arranged for several threads, run on one: tasks of a phase in random order, each by the program of a random thread. What
// depends on order, on a thread, or on what was in the memory before comes out different.

import { type Kernels, loadKernels, type SimdLevel } from "../../custom-ops/kernels/load.ts";
import { kernelNames, kernelTable } from "../../custom-ops/kernels/table.ts";
import { makeArena } from "../../runtime/arena.ts";
import { bind } from "../../runtime/bind.ts";
import type { ConstantData, ConstantSource, ConstantSources } from "../../runtime/builder.ts";
import { execute } from "../../runtime/execute.ts";
import { fuseEpilogues } from "../../runtime/fuse.ts";
import { imagesOf } from "../../runtime/images.ts";
import { makeLists, type TapLists } from "../../runtime/lists.ts";
import { planGraph } from "../../runtime/plan.ts";
import { type Arrangement, arrangePlan } from "../../runtime/threads/arrange.ts";
import { encodePrograms, linkPhases, placedBytes } from "../../runtime/threads/place.ts";
import type { Team } from "../../runtime/threads/team.ts";
import type { Model } from "../../src/core/ir/model.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { makeRandom } from "../kernels/rig.ts";

type Task = () => void;

/** Phases of tasks, as a worker reads them. */
function readProgram(numbers: Float64Array, kernels: Kernels): Task[][] {
  let at = 0;
  const next = (): number => numbers[at++]!;
  const readCall = (): ((image: number) => void) => {
    const name = kernelNames[next()]!;
    const args = kernelTable[name].map(next);
    const strides = Array.from({ length: next() }, next);
    return (image) =>
      kernels[name](...args.map((argument, index) => argument + image * (strides[index] ?? 0)));
  };
  let calls: ReturnType<typeof readCall>[] = [];
  const readTask = (): Task => {
    const [first, end] = [next(), next()];
    const own = Array.from({ length: next() }, readCall);
    if (own.length > 0) calls = own;
    const mine = calls;
    return () => {
      for (let image = first; image < end; image++) for (const call of mine) call(image);
    };
  };
  const phases: Task[][] = [];
  while (at < numbers.length) phases.push(Array.from({ length: next() }, readTask));
  return phases;
}

/** Stands in for workers: does their tasks while the calling thread asks for one. */
function makeScriptedTeam(programs: readonly Task[][][], seed: number): Team {
  const random = makeRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  let [phase, left] = [-1, [] as number[]];
  return {
    failure: () => undefined,
    begin: () => {},
    enter(tasks) {
      phase++;
      left = Array.from({ length: tasks }, (_, index) => index);
      return true;
    },
    take() {
      while (left.length > 0) {
        const [task] = left.splice(below(left.length), 1);
        const thread = below(programs.length + 1);
        if (thread === 0) return task!;
        programs[thread - 1]![phase]![task!]!();
      }
      return -1;
    },
    end: () => {},
    endOwn: () => {},
    finish: () => true,
    patience: async () => {},
    requireSuccess: () => {},
    abandon: () => {},
    stop: async () => {},
  };
}

export interface Arranged {
  readonly outputs: Record<string, Tensor>;
  readonly arrangement: Arrangement;
}

/** `smallest` of 0 shares whatever can be shared. */
export async function runArranged(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  options: {
    readonly simd: SimdLevel;
    readonly threads: number;
    readonly seed: number;
    readonly smallest?: number;
  },
): Promise<Arranged> {
  const { simd, threads, seed, smallest = 0 } = options;
  const arena = makeArena();
  const { memory } = arena;
  const kernels = await loadKernels(simd, memory);
  function place({ buffer, byteOffset, byteLength }: ConstantData): number {
    const address = arena.allocate(byteLength);
    new Uint8Array(memory.buffer, address).set(new Uint8Array(buffer, byteOffset, byteLength));
    return address;
  }
  const constants = new Map<string, number>();
  const source: ConstantSource = (key, make) => {
    const address = constants.get(key) ?? place(make());
    constants.set(key, address);
    return address;
  };
  const known = new Map<string, TapLists>();
  const lists: ConstantSources["lists"] = (key, source) => {
    const placed = known.get(key) ?? makeLists(source(), arena, kernels).lists;
    known.set(key, placed);
    return placed;
  };
  const tensors = model.graph.inputs.map(({ name }) => feeds[name]!);
  const shapes: ReadonlyMap<string, readonly number[]> = new Map(
    model.graph.inputs.map(({ name }, index) => [name, tensors[index]!.dims]),
  );
  const bound = (given: typeof shapes) => fuseEpilogues(bind(model, given));
  const graph = bound(shapes);
  const sources = { weights: source, table: source, lists };
  const plan = planGraph(graph, sources, undefined, undefined, imagesOf(model, graph, bound));
  const arrangement = arrangePlan(plan, { threads, smallest });
  const bytes = placedBytes(plan, arrangement);
  const base = arena.allocate(bytes);
  const poison = makeRandom(seed + 1);
  new Uint8Array(memory.buffer, base, bytes).forEach((_, index, all) => {
    all[index] = Math.floor(poison() * 256);
  });
  const programs = encodePrograms(arrangement, plan, base);
  const linked = {
    number: 0,
    base,
    phases: linkPhases(arrangement, plan, base, kernels),
    programs: programs.map(() => ({ address: 0, words: 0 })),
  };
  const team = makeScriptedTeam(
    programs.map((program) => readProgram(program, kernels)),
    seed,
  );
  const results = await execute({ plan, linked, memory, feeds: tensors, team });
  const outputs = Object.fromEntries(model.graph.outputs.map(({ name }, index) => [name, results[index]!]));
  return { outputs, arrangement };
}
