// The networks that are measured, and the images they are given.

import { naturalImages } from "./draws.mjs";

/**
 * Networks by name: channels and size of their images, number and size of those that batch normalisation is calibrated with, and how
 * many images quantization sees.
 */
export const networks = {
  "lenet5-bn": { title: "LeNet-5-BN", image: [1, 28], calibration: [64, 28], samples: 64 },
  "vgg-small": { title: "VGG-small", image: [3, 32], calibration: [8, 32], samples: 16 },
  resnet20: { title: "ResNet-20", image: [3, 32], calibration: [8, 32], samples: 16 },
  resnet32: { title: "ResNet-32", image: [3, 32], calibration: [8, 32], samples: 16 },
  resnet18: { title: "ResNet-18", image: [3, 224], calibration: [4, 96], samples: 2 },
  resnet50: { title: "ResNet-50", image: [3, 224], calibration: [4, 96], samples: 2 },
};

/** The image that engines are given. */
export function imageFor(name, batch = 1) {
  const [channels, size] = networks[name].image;
  return naturalImages([batch, channels, size], 11);
}

/** Images that quantization measures ranges with: others than those engines are given. */
export function samplesFor(name) {
  const [channels, size] = networks[name].image;
  return naturalImages([networks[name].samples, channels, size], 13);
}
