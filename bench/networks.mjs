// The networks that are measured, and the images they are given.

import { naturalImages } from "./draws.mjs";

/** Networks by name: channels and size of their images, and the size and number of those they are calibrated with. */
export const networks = {
  "lenet5-bn": { title: "LeNet-5-BN", image: [1, 28], calibration: [64, 28] },
  "vgg-small": { title: "VGG-small", image: [3, 32], calibration: [8, 32] },
  resnet20: { title: "ResNet-20", image: [3, 32], calibration: [8, 32] },
  resnet32: { title: "ResNet-32", image: [3, 32], calibration: [8, 32] },
  resnet18: { title: "ResNet-18", image: [3, 224], calibration: [4, 96] },
  resnet50: { title: "ResNet-50", image: [3, 224], calibration: [4, 96] },
};

/** The image that engines are given. */
export function imageFor(name, batch = 1) {
  const [channels, size] = networks[name].image;
  return naturalImages([batch, channels, size], 11);
}
