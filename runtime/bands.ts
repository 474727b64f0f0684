// Images band by band: for some rows of outputs at a time the input is laid out as the kernels read it, so that it stays in the caches.

import { spareBytes, windowSumsScratchBytes } from "../custom-ops/kernels/table.ts";
import type { BoundValue } from "./bind.ts";
import { type Argument, elementBytes, type PlanBuilder, shifted } from "./builder.ts";
import { type Layout, layoutOf, type Plane, planeKey, rowMasks, shareable, tapOffsets } from "./geometry.ts";

export interface Band {
  /** All input planes of one image. */
  readonly planes: Argument;
  readonly image: number;
  readonly firstPixel: number;
  readonly pixels: number;
}

export interface Bands {
  readonly layout: Layout;
  /** Pixels of the largest band. */
  readonly mostPixels: number;
  readonly forEach: (emit: (band: Band) => void) => void;
}

/** What a band should take at most: half of a second-level cache. */
const bandBytes = 2 ** 19;
/** Bands of fewer pixels than this leave the kernels too little to do. */
const fewestPixels = 256;

/** The layout of the largest band that is small enough, and its rows. */
function chooseBand(plane: Plane, planeBytes: number, mostElements: number, channels: number) {
  const whole = layoutOf(plane, plane.outHeight);
  if (whole.isInPlace && whole.length * channels <= mostElements) {
    return { layout: whole, outRows: plane.outHeight };
  }
  const fits = (outRows: number): boolean => {
    const { length } = layoutOf(plane, outRows);
    if (length * channels > mostElements) return false;
    return length * planeBytes <= bandBytes || outRows * plane.outWidth <= fewestPixels;
  };
  let count = 1;
  while (count < plane.outHeight && !fits(Math.ceil(plane.outHeight / count))) count++;
  count = shareable(count);
  const outRows = Math.ceil(plane.outHeight / count);
  return { layout: layoutOf(plane, outRows), outRows };
}

/**
 * Bands of the images of x (N,C,H,W), padded with `value`. `mostElements` bounds the offsets within the planes of a band.
 */
export function bandsOf(
  x: BoundValue,
  plane: Plane,
  value: number,
  build: PlanBuilder,
  mostElements = Number.POSITIVE_INFINITY,
): Bands {
  const [batch, channels] = [x.dims[0]!, x.dims[1]!];
  const bytes = elementBytes(x.type);
  const imageBytes = channels * plane.height * plane.width * bytes;
  const { layout, outRows } = chooseBand(plane, channels * bytes, mostElements, channels);
  const from = build.read(x);
  const pixels = plane.outHeight * plane.outWidth;
  if (layout.isInPlace) {
    const emitImage = (image: number) =>
      ({ planes: shifted(from, image * imageBytes), image, firstPixel: 0, pixels }) as const;
    return {
      layout,
      mostPixels: pixels,
      forEach: (emit) => build.forImages(batch, (image) => emit(emitImage(image))),
    };
  }
  const y = build.scratch(layout.length * channels * bytes + spareBytes);
  const masks = rowMasks(plane, bytes);
  const kernel = bytes === 1 ? "u8_expand" : "f32_expand";
  const shared = {
    masks: masks === undefined ? 0 : build.table(`masks ${bytes} ${planeKey(plane)}`, () => masks),
    y,
    planes: channels,
    height: plane.height,
    width: plane.width,
    phases: layout.phases,
    rows: layout.rows,
    rowStride: plane.strides[0],
    taps: plane.kernel[1],
    firstColumn: -plane.left,
    dilation: plane.dilations[1],
    columns: layout.columns,
    stride: plane.strides[1],
    value,
  };
  const forEach: Bands["forEach"] = (emit) => {
    build.forImages(batch, (image) => {
      for (let row = 0; row < plane.outHeight; row += outRows) {
        const firstRow = row * plane.strides[0] - plane.top;
        build.call(kernel, { ...shared, x: shifted(from, image * imageBytes), firstRow });
        const rows = Math.min(outRows, plane.outHeight - row);
        emit({ planes: y, image, firstPixel: row * plane.outWidth, pixels: rows * plane.outWidth });
      }
    });
  };
  return { layout, mostPixels: outRows * plane.outWidth, forEach };
}

/** Byte offset of every tap of `channels` planes in elements of `bytes`. */
export function tapTable(
  plane: Plane,
  layout: Layout,
  channels: number,
  bytes: number,
  build: PlanBuilder,
): number {
  return build.table(`taps ${planeKey(plane)},${layout.rows},${channels},${bytes}`, () =>
    tapOffsets(plane, layout, channels).map((offset) => offset * bytes),
  );
}

interface WindowSums {
  readonly sums: Argument;
  readonly sumsStride: number;
  /** Makes the sums of a band. */
  readonly call: (planes: Argument, pixels: number) => void;
}

/**
 * The sums of inputs that all output channels of a group share. The columns of a window are planes like those of other channels: they are
 * added with them, and what is left of the window is one column.
 */
export function callWindowSums(
  { plane, group, channels }: { readonly plane: Plane; readonly group: number; readonly channels: number },
  { layout, mostPixels }: Bands,
  kernel: "f32_window_sums" | "u8_window_sums",
  build: PlanBuilder,
): WindowSums {
  const sumsStride = Math.ceil(mostPixels / 16) * 64;
  const sums = build.scratch(group * sumsStride);
  const [rows, columns] = plane.kernel;
  const length = layout.length / columns;
  const shared = {
    taps: tapTable({ ...plane, kernel: [rows, 1] }, layout, 1, 4, build),
    y: sums,
    scratch: build.scratch(windowSumsScratchBytes(length)),
    channels: (channels / group) * columns,
    groups: group,
    length,
    k: rows,
    yStride: sumsStride,
  };
  return { sums, sumsStride, call: (x, p) => build.call(kernel, { ...shared, x, p }) };
}
