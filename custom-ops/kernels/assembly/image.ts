// Convolution-like kernels over one image and one group: rows are output channels, columns are pixels `step` bytes apart, taps come
// from a table of byte offsets. Stride, padding and dilation are dealt with beforehand, in expand.ts.

import { storeByRow } from "./epilogue";
import { packPanel } from "./pack";
import { AdderMinTap, AdderTap, ProductTap } from "./taps";
import { sumColumns, tile4x8, tileBytes } from "./tile";

@inline
function image<T>(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, p: i32, step: usize, panels: i32, yStride: usize, low: f32, high: f32,
): void {
  const totals = scratch;
  const sums = totals + tileBytes;
  const packed = sums + (<usize>panels << 5);
  const panelBytes = <usize>k << 5;
  for (let first = 0; first < p; first += panels << 3) {
    const count = min(panels, (p - first + 7) >> 3);
    for (let panel = 0; panel < count; panel++) {
      const at = packed + <usize>panel * panelBytes;
      const pixel = first + (panel << 3);
      packPanel(x + <usize>pixel * step, taps, k, step, p - pixel, at);
      if (changetype<T>(0).needsInputSum()) sumColumns(at, k, sums + (<usize>panel << 5));
    }
    for (let channel = 0; channel < m; channel += 4) {
      const rows = min(4, m - channel);
      const offset = <usize>channel << 2;
      const weights = w + <usize>channel * (<usize>k << 2);
      for (let panel = 0; panel < count; panel++) {
        const pixel = first + (panel << 3);
        const at = <usize>channel * yStride + (<usize>pixel << 2);
        tile4x8<T>(weights, packed + <usize>panel * panelBytes, k, totals);
        storeByRow<T>(
          totals, sums + (<usize>panel << 5), scale + offset, bias + offset, z ? z + at : 0, y + at,
          rows, min(8, p - pixel), yStride, low, high,
        );
      }
    }
  }
}

export function f32_adder_4x8(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, p: i32, step: usize, panels: i32, yStride: usize, low: f32, high: f32,
): void {
  image<AdderTap>(x, taps, w, scale, bias, z, y, scratch, k, m, p, step, panels, yStride, low, high);
}

export function f32_adder_min_4x8(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, p: i32, step: usize, panels: i32, yStride: usize, low: f32, high: f32,
): void {
  image<AdderMinTap>(x, taps, w, scale, bias, z, y, scratch, k, m, p, step, panels, yStride, low, high);
}

export function f32_conv_4x8(
  x: usize, taps: usize, w: usize, scale: usize, bias: usize, z: usize, y: usize, scratch: usize,
  k: i32, m: i32, p: i32, step: usize, panels: i32, yStride: usize, low: f32, high: f32,
): void {
  image<ProductTap>(x, taps, w, scale, bias, z, y, scratch, k, m, p, step, panels, yStride, low, high);
}
