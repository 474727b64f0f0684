// What operations cost by published tables: energy in 45 nm, cycles of processors. Models, not measurements.

/** Operations per image; both twins are told alike. */
export interface Operations {
  readonly additions: number;
  readonly multiplications: number;
}

/** Picojoules of one operation in 45 nm (Horowitz, ISSCC 2014), as the follow-ups of AdderNet count. */
export const energyTable = {
  float32: { addition: 0.9, multiplication: 3.7 },
  int8: { addition: 0.03, multiplication: 0.2 },
} as const;

export type Precision = keyof typeof energyTable;

/** Microjoules of the arithmetic alone: no memory, no control. */
export function energyOf({ additions, multiplications }: Operations, precision: Precision): number {
  const { addition, multiplication } = energyTable[precision];
  return (additions * addition + multiplications * multiplication) / 1e6;
}

export interface Processor {
  readonly name: string;
  /** Cycles until a float32 result is there. */
  readonly addition: number;
  readonly multiplication: number;
  readonly source: string;
}

/** Cycles of one float32 operation after the other, as the paper counts for the VIA Nano: no vectors, no overlap. */
export const processors: readonly Processor[] = [
  { name: "VIA Nano 2000", addition: 2, multiplication: 4, source: "the AdderNet paper, arXiv 1912.13200" },
  {
    name: "Cortex-A53",
    addition: 4,
    multiplication: 4,
    source: "LLVM's scheduling model of the core, FP arithmetic and FP multiply; Arm publishes no table",
  },
  {
    name: "Cortex-A72",
    addition: 4,
    multiplication: 4,
    source: "Arm's Cortex-A72 Software Optimization Guide, FP data processing: FADD, FMUL",
  },
  {
    name: "Cortex-A76",
    addition: 2,
    multiplication: 3,
    source: "Arm's Cortex-A76 Software Optimization Guide, FP data processing: FADD, FMUL",
  },
  {
    name: "x86-64 (Skylake)",
    addition: 4,
    multiplication: 4,
    source: "Intel's optimization manual, latency of ADDSS and MULSS",
  },
  {
    name: "x86-64 (Zen 4)",
    addition: 3,
    multiplication: 3,
    source: "AMD's optimization guide for family 19h, latency of ADDSS and MULSS",
  },
];

export function cyclesOf({ additions, multiplications }: Operations, processor: Processor): number {
  return additions * processor.addition + multiplications * processor.multiplication;
}

export interface Published {
  readonly network: string;
  /** Products of all filters of the CNN, as counted here. */
  readonly filterProducts: readonly number[];
  readonly cnn: Operations;
  readonly adder: Operations;
  /** Cycles on the VIA Nano, where the paper has them. */
  readonly cycles?: { readonly cnn: number; readonly adder: number };
  /** How the figures differ from a count of the filters. */
  readonly difference: string;
}

const wholeNetwork =
  "the paper takes all layers as adders, the released networks keep the first and the last as convolutions";

/** Figures of the AdderNet paper (arXiv 1912.13200, abstract and tables), and how our count differs. */
export const published: readonly Published[] = [
  {
    network: "LeNet-5-BN",
    filterProducts: [416_520],
    cnn: { additions: 435_000, multiplications: 435_000 },
    adder: { additions: 870_000, multiplications: 0 },
    cycles: { cnn: 2_600_000, adder: 1_700_000 },
    difference:
      "the filters make 416,520 products; with two operations per value of batch normalisation and one per pooled value the count is 435,860, the published 435K",
  },
  {
    network: "ResNet-20, 32x32",
    filterProducts: [40_813_184, 40_551_040],
    cnn: { additions: 41_170_000, multiplications: 41_170_000 },
    adder: { additions: 82_340_000, multiplications: 0 },
    difference: `the layers make 40,813,184 products, 0.9 % less than the published figure, which the paper does not break down (its ResNet-32, 69.12M, is the same kind of count exactly); ${wholeNetwork}`,
  },
  {
    network: "ResNet-32, 32x32",
    filterProducts: [69_124_736],
    cnn: { additions: 69_120_000, multiplications: 69_120_000 },
    adder: { additions: 138_240_000, multiplications: 0 },
    difference: `none in the layers; ${wholeNetwork}`,
  },
  {
    network: "VGG-small, 32x32",
    filterProducts: [607_600_640],
    cnn: { additions: 650_000_000, multiplications: 650_000_000 },
    adder: { additions: 1_300_000_000, multiplications: 0 },
    difference: `the layers make 607,600,640 products, 7 % less than the published figure, which the paper does not break down; ${wholeNetwork}`,
  },
  {
    network: "ResNet-18, 224x224",
    filterProducts: [1_814_073_344],
    cnn: { additions: 1_800_000_000, multiplications: 1_800_000_000 },
    adder: { additions: 3_600_000_000, multiplications: 0 },
    difference: `none in the layers; ${wholeNetwork}`,
  },
  {
    network: "ResNet-50, 224x224",
    filterProducts: [4_089_184_256, 3_857_973_248],
    cnn: { additions: 3_900_000_000, multiplications: 3_900_000_000 },
    adder: { additions: 7_700_000_000, multiplications: 0 },
    difference: `the published figure fits blocks with their stride in the first 1x1 layer, 3,857,973,248 products; with the stride in the 3x3 layer, as torchvision and the released code have it, they make 4,089,184,256; ${wholeNetwork}`,
  },
];

/** The paper's figures for a network with so many products in its filters. */
export function publishedFor(filterProducts: number): Published | undefined {
  return published.find((row) => row.filterProducts.includes(filterProducts));
}
