// Bytes of a posted image to 8-bit RGB: PNG, JPEG, and .npy arrays [H,W,3], [3,H,W] or [H,W] of uint8.

import { decode as decodePng } from "fast-png";
import jpeg from "jpeg-js";

/** The request is at fault: `status` is what it is answered with. */
export class ImageError extends Error {
  constructor(message, status = 422) {
    super(message);
    this.status = status;
  }
}

/** Pixels that may be decoded: what a small file blows up to is bounded before memory is taken. */
export const mostPixels = 24e6;

function requireSize(width, height) {
  if (width > 0 && height > 0 && width * height <= mostPixels) return;
  throw new ImageError(
    `${width}x${height} pixels; images of at most ${mostPixels / 1e6} megapixels are taken`,
    413,
  );
}

/** Samples with 1 to 4 channels as RGB; transparent parts on white, 16 bits as 8. */
function toRgb({ width, height, channels, depth = 8 }, samples) {
  const [isGrey, hasAlpha] = [channels < 3, channels % 2 === 0];
  const shift = depth > 8 ? depth - 8 : 0;
  const largest = depth < 8 ? 2 ** depth - 1 : 255;
  const data = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * channels;
    const alpha = hasAlpha ? (samples[at + channels - 1] >> shift) / 255 : 1;
    for (let colour = 0; colour < 3; colour++) {
      const value = ((samples[at + (isGrey ? 0 : colour)] >> shift) * 255) / largest;
      data[3 * pixel + colour] = value * alpha + 255 * (1 - alpha);
    }
  }
  return { width, height, data };
}

function fromPalette({ width, height, palette }, indices) {
  const data = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [red, green, blue, alpha = 255] = palette[indices[pixel]];
    [red, green, blue].forEach((value, colour) => {
      data[3 * pixel + colour] = (value * alpha + 255 * (255 - alpha)) / 255;
    });
  }
  return { width, height, data };
}

function readPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 24) requireSize(view.getUint32(16), view.getUint32(20));
  const picture = decodePng(bytes);
  return picture.palette ? fromPalette(picture, unpacked(picture)) : toRgb(picture, unpacked(picture));
}

/** Samples of 1, 2 or 4 bits lie several to a byte, each row in bytes of its own. */
function unpacked({ width, height, depth, data }) {
  if (depth >= 8) return data;
  const [perByte, rowBytes] = [8 / depth, Math.ceil((width * depth) / 8)];
  return Uint8Array.from({ length: width * height }, (_, pixel) => {
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const byte = data[y * rowBytes + Math.floor(x / perByte)];
    return (byte >> (8 - depth * ((x % perByte) + 1))) & (2 ** depth - 1);
  });
}

function readJpeg(bytes) {
  const limits = { maxResolutionInMP: mostPixels / 1e6, maxMemoryUsageInMB: 512 };
  const { width, height, data } = jpeg.decode(bytes, { ...limits, useTArray: true, formatAsRGBA: false });
  return { width, height, data };
}

function readNpy(bytes) {
  const header = /^\x93NUMPY[\s\S]{4}(\{[^}]*\})/.exec(
    Buffer.from(bytes.subarray(0, 512)).toString("latin1"),
  );
  if (header === null) throw new Error("no .npy header");
  const shape = /'shape': \(([\d, ]+)\)/
    .exec(header[1])?.[1]
    .split(",")
    .filter((part) => part.trim())
    .map(Number);
  if (!/'descr': '\|u1'/.test(header[1]) || !/'fortran_order': False/.test(header[1]) || shape === undefined)
    throw new Error("uint8 in C order is wanted");
  const start = 10 + bytes[8] + 256 * bytes[9];
  const samples = bytes.subarray(start);
  const isPlanar = shape.length === 3 && shape[0] === 3 && shape[2] !== 3;
  const [height, width] = isPlanar ? shape.slice(1) : shape;
  const channels = shape.length === 2 ? 1 : 3;
  requireSize(width, height);
  if (
    shape.length > 3 ||
    (shape.length === 3 && !shape.includes(3)) ||
    samples.length !== channels * width * height
  )
    throw new Error(`shape ${shape.join("x")} is none of [H,W,3], [3,H,W], [H,W], or bytes are missing`);
  if (!isPlanar) return toRgb({ width, height, channels }, samples);
  const plane = width * height;
  const data = Uint8Array.from(samples, (_, index) => samples[(index % 3) * plane + Math.floor(index / 3)]);
  return { width, height, data };
}

/** Readers by media type. */
export const readers = {
  "image/png": readPng,
  "image/jpeg": readJpeg,
  "application/x-npy": readNpy,
};

/** { width, height, data } with red, green, blue interleaved. Throws ImageError. */
export function decodeImage(bytes, type) {
  try {
    return readers[type](bytes);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    if (/maxResolutionInMP|maxMemoryUsageInMB/.test(error.message))
      throw new ImageError("the image is too large", 413);
    throw new ImageError(`the body is no ${type} that can be decoded: ${error.message}`);
  }
}
