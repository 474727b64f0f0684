// Photos: bundled samples or a person's own, by file, drop, paste or camera, classified in a worker.

import { acceptDrops } from "./drops.js";
import { byId, make } from "./elements.js";
import { startEngine } from "./engine.js";
import { drawSquare, photoImage, showPixels } from "./photo-image.js";
import { samples } from "./samples.js";
import { scoreRows } from "./score-rows.js";

const classes = ["airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/** As sure as chance would be three times over. */
const leastSure = 0.3;

function sentence(best, share) {
  return share < leastSure ? `${best}, perhaps` : best;
}

function sampleButtons(onChosen) {
  return samples.map(({ file, what }) => {
    const image = make("img", { src: `samples/${file}`, alt: "", width: 72, height: 72 });
    const button = make("button", { type: "button", className: "thumb", title: what }, [image]);
    button.setAttribute("aria-label", what);
    button.addEventListener("click", () => onChosen(button, image));
    return button;
  });
}

/** The first file that is a picture, decoded and turned as its camera was. */
async function decode(files) {
  const file = [...files].find(({ type }) => type.startsWith("image/"));
  if (file === undefined) throw new Error("This is no picture: choose a PNG, JPEG, WebP or AVIF file.");
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name || "The picture"} cannot be decoded by this browser.`);
  }
}

export function startPhotos() {
  let engine;
  let last = 0;
  const showShares = scoreRows(byId("photo-scores"), classes);

  function showFailure({ message }) {
    byId("photo-answer").textContent = "!";
    byId("photo-note").textContent = message;
    showShares([]);
  }

  async function classify(picture, what) {
    const mine = ++last;
    const pixels = photoImage(picture);
    drawSquare(picture, byId("photo"));
    showPixels(pixels, byId("photo-seen"));
    byId("photo").setAttribute("aria-label", what);
    engine ??= startEngine();
    const { probabilities, milliseconds } = await engine.call("classify", { network: "photos", pixels });
    if (mine !== last) return;
    const share = Math.max(...probabilities);
    byId("photo-answer").textContent = sentence(classes[probabilities.indexOf(share)], share);
    byId("photo-note").textContent = `in ${milliseconds.toFixed(2)} ms`;
    showShares(probabilities);
  }

  function press(button) {
    for (const other of byId("samples").children) other.setAttribute("aria-pressed", other === button);
  }

  async function chooseSample(button, image) {
    press(button);
    try {
      await image.decode();
      await classify(image, button.title);
    } catch (error) {
      showFailure(error);
    }
  }

  async function chooseFiles(files) {
    press(undefined);
    try {
      const picture = await decode(files);
      await classify(picture, "Your photo");
      picture.close();
    } catch (error) {
      showFailure(error);
    }
  }

  const buttons = sampleButtons(chooseSample);
  byId("samples").append(...buttons);
  press(undefined);
  byId("photo-files").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) chooseFiles(target.files).then(() => (target.value = ""));
  });
  acceptDrops(byId("photo-drop"), chooseFiles);
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files.length > 0) chooseFiles(clipboardData.files);
  });
  return { buttons };
}
