// The drawing area: pointer and keyboard put ink on a canvas.

import { byId } from "./elements.js";

const penWidth = 22;
const step = 8;
const steps = {
  ArrowLeft: [-step, 0],
  ArrowRight: [step, 0],
  ArrowUp: [0, -step],
  ArrowDown: [0, step],
};

/** Calls `onChange(ink, width)` with amounts 0..255 whenever the ink changes. */
export function startPad(onChange) {
  const canvas = byId("pad");
  const pen = byId("pen");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = canvas;
  Object.assign(context, { lineWidth: penWidth, lineCap: "round", lineJoin: "round" });
  let isDown = false;
  let [x, y] = [width / 2, height / 2];

  function report() {
    const { data } = context.getImageData(0, 0, width, height);
    const ink = new Uint8Array(width * height);
    for (let index = 0; index < ink.length; index++) ink[index] = data[4 * index + 3];
    onChange(ink, width);
  }
  function moveTo(newX, newY, draws) {
    const from = [x, y];
    [x, y] = [Math.max(0, Math.min(width, newX)), Math.max(0, Math.min(height, newY))];
    Object.assign(pen.style, { left: `${x}px`, top: `${y}px` });
    if (!draws) return;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(x, y);
    context.stroke();
    report();
  }
  function clear() {
    context.clearRect(0, 0, width, height);
    report();
  }
  /** Shows an image of 28x28 bytes. */
  function show(pixels) {
    context.clearRect(0, 0, width, height);
    pixels.forEach((pixel, index) => {
      context.fillStyle = `rgb(0 0 0 / ${pixel / 255})`;
      context.fillRect((index % 28) * 10, Math.floor(index / 28) * 10, 10, 10);
    });
    report();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.hidden = true;
    isDown = true;
    moveTo(event.offsetX, event.offsetY, false);
    moveTo(event.offsetX, event.offsetY, true);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (isDown) moveTo(event.offsetX, event.offsetY, true);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      isDown = false;
    });
  }
  canvas.addEventListener("keydown", (event) => {
    const move = steps[event.key];
    if (move) moveTo(x + move[0], y + move[1], pen.classList.contains("down"));
    else if (event.key === " ") moveTo(x, y, pen.classList.toggle("down"));
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    pen.hidden = false;
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => {
    pen.hidden = true;
    pen.classList.remove("down");
  });
  moveTo(x, y, false);
  return { clear, show };
}
