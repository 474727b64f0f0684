// Bring your own: files are converted and verified in a worker; the page shows what was recognised and offers the result.

import { acceptDrops } from "./drops.js";
import { byId, fillTable, make } from "./elements.js";
import { startEngine } from "./engine.js";
import { fetchBytes } from "./fetch-bytes.js";
import { offerProfile, startProfiles } from "./profile.js";

const phases = { import: "finding adder layers", optimise: "optimising", verify: "verifying" };
const kilobytes = (bytes) => `${Math.round(bytes / 1000).toLocaleString("en")} kB`;
const short = (value) =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toPrecision(2);

function latencyText({ latency }) {
  if (latency === undefined) return "not measured";
  return `${latency.milliseconds.toFixed(2)} ms (${latency.shapes.join(", ")}, median of ${latency.runs})`;
}

function factsOf(result) {
  const { verification, nodesBefore, nodesAfter, bytesBefore, bytes } = result;
  return {
    Verified: `${verification.samples} inputs, largest difference ${short(verification.maxDifference)} (accepted ${short(verification.tolerance)})`,
    Nodes: `${nodesBefore} → ${nodesAfter}`,
    Size: `${kilobytes(bytesBefore)} → ${kilobytes(bytes.length)}`,
    "One run here": latencyText(result),
  };
}

function showFacts(result) {
  const pairs = Object.entries(factsOf(result)).map(([name, value]) =>
    make("div", {}, [make("dt", { textContent: name }), make("dd", { textContent: value })]),
  );
  byId("facts").replaceChildren(...pairs);
}

/** One text for each code: networks repeat what is said of one layer for all of them. */
function warningTexts(warnings) {
  return [...new Set(warnings.map(({ code }) => code))].map((wanted) => {
    const alike = warnings.filter(({ code }) => code === wanted);
    const [{ message, fix }] = alike;
    const more = alike.length > 1 ? ` (and ${alike.length - 1} more like it)` : "";
    return `${[`${wanted}: ${message}`, fix].filter(Boolean).join("; ")}${more}`;
  });
}

function showWarnings({ warnings, refusal }) {
  const texts = [...warningTexts(warnings), ...(refusal === undefined ? [] : [refusal])];
  byId("warnings").replaceChildren(...texts.map((textContent) => make("li", { textContent })));
}

function showLayers({ layers }) {
  byId("layers").caption.textContent =
    layers.length > 0 ? `Recognised adder layers: ${layers.length}` : "No adder layers";
  fillTable(
    byId("layers"),
    ["layer", "recognised as", "weight", "strides", "pads"],
    layers.map(({ layer, form, weightShape, strides, pads }) => [
      layer,
      form,
      weightShape.join("×"),
      strides.join(","),
      pads.length === 0 ? "auto" : new Set(pads).size === 1 ? `${pads[0]}` : pads.join(","),
    ]),
  );
}

function offerDownload({ name, bytes }) {
  const link = byId("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = name;
  link.textContent = `Download ${name}`;
}

function show(result) {
  for (const part of [showFacts, showWarnings, showLayers, offerDownload, offerProfile]) part(result);
  byId("bring-result").hidden = false;
}

function showError({ code, message }) {
  byId("bring-error").textContent = code ? `${code}: ${message}` : message;
  byId("bring-error").hidden = false;
}

const readFiles = (list) =>
  Promise.all(
    [...list].map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })),
  );

export function startBringYourOwn() {
  startProfiles();
  let engine = startEngine();
  let isBusy = false;
  let last;
  engine.call("listArchitectures").then((names) => {
    byId("arch").append(...names.map((value) => make("option", { value, textContent: value })));
  }, showError);

  async function convertFiles(reading) {
    if (isBusy) {
      engine.stop();
      engine = startEngine();
    }
    const mine = {};
    isBusy = true;
    byId("bring-error").hidden = true;
    byId("bring-result").hidden = true;
    const status = byId("bring-status");
    status.textContent = "reading";
    last = mine;
    try {
      const files = await reading;
      const argument = { files, arch: byId("arch").value, flags: byId("flags").value };
      const result = await engine.call("convertFiles", argument, ({ phase, done, total }) => {
        if (last === mine) status.textContent = `${phases[phase]} ${done}/${total}`;
      });
      if (last === mine) show(result);
    } catch (error) {
      if (last === mine) showError(error);
    }
    if (last !== mine) return;
    status.textContent = "";
    isBusy = false;
  }

  byId("files").addEventListener("change", ({ target }) => {
    if (target.files.length > 0) convertFiles(readFiles(target.files)).then(() => (target.value = ""));
  });
  acceptDrops(byId("drop"), (files) => convertFiles(readFiles(files)));
  byId("try").addEventListener("click", () =>
    convertFiles(fetchBytes("lenet5bn.onnx").then((bytes) => [{ name: "lenet5bn.onnx", bytes }])),
  );
}
