// A model's profile: opened, warmed up, measured, counted, held against the machine's limits, and judged.

import { AdderNetError } from "../../src/core/errors.ts";
import type { Dim, Model } from "../../src/core/ir/model.ts";
import { decodeModel } from "../../src/core/onnx/index.ts";
import type { SessionExplanation } from "../explain.ts";
import type { Feeds } from "../feeds.ts";
import { createExecutor, type SessionOptions } from "../session.ts";
import { costsReport } from "./costs-report.ts";
import { makeFeeds, shapesOf } from "./inputs.ts";
import { layerReports, totalsOf } from "./layers.ts";
import { type MeasureOptions, measureRuns, type Recording, usualSteps } from "./measure.ts";
import { judgeNoise, type MachineState } from "./noise.ts";
import type { Environment, ProfileReport, Reconciliation } from "./report.ts";
import { type LayerKind, measureBandwidth, measureRoofline, mixNames } from "./roofline.ts";
import { distribution, median, relativeWidth } from "./statistics.ts";

export type ProfilePhase = "opening" | "first run" | "measuring" | "roofline";

export interface ProfileOptions
  extends Pick<SessionOptions, "simd" | "threads">,
    Omit<MeasureOptions, "onProgress"> {
  /** Data to run; made up unless given. */
  readonly feeds?: Feeds;
  /** Lengths that the model leaves open. */
  readonly inputShapes?: ReadonlyMap<string, readonly Dim[]>;
  /** What the model is called in the report. */
  readonly name?: string;
  readonly sha256?: string;
  readonly bytes?: number;
  readonly version?: string;
  /** Why the model is not the file as it is. */
  readonly changed?: string;
  readonly environment: Environment;
  /** Asks the system for its state, before and after. */
  readonly observe?: (before?: MachineState) => MachineState | null | Promise<MachineState | null>;
  readonly peakBytes?: () => number | null;
  /** Whether the machine's limits are measured too; true unless given. */
  readonly roofline?: boolean;
  readonly onProgress?: (phase: ProfilePhase, done: number, total: number) => void | Promise<void>;
}

const kindOf: Readonly<Record<string, LayerKind>> = {
  "addernet::Adder2d": "adder float32",
  "addernet::QLinearAdder2d": "adder codes",
  "addernet::AdderInteger2d": "adder codes",
  Conv: "products float32",
  Gemm: "products float32",
  MatMul: "products float32",
};

async function measureLimits(
  { graph }: Model,
  level: string,
  isWanted: boolean,
): Promise<ProfileReport["roofline"]> {
  const none = { gigaTapsPerSecond: {}, gigaBytesPerSecond: null };
  if (!isWanted) return { ...none, reason: "not asked for" };
  if (level === "scalar") return { ...none, reason: "its mixes are SIMD, the kernels in use are not" };
  const present = new Set(
    graph.nodes.flatMap(
      ({ domain, opType }) => kindOf[domain === "" ? opType : `${domain}::${opType}`] ?? [],
    ),
  );
  const names = [...present].flatMap(mixNames);
  const gigaTapsPerSecond = await measureRoofline({ names, milliseconds: 3, times: 9 });
  return {
    gigaTapsPerSecond,
    gigaBytesPerSecond: measureBandwidth(),
    reason:
      "the best mix of instructions for a layer's kind, on one thread with operands in the first-level cache; a copy for memory",
  };
}

function reconcile(recording: Recording, stepsMs: readonly number[]): Reconciliation {
  const wallMs = median(recording.runs.map(({ ms }) => ms));
  const layersMs = stepsMs.reduce((sum, ms) => sum + ms, 0);
  const unaccountedMs = wallMs - layersMs;
  return {
    wallMs,
    timedWallMs: median(recording.stepped.map(({ ms }) => ms)),
    layersMs,
    unaccountedMs,
    unaccountedShare: unaccountedMs / wallMs,
  };
}

/** At most so many of them, evenly spread. */
function thinned<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => all[Math.floor((index * all.length) / most)]!);
}

/** Runs of a usual length, for a trace. */
function typical({ stepped }: Recording, most: number): Recording["stepped"] {
  const middle = median(stepped.map(({ ms }) => ms));
  const near = [...stepped].sort((a, b) => Math.abs(a.ms - middle) - Math.abs(b.ms - middle)).slice(0, most);
  return near.sort((a, b) => a.at - b.at);
}

const round = (value: number, digits = 5): number => Number(value.toPrecision(digits));

function samplesOf(recording: Recording): ProfileReport["samples"] {
  return {
    runs: thinned(recording.runs, 400).map(({ at, ms }) => [round(at, 7), round(ms)] as const),
    stepped: typical(recording, 12).map(({ at, ms, steps }) => ({
      at: round(at, 8),
      ms: round(ms),
      steps: steps.map((step) => round(step)),
    })),
  };
}

interface Opened {
  readonly feeds: Feeds;
  readonly recording: Recording;
  readonly explained: SessionExplanation;
  readonly startUpMs: ProfileReport["startUpMs"];
}

