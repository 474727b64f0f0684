// A profile on this machine: cooled down, measured, and compared where asked for.

import type { Feeds } from "../../../runtime/feeds.ts";
import { type ProfileReport, profileModel } from "../../../runtime/profile/index.ts";
import { makeFeeds } from "../../../runtime/profile/inputs.ts";
import type { Model } from "../../core/ir/model.ts";
import { decodeModel } from "../../core/onnx/index.ts";
import { nodeEnvironment } from "../machine/environment.ts";
import { coolDown, makeObserver, peakBytes } from "../machine/state.ts";
import { type CompareSettings, type Contender, compareEngines, makeTwin, ownContender } from "./compare.ts";
import type { ProfileTask, Tell } from "./task.ts";

/** What else can take part: engines that only some places have, and another CNN than the made one. */
export interface Surroundings {
  readonly feeds?: Feeds;
  readonly twin?: { readonly model: Model; readonly name: string };
  /** Contenders for the CNN beside our own runtime. */
  readonly peers?: (twin: Model, feeds: Feeds, settings: CompareSettings) => readonly Contender[];
}

async function cool(seconds: number, tell: Tell): Promise<void> {
  if (seconds <= 0) return;
  await coolDown(seconds, (left) => tell("cooling down", Math.round(seconds - left), seconds));
}

const madeTwin = "the same topology with made-up weights, batch normalisation folded";

async function compareHere(
  source: Uint8Array | Model,
  task: ProfileTask,
  report: ProfileReport,
  { feeds: given, twin, peers }: Surroundings,
  tell: Tell,
): Promise<ProfileReport> {
  const model = source instanceof Uint8Array ? decodeModel(source) : source;
  const feeds = given ?? makeFeeds(model, new Map(task.inputShapes));
  const cnn = twin?.model ?? makeTwin(model);
  const settings: CompareSettings = {
    threads: report.settings.threads,
    simd: task.simd,
    seconds: 2 * task.seconds,
    twinName: twin?.name ?? madeTwin,
  };
  const ownFeeds = Object.fromEntries(
    Object.values(feeds).map((tensor, index) => [cnn.graph.inputs[index]?.name ?? "", tensor]),
  );
  const contenders = [
    ownContender("AdderNet", model, feeds, settings),
    ...(peers?.(cnn, feeds, settings) ?? []),
    ownContender("CNN", cnn, ownFeeds, settings),
  ];
  tell("comparing", 0, 1);
  return { ...report, comparison: await compareEngines(contenders, settings, tell) };
}

/** Errors: those of `profileModel`, and of the comparison ADN_USAGE for a model without adder layers. */
export async function profileHere(
  source: Uint8Array | Model,
  task: ProfileTask,
  surroundings: Surroundings,
  tell: Tell,
): Promise<ProfileReport> {
  await cool(task.coolDownSeconds, tell);
  const report = await profileModel(source, {
    name: task.name,
    sha256: task.sha256,
    bytes: task.bytes,
    version: task.version,
    threads: task.threads,
    simd: task.simd,
    seconds: task.seconds,
    precision: task.precision,
    inputShapes: new Map(task.inputShapes),
    ...(task.changed !== null && { changed: task.changed }),
    ...(task.runs !== null && { runs: task.runs }),
    ...(task.warmUpRuns !== null && { warmUpRuns: task.warmUpRuns }),
    ...(surroundings.feeds && { feeds: surroundings.feeds }),
    environment: nodeEnvironment(),
    observe: makeObserver(),
    peakBytes,
    onProgress: (phase, done, total) =>
      tell(
        phase,
        phase === "measuring" ? Math.round(done / 100) / 10 : done,
        phase === "measuring" ? total / 1000 : total,
      ),
  });
  if (!task.compare) return report;
  await cool(task.coolDownSeconds, tell);
  return compareHere(source, task, report, surroundings, tell);
}
