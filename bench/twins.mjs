// A network as AdderNet and as CNN: same topology, random weights spread as trained ones are, batch normalisation calibrated so
// that activations are those of a trained network.

import { buildModel, randomCheckpoint } from "../dist/converter/topologies/index.js";
import { adderWeight, between, naturalImages, normal, uniformFrom } from "./draws.mjs";
import { networks } from "./networks.mjs";
import { walkModel } from "./walk.mjs";

const map = ({ type, dims, data }, draw) => ({ type, dims, data: Float32Array.from(data, draw) });

/** Convolution weights are normal with He's deviation, adder weights as measured, scale and shift as after training. */
function drawTensor(key, tensor, uniform) {
  if (key.endsWith(".adder")) return map(tensor, () => adderWeight(uniform));
  const isNorm = tensor.dims.length === 1;
  if (!isNorm) {
    const taps = tensor.data.length / tensor.dims[0];
    return map(tensor, () => Math.sqrt(2 / taps) * normal(uniform));
  }
  if (key.endsWith(".weight")) {
    return map(tensor, () => (uniform() < 0.02 ? -1 : 1) * between(uniform, 0.3, 0.9));
  }
  return key.endsWith(".bias") ? map(tensor, () => between(uniform, -0.5, 0.1)) : tensor;
}

function drawCheckpoint(name, kind) {
  const uniform = uniformFrom(20);
  const { format, tensors } = randomCheckpoint(name, { kind });
  const drawn = [...tensors].map(([key, tensor]) => [key, drawTensor(key, tensor, uniform)]);
  return { format, tensors: new Map(drawn) };
}

/** Mean and variance of every channel of [N, C, ...] data. */
function channelStatistics({ data, dims: [count, channels, ...rest] }) {
  const plane = rest.reduce((product, dim) => product * dim, 1);
  const [mean, variance] = [new Float32Array(channels), new Float32Array(channels)];
  for (let channel = 0; channel < channels; channel++) {
    let [sum, squares] = [0, 0];
    for (let image = 0; image < count; image++) {
      const start = (image * channels + channel) * plane;
      for (let index = start; index < start + plane; index++) {
        sum += data[index];
        squares += data[index] ** 2;
      }
    }
    mean[channel] = sum / (count * plane);
    // What float32 leaves of a channel that never changes is no spread to divide by.
    variance[channel] = Math.max(squares / (count * plane) - mean[channel] ** 2, 1e-3);
  }
  return [mean, variance];
}

/** Gives every batch normalisation the statistics of what it reads; answers the largest activation and the share of zeros. */
async function calibrate(model, images) {
  const { initializers } = model.graph;
  const seen = { largest: 0, zeros: 0, count: 0 };
  await walkModel(
    model,
    { input: images },
    {
      before: ({ opType, inputs }, values) => {
        if (opType !== "BatchNormalization") return;
        for (const [index, data] of channelStatistics(values.get(inputs[0])).entries()) {
          initializers.set(inputs[3 + index], { ...initializers.get(inputs[3 + index]), data });
        }
      },
      after: ({ opType, outputs }, made) => {
        if (opType !== "Relu") return;
        for (const value of made[outputs[0]].data) {
          seen.largest = Math.max(seen.largest, value);
          seen.zeros += value === 0 ? 1 : 0;
          seen.count++;
        }
      },
    },
  );
  return { largest: seen.largest, zeroShare: seen.zeros / seen.count };
}

/** Initialisers of normalisations that share a tensor would be calibrated together: every name is its own here. */
async function buildTwin(name, kind) {
  const { image, calibration } = networks[name];
  const [channels, size] = image;
  const [count, calibrationSize] = calibration;
  const checkpoint = drawCheckpoint(name, kind);
  const small = buildModel(name, checkpoint, {
    inputShape: [count, channels, calibrationSize, calibrationSize],
  });
  const activations = await calibrate(small, naturalImages([count, channels, calibrationSize], 7));
  const model = buildModel(name, checkpoint, { inputShape: ["batch", channels, size, size] });
  for (const [key, tensor] of small.graph.initializers) model.graph.initializers.set(key, tensor);
  return { model, activations };
}

/** Both twins as models in plain ONNX ops and `addernet::Adder2d`, unfused, with what their activations look like. */
export async function buildTwins(name) {
  return { adder: await buildTwin(name, "adder"), cnn: await buildTwin(name, "conv") };
}
