// LeNet-5 with batch normalisation (arXiv 1912.13200, section 4.1) and LeNet++ (the center-loss paper's network, used there for visualisation).

import {
  average,
  averageOfRest,
  filter,
  maxPool,
  norm,
  normOfAdder,
  optionalNorm,
  prelu,
  relu,
  type Step,
  type Topology,
} from "./topology.ts";

/** 5x5 6 - pool - 5x5 16 - pool - 5x5 120 - 84 - classes, batch normalisation after each, on the logits too. */
function lenet5(size: number, pad: number): Topology {
  const steps: Step[] = [
    ...[filter("conv1", 6, { kernel: 5, pad }), norm("bn1"), relu, maxPool(2, 2)],
    ...[filter("conv2", 16, { kernel: 5 }), norm("bn2"), relu, maxPool(2, 2)],
    ...[filter("conv3", 120, { kernel: 5 }), norm("bn3"), relu, averageOfRest],
    ...[filter("fc1", 84), norm("bn4"), relu],
    ...[filter("fc2", "classes"), optionalNorm("bn5")],
  ];
  return { size, inputChannels: 1, classes: 10, steps };
}

/** MNIST's 28x28 is padded to 32x32 by the first layer; images of 32x32 need no padding, but may have it. */
export const lenet5Variants: readonly Topology[] = [
  lenet5(28, 2),
  lenet5(32, 0),
  lenet5(32, 2),
  lenet5(28, 0),
];

/** Two 5x5 layers and a pool, three times. */
const lenetPlusPlusTrunk: readonly Step[] = [32, 64, 128].flatMap((width, stage) => [
  ...[1, 2].flatMap((layer): Step[] => {
    const name = `${stage + 1}_${layer}`;
    const isOrdinary = stage === 0 && layer === 1;
    const options = { kernel: 5, pad: 2, isOrdinary };
    return [filter(`conv${name}`, width, options), norm(`bn${name}`), prelu(`prelu${name}`)];
  }),
  maxPool(2, 2),
]);

const lenetPlusPlus = (head: readonly Step[]): Topology => ({
  ...{ size: 28, inputChannels: 1, classes: 10 },
  steps: [...lenetPlusPlusTrunk, ...head],
});

/**
 * As in the paper's picture: fully connected layers add as well, and scores are distances from the two features to a centre for each class.
 * In a CNN scores are products with the two features, without a norm, so that classes differ by angle.
 */
const plain: readonly Step[] = [
  ...[filter("fc1", 2, { isLinear: true }), normOfAdder("bn_fc1")],
  ...[filter("fc2", "classes", { isLinear: true }), normOfAdder("bn_fc2")],
];

/** The head of the center-loss paper, which multiplies. */
const products: readonly Step[] = [
  ...[filter("fc1", 2, { isLinear: true, isOrdinary: true }), prelu("prelu_fc1")],
  filter("fc2", "classes", { isLinear: true, isOrdinary: true }),
];

/** Two features, and the classes. The first one is what a new network gets. */
export const lenetPlusPlusVariants: readonly Topology[] = [
  lenetPlusPlus(plain),
  lenetPlusPlus(products),
  { ...lenetPlusPlus(products), size: 32 },
  lenetPlusPlus([average, ...products]),
];
