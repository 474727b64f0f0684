// The profile of a converted model: measured in a worker of its own, offered as a page.

import { byId } from "./elements.js";
import { startEngine } from "./engine.js";

let engine;
let offered;

function stop() {
  engine?.stop();
  engine = undefined;
}

/** Another model: what was measured of the one before goes. */
export function offerProfile(model) {
  stop();
  offered = model;
  byId("profile-page").hidden = true;
  byId("profile-status").textContent = "";
}

async function profileOffered() {
  stop();
  const own = startEngine();
  engine = own;
  const [link, status] = [byId("profile-page"), byId("profile-status")];
  link.hidden = true;
  try {
    const { page, milliseconds, layers } = await own.call("profile", offered, ({ phase }) => {
      status.textContent = phase;
    });
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
    link.hidden = false;
    status.textContent = `${layers} layers, ${milliseconds.toPrecision(3)} ms`;
  } catch (error) {
    if (error.name !== "AbortError") status.textContent = error.message;
  }
  if (engine === own) stop();
}

export function startProfiles() {
  byId("profile").addEventListener("click", profileOffered);
}