async function openAndMeasure(
  source: Uint8Array | Model,
  options: ProfileOptions,
): Promise<Opened & { model: Model }> {
  const { simd, threads, onProgress } = options;
  await onProgress?.("opening", 0, 1);
  const start = performance.now();
  const model = source instanceof Uint8Array ? decodeModel(source) : source;
  const session = await createExecutor(model, {
    ...(simd !== undefined && { simd }),
    ...(threads !== undefined && { threads }),
  });
  try {
    const opened = performance.now();
    const feeds = options.feeds ?? makeFeeds(model, options.inputShapes ?? new Map());
    await onProgress?.("first run", 0, 1);
    const before = performance.now();
    await session.run(feeds);
    const firstRun = performance.now() - before;
    const recording = await measureRuns(
      { run: () => session.run(feeds), profile: () => session.profile(feeds) },
      { ...options, onProgress: (done, total) => onProgress?.("measuring", done, total) },
    );
    const startUpMs = { session: opened - start, firstRun, coldStart: opened - start + firstRun };
    return { model, feeds, recording, explained: session.explain(), startUpMs };
  } finally {
    await session.dispose();
  }
}

function modelReport(model: Model, feeds: Feeds, options: ProfileOptions): ProfileReport["model"] {
  const { name = "model", sha256 = null, bytes = 0, changed = null } = options;
  const { producerName, producerVersion, opsetImports, graph } = model;
  return {
    name,
    sha256,
    bytes,
    producer: [producerName, producerVersion].filter(Boolean).join(" ") || null,
    opsets: Object.fromEntries([...opsetImports].map(([domain, version]) => [domain || "ai.onnx", version])),
    inputs: Object.entries(feeds).map(([input, { type, dims }]) => ({ name: input, type, dims: [...dims] })),
    adderLayers: graph.nodes.filter(({ domain, opType }) => domain === "addernet" && /Adder/.test(opType))
      .length,
    changed,
  };
}

function warningsOf(recording: Recording, { unaccountedShare }: Reconciliation): string[] {
  const warnings: string[] = [];
  if (recording.ended === "time") {
    warnings.push(`the time was up before the median was known to ±${100 * recording.precision} %`);
  }
  if (recording.repeats > 1) {
    warnings.push(
      `the clock steps by ${recording.resolutionMs.toPrecision(2)} ms: ${recording.repeats} runs are timed together, layers are means over many runs`,
    );
  }
  if (Math.abs(unaccountedShare) > 0.05) {
    warnings.push(`${(100 * unaccountedShare).toFixed(1)} % of the time belongs to no layer`);
  }
  return warnings;
}

/**
 * Profiles a model on this runtime: how long a run takes and how sure that is, each layer's part, counts and limits. Runs in
 * browsers too. Errors: those of `createSession` and ADN_FEED for open lengths.
 */
export async function profileModel(
  source: Uint8Array | Model,
  options: ProfileOptions,
): Promise<ProfileReport> {
  if (options.runs !== undefined && options.runs < 3) {
    throw new AdderNetError("ADN_USAGE", "too few runs for a profile", { expected: "3 or more" });
  }
  const before = (await options.observe?.()) ?? null;
  const { model, feeds, recording, explained, startUpMs } = await openAndMeasure(source, options);
  const after = (await options.observe?.(before ?? undefined)) ?? null;
  await options.onProgress?.("roofline", 0, 1);
  const roofline = await measureLimits(model, explained.simd.level, options.roofline ?? true);
  const shapes = shapesOf(feeds);
  const stepsMs = usualSteps(recording);
  const reconciliation = reconcile(recording, stepsMs);
  const threads = explained.plans.at(-1)?.threads ?? 1;
  const layers = layerReports({
    model,
    shapes,
    steps: recording.steps,
    stepsMs,
    wallMs: reconciliation.wallMs,
    roofline,
    threads,
  });
  const latencyMs = distribution(recording.runs.map(({ ms }) => ms));
  return {
    schemaVersion: 1,
    kind: "profile",
    tool: { name: "addernet", version: options.version ?? "" },
    made: new Date().toISOString(),
    environment: options.environment,
    model: modelReport(model, feeds, options),
    settings: {
      threads,
      threadsReason: explained.threads.reason,
      kernels: explained.simd.level,
      kernelsReason: explained.simd.reason,
      warmUpRuns: recording.warmUpRuns,
      precision: recording.precision,
      ended: recording.ended,
    },
    timer: { resolutionMs: recording.resolutionMs, repeats: recording.repeats },
    startUpMs,
    latencyMs,
    memory: {
      arenaBytes: explained.plans.at(-1)?.arenaBytes ?? 0,
      usedBytes: explained.usedBytes,
      wasmBytes: explained.memoryBytes,
      peakBytes: options.peakBytes?.() ?? null,
    },
    layers,
    reconciliation,
    roofline,
    totals: totalsOf(layers),
    costs: costsReport(model, shapes),
    comparison: null,
    machine: { before, after },
    noise: judgeNoise({
      times: recording.runs.map(({ ms }) => ms),
      interval: relativeWidth(latencyMs),
      cores: options.environment.cpu.cores,
      before,
      after,
    }),
    thresholds: [],
    warnings: warningsOf(recording, reconciliation),
    samples: samplesOf(recording),
  };
}
