// Ink on the pad as the network was trained to see digits: 28x28, the digit 20 high or wide, its centre of mass in the middle.

const side = 28;
const digitSide = 20;
/** Pixels of the pad: smaller drawings are not enlarged further than this allows. */
const smallest = 60;

/** Box and centre of mass of the ink; undefined for an empty pad. */
function measureInk(ink, width) {
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -1, -1];
  let [mass, sumX, sumY] = [0, 0, 0];
  ink.forEach((amount, index) => {
    if (amount === 0) return;
    const [x, y] = [index % width, Math.floor(index / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
    mass += amount;
    sumX += amount * x;
    sumY += amount * y;
  });
  if (mass === 0) return undefined;
  return { size: Math.max(right - left, bottom - top) + 1, x: sumX / mass, y: sumY / mass };
}

/** `ink`: amounts 0..255 row by row. Answers 784 bytes, or undefined for an empty pad. */
export function digitImage(ink, width) {
  const measured = measureInk(ink, width);
  if (measured === undefined) return undefined;
  const scale = digitSide / Math.max(measured.size, smallest);
  const sums = new Float32Array(side * side);
  ink.forEach((amount, index) => {
    if (amount === 0) return;
    const x = Math.floor(((index % width) - measured.x) * scale + side / 2);
    const y = Math.floor((Math.floor(index / width) - measured.y) * scale + side / 2);
    if (x >= 0 && x < side && y >= 0 && y < side) sums[y * side + x] += amount * scale * scale;
  });
  return Uint8Array.from(sums, (sum) => Math.min(255, sum));
}
