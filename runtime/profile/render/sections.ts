// A report as tables with headings: what text, Markdown and the page have in common.

import { cyclesOf, processors } from "../models-of-cost.ts";
import type { Comparison, CostsReport, LayerReport, NetworkCosts, ProfileReport } from "../report.ts";
import { bytes, count, energy, percent, plainMs, ratio, time } from "./numbers.ts";

export interface Section {
  readonly id: "summary" | "layers" | "operations" | "cycles" | "comparison" | "ratios" | "noise";
  readonly title: string;
  readonly head: readonly string[] | null;
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

const interval = ([low, high]: readonly [number, number]): string => `${plainMs(low)} to ${plainMs(high)}`;

function summary(report: ProfileReport): Section {
  const { environment, model, settings, latencyMs: t, startUpMs, memory, timer } = report;
  const { cpu, board } = environment;
  const rows = [
    ["model", `${model.name}, ${model.adderLayers} adder layers, ${bytes(model.bytes)}`],
    ["input", model.inputs.map(({ name, dims }) => `${name} ${dims.join("x")}`).join(", ")],
    [
      "machine",
      [board, cpu.model, cpu.cores === null ? null : `${cpu.cores} cores`].filter(Boolean).join(", "),
    ],
    ["features", cpu.features.join(" ")],
    ["system", `${environment.system}, ${environment.engine}`],
    [
      "kernels",
      `${settings.kernels} (${settings.kernelsReason}), threads: ${settings.threads} (${settings.threadsReason})`,
    ],
    [
      "median",
      `${plainMs(t.p50)} ms (95 %: ${interval(t.ci95)}), ${t.n} runs after ${settings.warmUpRuns} to warm up`,
    ],
    [
      "spread",
      `p90 ${plainMs(t.p90)}, p95 ${plainMs(t.p95)}, p99 ${plainMs(t.p99)}, min ${plainMs(t.min)}, max ${plainMs(t.max)} ms`,
    ],
    [
      "cold start",
      `${time(startUpMs.coldStart)}: session ${time(startUpMs.session)}, first run ${time(startUpMs.firstRun)}`,
    ],
    [
      "memory",
      `values ${bytes(memory.arenaBytes)}, with weights ${bytes(memory.usedBytes)}, WebAssembly ${bytes(memory.wasmBytes)}${memory.peakBytes === null ? "" : `, process at most ${bytes(memory.peakBytes)}`}`,
    ],
    [
      "clock",
      `steps of ${time(timer.resolutionMs)}${timer.repeats > 1 ? `, ${timer.repeats} runs timed together` : ""}`,
    ],
    ["noise", `${report.noise.verdict}${report.noise.findings.length > 0 ? ": see below" : ""}`],
  ];
  return {
    id: "summary",
    title: "Profile",
    head: null,
    rows: rows.filter(([, value]) => value !== ""),
    notes: [...(model.changed === null ? [] : [model.changed]), ...report.warnings],
  };
}

const kernelNames = ({ kernels }: LayerReport): string => Object.keys(kernels).join(" ");

function layerRow(layer: LayerReport): string[] {
  return [
    layer.name,
    layer.opType.replace("addernet::", ""),
    plainMs(layer.ms),
    percent(layer.share),
    count(layer.additions),
    count(layer.multiplications),
    bytes(layer.bytes),
    layer.gigaTapsPerSecond === null ? "" : ratio(layer.gigaTapsPerSecond),
    layer.rooflineShare === null ? "" : percent(layer.rooflineShare),
    kernelNames(layer),
    layer.why,
  ];
}

function layers({ layers: all, reconciliation, totals, roofline }: ProfileReport): Section {
  const { unaccountedMs, unaccountedShare, wallMs } = reconciliation;
  const limits = Object.entries(roofline.gigaTapsPerSecond).map(([mix, rate]) => `${mix} ${ratio(rate)}`);
  const memory =
    roofline.gigaBytesPerSecond === null ? [] : [`memory ${ratio(roofline.gigaBytesPerSecond)} GB/s`];
  return {
    id: "layers",
    title: "Layers",
    head: [
      "layer",
      "op",
      "ms",
      "share",
      "additions",
      "multiplications",
      "bytes",
      "Gtaps/s",
      "of limit",
      "kernels",
      "why",
    ],
    rows: [
      ...all.map(layerRow),
      [
        "unaccounted",
        "",
        plainMs(unaccountedMs),
        percent(unaccountedShare),
        "",
        "",
        "",
        "",
        "",
        "",
        "feeds, answers, calls",
      ],
      [
        "wall clock",
        "",
        plainMs(wallMs),
        percent(1),
        count(totals.additions),
        count(totals.multiplications),
        bytes(totals.bytes),
        "",
        "",
        "",
        "",
      ],
    ],
    notes: [
      limits.length + memory.length > 0
        ? `Limits of this machine (G taps/s): ${[...limits, ...memory].join(", ")}; "of limit" is the least time by arithmetic or memory over the time taken. Taps that are skipped count as done, so it can pass 100 %.`
        : `No limits were measured: ${roofline.reason}.`,
    ],
  };
}

const nano = "VIA Nano 2000";

function costRow(name: string, costs: NetworkCosts): string[] {
  const { multiplications, additions, cycles, energyMicrojoules } = costs;
  return [
    name,
    count(multiplications, 4),
    count(additions, 4),
    count(cycles[nano] ?? 0),
    energy(energyMicrojoules),
  ];
}

/** Published figures are told as they stand there. */
function publishedRows({ published }: CostsReport): string[][] {
  if (published === null) return [];
  const { cnn, adder, vianano, network } = published;
  const row = (
    name: string,
    { multiplications, additions }: typeof cnn,
    cycles: number | undefined,
  ): string[] => [
    `published, ${network}: ${name}`,
    count(multiplications, 4),
    count(additions, 4),
    cycles === undefined ? "" : count(cycles),
    "",
  ];
  return [row("CNN", cnn, vianano?.cnn), row("AdderNet", adder, vianano?.adder)];
}

function operations({ costs }: ProfileReport): Section {
  const { published, precision } = costs;
  return {
    id: "operations",
    title: "Operations per image",
    head: [
      "",
      "multiplications",
      "additions",
      "VIA Nano cycles (model)",
      `energy, ${precision} 45 nm (model)`,
    ],
    rows: [
      costRow("CNN of this topology, layers", costs.cnn),
      costRow("AdderNet, layers", costs.adder),
      costRow("CNN, with normalisation and pooling", costs.withNormalisation.cnn),
      costRow("AdderNet, with normalisation and pooling", costs.withNormalisation.adder),
      ...publishedRows(costs),
    ],
    notes: [
      "A tap of an adder layer is two additions, one of a convolution a product and an addition. Batch normalisation counts as two operations per value, pooling as one.",
      ...(published === null
        ? []
        : [`Where our count differs from the published one: ${published.difference}.`]),
    ],
  };
}

function cycles({ costs }: ProfileReport): Section {
  return {
    id: "cycles",
    title: "Cycles by processor (model, not measured)",
    head: ["processor", "addition", "multiplication", "CNN", "AdderNet", "ratio", "latencies from"],
    rows: processors.map((processor) => {
      const { name, addition, multiplication, source } = processor;
      // Not those of the report: one made before a correction of the table would show the sum of other latencies.
      const [cnn, adder] = [cyclesOf(costs.cnn, processor), cyclesOf(costs.adder, processor)];
      return [
        name,
        `${addition}`,
        `${multiplication}`,
        count(cnn),
        count(adder),
        cnn > 0 ? ratio(adder / cnn) : "",
        source,
      ];
    }),
    notes: ["One float32 operation after the other, as the paper counts: no vectors, no overlap."],
  };
}

function candidates({ candidates: all, twin, rounds, threads, skipped }: Comparison): Section {
  return {
    id: "comparison",
    title: "Compared in one run (measured)",
    head: ["network", "engine", "median ms", "95 %", "p90", "min"],
    rows: all.map(({ network, engine, latencyMs: t }) => [
      network,
      engine,
      plainMs(t.p50),
      interval(t.ci95),
      plainMs(t.p90),
      plainMs(t.min),
    ]),
    notes: [
      `CNN: ${twin}. Engines take turns, ${rounds} rounds, threads: ${threads}.`,
      ...skipped.map(({ name, reason }) => `${name} took no part: ${reason}.`),
    ],
  };
}

function ratios({ ratios: all }: Comparison): Section {
  return {
    id: "ratios",
    title: "Time of the AdderNet over that of the CNN (measured)",
    head: ["against", "ratio", "95 %", "quartiles"],
    rows: all.map(({ ours, peer, ratio: value, ci95, quartiles }) => [
      `${ours} / ${peer}`,
      ratio(value),
      ci95.map((bound) => bound.toFixed(3)).join(" to "),
      quartiles.map((bound) => bound.toFixed(3)).join(" to "),
    ]),
    notes: [
      "Below 1 the AdderNet is faster. The ratio is that of the medians, intervals are of the ratios within each round. From process to process it moves by 2 %.",
    ],
  };
}

const weights = { note: "note", mild: "mild", serious: "serious" } as const;

function noise({ noise: found }: ProfileReport): Section {
  return {
    id: "noise",
    title: `Noise: ${found.verdict}`,
    head: ["finding", "weight", ""],
    rows: found.findings.map(({ kind, weight, text }) => [kind, weights[weight], text]),
    notes: [],
  };
}

export function sectionsOf(report: ProfileReport): Section[] {
  const { comparison } = report;
  return [
    summary(report),
    layers(report),
    operations(report),
    cycles(report),
    ...(comparison === null ? [] : [candidates(comparison), ratios(comparison)]),
    ...(report.noise.findings.length > 0 ? [noise(report)] : []),
  ];
}
