// Planes laid out for sliding windows, against the definition written plainly.

import { describe, expect, it } from "vitest";
import { isLevelAvailable, simdLevels } from "../../custom-ops/kernels/load.ts";
import { spareBytes } from "../../custom-ops/kernels/table.ts";
import { layoutOf, type Plane, rowMasks, tapOffsets } from "../../runtime/geometry.ts";
import { makeRandom, makeRig } from "./rig.ts";

const square = { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], top: 1, left: 1 } as const;

function planeWith(part: Partial<Plane> & Pick<Plane, "height" | "width">): Plane {
  const plane = { ...square, ...part };
  const length = (axis: 0 | 1, size: number, pad: number) =>
    Math.floor(
      (size + 2 * pad - (plane.kernel[axis] - 1) * plane.dilations[axis] - 1) / plane.strides[axis],
    ) + 1;
  return {
    outHeight: length(0, plane.height, plane.top),
    outWidth: length(1, plane.width, plane.left),
    ...plane,
  };
}

const planes: readonly Plane[] = [
  ...[1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33].map((width) => planeWith({ height: 5, width })),
  ...[7, 8, 16, 31, 64].map((width) => planeWith({ height: 6, width, strides: [2, 2] })),
  planeWith({ height: 9, width: 10, strides: [3, 3] }),
  planeWith({ height: 9, width: 20, strides: [1, 2], dilations: [2, 1], top: 2 }),
  planeWith({ height: 20, width: 9, strides: [2, 1], dilations: [3, 2], top: 0, left: 3 }),
  planeWith({ height: 8, width: 9, kernel: [1, 1], strides: [2, 2], top: 0, left: 0 }),
  planeWith({ height: 30, width: 30, kernel: [7, 7], strides: [2, 2], top: 3, left: 3 }),
  planeWith({ height: 3, width: 4, kernel: [2, 5], top: 4, left: 6 }),
  planeWith({ height: 2, width: 3, kernel: [1, 3], top: 0, left: 600 }),
];

const label = ({ kernel, strides, dilations, height, width, top, left }: Plane): string =>
  `${kernel.join("x")} over ${height}x${width}, strides ${strides}, dilations ${dilations}, pads ${top},${left}`;

describe.each(simdLevels.filter(isLevelAvailable))("%s", (level) => {
  const sizes = [
    { kernel: "u8_expand", bytes: 1, value: 7 },
    { kernel: "f32_expand", bytes: 4, value: -Infinity },
  ] as const;
  const cases = sizes.flatMap((size) =>
    planes.flatMap((plane) =>
      [plane.outHeight, Math.ceil(plane.outHeight / 2)].map((outRows) => ({
        ...size,
        plane,
        outRows,
        label: label(plane),
      })),
    ),
  );

  it.each(cases)("$kernel: $outRows rows of $label", async ({ kernel, bytes, value, plane, outRows }) => {
    const { height, width, kernel: taps, strides, dilations, top, left } = plane;
    const [channels, firstRow] = [2, plane.outHeight - outRows];
    const random = makeRandom(width);
    const rig = await makeRig(level, 16);
    const x = Array.from({ length: channels * height * width }, () => Math.floor(256 * random()));
    const layout = layoutOf(plane, outRows);
    const count = channels * layout.length;
    const given = bytes === 1 ? rig.bytes("x", x) : rig.floats("x", x);
    const masks = rowMasks(plane, bytes);
    const room = rig.byteOutput("y", count * bytes + spareBytes);
    rig.call(kernel, {
      x: given,
      masks: masks === undefined ? 0 : rig.bytes("masks", masks),
      y: room,
      planes: channels,
      height,
      width,
      firstRow: firstRow * strides[0] - top,
      phases: layout.phases,
      rows: layout.rows,
      rowStride: strides[0],
      taps: taps[1],
      firstColumn: -left,
      dilation: dilations[1],
      columns: layout.columns,
      stride: strides[1],
      value,
    });
    const laidOut = bytes === 1 ? rig.readBytes(room, count) : rig.read(room, count);
    const offsets = tapOffsets(plane, layout, channels);
    for (let tap = 0; tap < offsets.length; tap++) {
      const [c, i, j] = [
        Math.floor(tap / taps[0] / taps[1]),
        Math.floor(tap / taps[1]) % taps[0],
        tap % taps[1],
      ];
      for (let p = 0; p < outRows * plane.outWidth; p++) {
        const row = (firstRow + Math.floor(p / plane.outWidth)) * strides[0] + i * dilations[0] - top;
        const column = (p % plane.outWidth) * strides[1] + j * dilations[1] - left;
        const isInside = row >= 0 && row < height && column >= 0 && column < width;
        const wanted = isInside ? x[(c * height + row) * width + column] : value;
        if (laidOut[offsets[tap]! + p] !== wanted)
          expect.fail(`tap ${tap}, pixel ${p}: ${laidOut[offsets[tap]! + p]} for ${wanted}`);
      }
    }
    expect(rig.damage()).toEqual([]);
  });
});

it("a plane that is its own layout stays in place", () => {
  const plain = planeWith({ height: 5, width: 6, kernel: [1, 1], top: 0, left: 0 });
  expect(layoutOf(plain, 5)).toMatchObject({ isInPlace: true, length: 30 });
  expect(layoutOf(plain, 4).isInPlace).toBe(false);
  const column = planeWith({ height: 5, width: 6, kernel: [3, 1], top: 0, left: 0 });
  expect(layoutOf(column, 3)).toMatchObject({ isInPlace: true, length: 30 });
  for (const other of [{ strides: [1, 2] as const }, { left: 1 }, { top: 1 }, { kernel: [1, 2] as const }]) {
    expect(layoutOf(planeWith({ ...plain, outHeight: 5, ...other }), 5).isInPlace).toBe(false);
  }
});
