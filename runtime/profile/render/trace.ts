// A report as a trace that Perfetto and chrome://tracing open: some usual runs, one after the other, with the layers inside them.

import type { LayerReport, ProfileReport } from "../report.ts";

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M" | "C";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: "ms";
  readonly metadata: Readonly<Record<string, unknown>>;
}

const place = { pid: 1, tid: 1 } as const;
const micro = (ms: number): number => Math.round(ms * 1e6) / 1000;

function named(name: "process_name" | "thread_name", value: string): TraceEvent {
  return { name, ph: "M", ...place, ts: 0, args: { name: value } };
}

const span = (
  name: string,
  cat: string,
  at: number,
  ms: number,
  args: TraceEvent["args"] = {},
): TraceEvent => ({
  name,
  ph: "X",
  cat,
  ...place,
  ts: micro(at),
  dur: micro(ms),
  args,
});

function layerArguments(layer: LayerReport): TraceEvent["args"] {
  const { opType, fused, additions, multiplications, bytes, weight, output, why } = layer;
  return {
    op: opType,
    fused,
    kernels: Object.keys(layer.kernels),
    why,
    additions,
    multiplications,
    bytes,
    weight,
    output,
  };
}

function runEvents(
  report: ProfileReport,
  run: ProfileReport["samples"]["stepped"][number],
  index: number,
  offset: number,
): TraceEvent[] {
  let at = offset + run.at;
  const inside = run.steps.reduce((sum, ms) => sum + ms, 0);
  const events = [span(`run ${index + 1}`, "run", at, Math.max(run.ms, inside))];
  for (const [step, ms] of run.steps.entries()) {
    const layer = report.layers[step]!;
    events.push(span(layer.name, "layer", at, ms, layerArguments(layer)));
    at += ms;
  }
  return events;
}

export function toTrace(report: ProfileReport): Trace {
  const { startUpMs, samples, model, environment, settings, latencyMs, tool, made } = report;
  const counter = (at: number, ms: number): TraceEvent => ({
    name: "run time, ms",
    ph: "C",
    ...place,
    ts: micro(at),
    args: { ms },
  });
  const traceEvents = [
    named("process_name", `addernet profile ${model.name}`),
    named("thread_name", `${settings.kernels} kernels, threads: ${settings.threads}`),
    span("session", "start", 0, startUpMs.session),
    span("first run", "start", startUpMs.session, startUpMs.firstRun),
    ...samples.stepped.flatMap((run, index) => runEvents(report, run, index, startUpMs.coldStart)),
    ...samples.runs.map(([at, ms]) => counter(startUpMs.coldStart + at, ms)),
  ];
  return {
    traceEvents,
    displayTimeUnit: "ms",
    metadata: {
      tool: `${tool.name} ${tool.version}`,
      made,
      machine: environment.cpu.model,
      engine: environment.engine,
      medianMs: latencyMs.p50,
    },
  };
}
