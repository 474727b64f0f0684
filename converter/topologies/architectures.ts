// The architectures by name, each as the topologies it may mean: the first one that a checkpoint fits is taken.

import { lenet5Variants, lenetPlusPlusVariants } from "./lenet.ts";
import { cifarResnet, imagenetResnet } from "./resnet.ts";
import type { Topology } from "./topology.ts";
import { vggSmallVariants } from "./vgg.ts";

export const architectures: ReadonlyMap<string, readonly Topology[]> = new Map(
  Object.entries({
    "lenet5-bn": lenet5Variants,
    "lenet-plus-plus": lenetPlusPlusVariants,
    "vgg-small": vggSmallVariants,
    resnet20: [cifarResnet(3)],
    resnet32: [cifarResnet(5)],
    resnet44: [cifarResnet(7)],
    resnet56: [cifarResnet(9)],
    resnet18: [imagenetResnet([2, 2, 2, 2], "basic")],
    resnet34: [imagenetResnet([3, 4, 6, 3], "basic")],
    resnet50: [imagenetResnet([3, 4, 6, 3], "bottleneck")],
  }),
);

/** The names `--arch` takes. */
export function listArchitectures(): string[] {
  return [...architectures.keys()];
}
