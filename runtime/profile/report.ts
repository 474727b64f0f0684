// The report: everything a profile found, as plain data. docs/json-schemas/profile.json describes it.

import type { MachineState, Noise } from "./noise.ts";
import type { Distribution, Ratio } from "./statistics.ts";

export interface Environment {
  /** Name of the machine, where it has one. */
  readonly host: string | null;
  readonly system: string;
  /** "Node 24.21.0", or a browser's own words. */
  readonly engine: string;
  readonly cpu: {
    readonly model: string;
    readonly cores: number | null;
    /** Instruction set extensions that matter here. */
    readonly features: readonly string[];
  };
  /** The board's own name. */
  readonly board: string | null;
  readonly memoryBytes: number | null;
}

export interface LayerReport {
  readonly name: string;
  readonly opType: string;
  readonly fused: readonly string[];
  readonly ms: number;
  /** Of the whole run. */
  readonly share: number;
  readonly taps: number;
  readonly additions: number;
  readonly multiplications: number;
  readonly scalings: number;
  readonly bytes: number;
  readonly weight: readonly number[] | null;
  readonly output: readonly number[] | null;
  /** G taps per second; null for layers without taps. */
  readonly gigaTapsPerSecond: number | null;
  /** Of what the machine could do: arithmetic or memory, whichever binds; null where that is not known. */
  readonly rooflineShare: number | null;
  readonly bound: "arithmetic" | "memory" | null;
  readonly kernels: Readonly<Record<string, number>>;
  readonly why: string;
}

export interface Reconciliation {
  /** Median of whole runs. */
  readonly wallMs: number;
  /** Median of runs with every step timed, whole. */
  readonly timedWallMs: number;
  readonly layersMs: number;
  /** What no layer accounts for: feeds in, answers out, waiting. */
  readonly unaccountedMs: number;
  readonly unaccountedShare: number;
}

/** Counts of one network, and what models make of them. */
export interface NetworkCosts {
  readonly additions: number;
  readonly multiplications: number;
  /** By the 45 nm table: a model, not a measurement. */
  readonly energyMicrojoules: number;
  /** By each processor's table: models, not measurements. */
  readonly cycles: Readonly<Record<string, number>>;
}

export interface CostsReport {
  readonly precision: "float32" | "int8";
  /** The network as it is. */
  readonly adder: NetworkCosts;
  /** The same topology with products in the place of distances. */
  readonly cnn: NetworkCosts;
  /** With two operations per value of batch normalisation and one per pooled value, as some publications count. */
  readonly withNormalisation: { readonly adder: NetworkCosts; readonly cnn: NetworkCosts };
  readonly published: {
    readonly network: string;
    readonly cnn: { readonly additions: number; readonly multiplications: number };
    readonly adder: { readonly additions: number; readonly multiplications: number };
    readonly vianano: { readonly cnn: number; readonly adder: number } | null;
    readonly difference: string;
  } | null;
}

export interface Candidate {
  readonly name: string;
  readonly engine: string;
  readonly network: "AdderNet" | "CNN";
  readonly latencyMs: Distribution;
}

export interface Comparison {
  readonly twin: string;
  readonly rounds: number;
  readonly threads: number;
  readonly candidates: readonly Candidate[];
  /** Below 1: the first is faster. */
  readonly ratios: readonly (Ratio & { readonly ours: string; readonly peer: string })[];
  /** What could not take part, and why. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

export interface Threshold {
  readonly condition: string;
  readonly found: number;
  readonly unit: string;
  readonly crossed: boolean;
}

export interface ProfileReport {
  readonly schemaVersion: 1;
  readonly kind: "profile";
  readonly tool: { readonly name: "addernet"; readonly version: string };
  readonly made: string;
  readonly environment: Environment;
  readonly model: {
    readonly name: string;
    readonly sha256: string | null;
    readonly bytes: number;
    readonly producer: string | null;
    readonly opsets: Readonly<Record<string, number>>;
    readonly inputs: readonly {
      readonly name: string;
      readonly type: string;
      readonly dims: readonly number[];
    }[];
    readonly adderLayers: number;
    /** Why the model that ran is not the file as it is; null when it is. */
    readonly changed: string | null;
  };
  readonly settings: {
    readonly threads: number;
    readonly threadsReason: string;
    readonly kernels: string;
    readonly kernelsReason: string;
    readonly warmUpRuns: number;
    readonly precision: number;
    readonly ended: "precise" | "time" | "count";
  };
  readonly timer: { readonly resolutionMs: number; readonly repeats: number };
  readonly startUpMs: { readonly session: number; readonly firstRun: number; readonly coldStart: number };
  readonly latencyMs: Distribution;
  readonly memory: {
    /** For the values of one run. */
    readonly arenaBytes: number;
    /** Values and packed weights. */
    readonly usedBytes: number;
    /** Of the WebAssembly memory. */
    readonly wasmBytes: number;
    /** Most the process ever held; null where that is not told. */
    readonly peakBytes: number | null;
  };
  readonly layers: readonly LayerReport[];
  readonly reconciliation: Reconciliation;
  readonly roofline: {
    readonly gigaTapsPerSecond: Readonly<Record<string, number>>;
    readonly gigaBytesPerSecond: number | null;
    readonly reason: string;
  };
  readonly totals: {
    readonly taps: number;
    readonly additions: number;
    readonly multiplications: number;
    readonly scalings: number;
    readonly bytes: number;
  };
  readonly costs: CostsReport;
  readonly comparison: Comparison | null;
  readonly machine: { readonly before: MachineState | null; readonly after: MachineState | null };
  readonly noise: Noise;
  readonly thresholds: readonly Threshold[];
  readonly warnings: readonly string[];
  readonly samples: {
    /** [milliseconds since the start, milliseconds it took], spread over the measurement. */
    readonly runs: readonly (readonly [number, number])[];
    /** Some runs with every step timed, in the order of `layers`. */
    readonly stepped: readonly {
      readonly at: number;
      readonly ms: number;
      readonly steps: readonly number[];
    }[];
  };
}
