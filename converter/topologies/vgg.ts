// VGG-small for CIFAR: 128-128-M-256-256-M-512-512-M and one fully connected layer, batch normalisation and ReLU after every filter.

import { average, filter, maxPool, norm, relu, type Step, type Topology } from "./topology.ts";

const stageWidths = [128, 256, 512];

/** Names are those of one nn.Sequential: filter, normalisation, ReLU; then the pool after every second. */
function features(): Step[] {
  return stageWidths.flatMap((width, stage) => {
    const first = 7 * stage;
    const layers = [first, first + 3].flatMap((index): Step[] => [
      filter(`features.${index}`, width, { kernel: 3, pad: 1, isOrdinary: index === 0 }),
      norm(`features.${index + 1}`),
      relu,
    ]);
    return [...layers, maxPool(2, 2)];
  });
}

const classifier = filter("classifier", "classes", { isLinear: true, isOrdinary: true });

const flattened = (size: number): Topology => ({
  size,
  inputChannels: 3,
  classes: 10,
  steps: [...features(), classifier],
});

/** The classifier's width tells the input's size: without an input shape the usual ones are tried first, then every multiple of 8. */
const sizes = [...new Set([32, 28, 64, 224, ...Array.from({ length: 32 }, (_, index) => 8 * (index + 1))])];

export const vggSmallVariants: readonly Topology[] = [
  ...sizes.map(flattened),
  { ...flattened(32), steps: [...features(), average, classifier] },
];
