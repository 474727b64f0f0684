// Steps of a run with what they compute: times beside counts, and both beside the machine's limits.

import type { Dim, Model } from "../../src/core/ir/model.ts";
import type { StepTime } from "../explain.ts";
import { joinCosts, type NodeCost, nodeCosts } from "./layer-costs.ts";
import type { LayerReport, ProfileReport } from "./report.ts";
import { type LayerKind, leastMilliseconds } from "./roofline.ts";

interface LayerFacts {
  readonly model: Model;
  readonly shapes: ReadonlyMap<string, readonly Dim[]>;
  readonly steps: readonly StepTime[];
  readonly stepsMs: readonly number[];
  readonly wallMs: number;
  readonly roofline: ProfileReport["roofline"];
  readonly threads: number;
}

function kindOf({ opType, isAdder, taps }: NodeCost): LayerKind | undefined {
  if (taps === 0) return undefined;
  if (!isAdder) return "products float32";
  return opType === "addernet::Adder2d" ? "adder float32" : "adder codes";
}

const bytesOf = ({ reads, writes }: NodeCost): number =>
  [...reads, ...writes].reduce((sum, { bytes }) => sum + bytes, 0);

interface Limits {
  readonly rooflineShare: number | null;
  readonly bound: LayerReport["bound"];
}

/** The least time arithmetic and memory allow, over the time taken. Bytes that fit a cache may come faster than from memory. */
function limitsOf(
  cost: NodeCost,
  ms: number,
  live: number | undefined,
  { roofline, threads }: LayerFacts,
): Limits {
  const kind = kindOf(cost);
  const rates = roofline.gigaTapsPerSecond;
  const least = kind === undefined ? 0 : leastMilliseconds(kind, cost.taps, live, rates);
  const bandwidth = roofline.gigaBytesPerSecond;
  if (bandwidth === null || ms <= 0 || least === undefined) {
    return { rooflineShare: null, bound: null };
  }
  const arithmeticMs = least / threads;
  const memoryMs = bytesOf(cost) / bandwidth / 1e6;
  return {
    rooflineShare: Math.max(arithmeticMs, memoryMs) / ms,
    bound: arithmeticMs >= memoryMs ? "arithmetic" : "memory",
  };
}

/** A label without its op: `Conv "conv1"` is conv1. */
const shortName = (label: string): string => /"(.*)"$/s.exec(label)?.[1] ?? label;

const nothing: NodeCost = {
  opType: "",
  taps: 0,
  isAdder: false,
  additions: 0,
  multiplications: 0,
  scalings: 0,
  weight: null,
  output: null,
  reads: [],
  writes: [],
};

function layerReport(
  step: StepTime,
  ms: number,
  costs: ReadonlyMap<string, NodeCost>,
  facts: LayerFacts,
): LayerReport {
  const parts = [step.node, ...step.fused].flatMap((label) => costs.get(label) ?? []);
  const cost = joinCosts(parts) ?? nothing;
  return {
    name: shortName(step.node),
    opType: cost.opType,
    fused: step.fused.map((label) => label.replace(/ ".*$/s, "")),
    ms,
    share: ms / facts.wallMs,
    taps: cost.taps,
    additions: cost.additions,
    multiplications: cost.multiplications,
    scalings: cost.scalings,
    bytes: bytesOf(cost),
    weight: cost.weight,
    output: cost.output,
    gigaTapsPerSecond: cost.taps === 0 || ms <= 0 ? null : cost.taps / ms / 1e6,
    ...limitsOf(cost, ms, step.live, facts),
    kernels: step.kernels,
    why: step.why,
  };
}

export function layerReports(facts: LayerFacts): LayerReport[] {
  const costs = nodeCosts(facts.model, facts.shapes);
  return facts.steps.map((step, index) => layerReport(step, facts.stepsMs[index]!, costs, facts));
}

export function totalsOf(layers: readonly LayerReport[]): ProfileReport["totals"] {
  const sum = (key: "taps" | "additions" | "multiplications" | "scalings" | "bytes") =>
    layers.reduce((total, layer) => total + layer[key], 0);
  return {
    taps: sum("taps"),
    additions: sum("additions"),
    multiplications: sum("multiplications"),
    scalings: sum("scalings"),
    bytes: sum("bytes"),
  };
}
