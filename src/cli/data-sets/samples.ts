// What an evaluation reads: labelled images, one at a time, whatever they come from.

export interface Samples {
  readonly name: string;
  readonly count: number;
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number];
  /** "pixels" are 0..255 and are normalised before use; "values" are what the model takes. */
  readonly kind: "pixels" | "values";
  readonly label: (index: number) => number;
  /** Writes image `index` to `target` from `offset`, channel by channel. */
  readonly read: (index: number, target: Float32Array, offset: number) => void;
  readonly classes?: readonly string[];
  /** How images of this set are usually normalised, per channel, after division by 255. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/** Interleaved samples (HWC) to channels one after the other (CHW). */
export function copyInterleaved(
  source: ArrayLike<number>,
  start: number,
  [channels, height, width]: readonly [number, number, number],
  target: Float32Array,
  offset: number,
  samplesPerPixel: number = channels,
): void {
  const pixels = height * width;
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let c = 0; c < channels; c++) {
      target[offset + c * pixels + pixel] = source[start + pixel * samplesPerPixel + c]!;
    }
  }
}
