// Seeded numbers spread as those of trained networks, and images that look natural to a filter.

/** Uniform numbers in [0, 1), the same for the same seed. */
export function uniformFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

export const between = (uniform, low, high) => low + (high - low) * uniform();

export const normal = (uniform) =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

const exponential = (uniform, mean) => -mean * Math.log(1 - uniform());

/**
 * One weight of an adder layer. Signs and magnitudes follow the official ResNet-20: 44.5 % are not positive, 24 % are 2.5 or more,
 * 15 % 5 or more, 6 % 10 or more; the standard deviation is about 6.
 */
export function adderWeight(uniform) {
  const sign = uniform() < 0.445 ? -1 : 1;
  return sign * exponential(uniform, uniform() < 0.315 ? 0.3 : 5.4);
}

/** Adds a plane of random values, `cells` across, stretched smoothly over the image. */
function addOctave(image, size, cells, amplitude, uniform) {
  const grid = Float32Array.from({ length: (cells + 1) ** 2 }, () => amplitude * normal(uniform));
  const at = Array.from({ length: size }, (_, index) => {
    const place = (index / size) * cells;
    const cell = Math.floor(place);
    const t = place - cell;
    return [cell, t * t * (3 - 2 * t)];
  });
  const mix = (a, b, t) => a + (b - a) * t;
  for (const [y, [row, ty]] of at.entries()) {
    for (const [x, [column, tx]] of at.entries()) {
      const corner = row * (cells + 1) + column;
      const above = mix(grid[corner], grid[corner + 1], tx);
      const below = mix(grid[corner + cells + 1], grid[corner + cells + 2], tx);
      image[y * size + x] += mix(above, below, ty);
    }
  }
}

/** Shifts and scales a plane to mean 0 and deviation 1, as images are normalised for a network. */
function normalise(image) {
  const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
  const variance = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / image.length;
  for (let index = 0; index < image.length; index++)
    image[index] = (image[index] - mean) / Math.sqrt(variance);
}

/** Images of shape [N, C, size, size] as smooth noise whose energy falls with frequency, every plane normalised. */
export function naturalImages([count, channels, size], seed) {
  const uniform = uniformFrom(seed);
  const data = new Float32Array(count * channels * size * size);
  const octaves = Array.from({ length: Math.floor(Math.log2(size)) }, (_, index) => 2 ** index);
  for (let plane = 0; plane < count * channels; plane++) {
    const image = data.subarray(plane * size * size, (plane + 1) * size * size);
    for (const cells of octaves) addOctave(image, size, cells, 1 / Math.sqrt(cells), uniform);
    normalise(image);
  }
  return { type: "float32", data, dims: [count, channels, size, size] };
}
