// Any picture as the network was trained to see them: the square in its middle, 32x32, red, green and blue.

const side = 32;
/** Pixels averaged into one, each way. */
const fine = 8;

/** The largest square in the middle; an image element's own size is that of its file, not of its place on the page. */
function squareOf(picture) {
  const { naturalWidth: width = picture.width, naturalHeight: height = picture.height } = picture;
  const size = Math.min(width, height);
  return [(width - size) / 2, (height - size) / 2, size, size];
}

/** Draws the picture's square over the whole canvas, on white where it is transparent. */
export function drawSquare(picture, canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width } = canvas;
  context.fillStyle = "white";
  context.fillRect(0, 0, width, width);
  const square = squareOf(picture);
  Object.assign(context, { imageSmoothingEnabled: square[2] > width, imageSmoothingQuality: "high" });
  context.drawImage(picture, ...square, 0, 0, width, width);
  return context.getImageData(0, 0, width, width).data;
}

/** 3072 bytes: every pixel is the mean of its part of the picture. */
export function photoImage(picture) {
  const width = side * fine;
  const canvas = Object.assign(document.createElement("canvas"), { width, height: width });
  const data = drawSquare(picture, canvas);
  const sums = new Float32Array(3 * side * side);
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width; x++) {
      const to = 3 * (Math.floor(y / fine) * side + Math.floor(x / fine));
      const from = 4 * (y * width + x);
      for (let channel = 0; channel < 3; channel++) sums[to + channel] += data[from + channel];
    }
  }
  return Uint8Array.from(sums, (sum) => Math.round(sum / fine ** 2));
}

/** Shows such bytes on a canvas of 32x32. */
export function showPixels(pixels, canvas) {
  const image = new ImageData(side, side);
  for (let index = 0; index < side * side; index++) {
    image.data.set([...pixels.subarray(3 * index, 3 * index + 3), 255], 4 * index);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
