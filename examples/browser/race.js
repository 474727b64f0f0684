// The race as people see it: two bars that move, then the result as text.

import { bar, byId, make } from "./elements.js";
import { startEngine } from "./engine.js";

const milliseconds = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));

function showLanes(lanes) {
  const longest = Math.max(...lanes.map((lane) => lane.milliseconds));
  const rows = lanes.map(({ name, engine, milliseconds: time }) => {
    const { element, set } = bar();
    set(time / longest);
    const label = make("div", {}, [name, make("small", { textContent: engine })]);
    return make("div", { className: "lane" }, [
      label,
      element,
      make("output", { textContent: `${milliseconds(time)} ms` }),
    ]);
  });
  byId("lanes").replaceChildren(...rows);
}

/** What the ratio means, in words. */
function verdict([ours, theirs]) {
  const ratio = theirs.milliseconds / ours.milliseconds;
  return ratio >= 1 ? `${ratio.toFixed(2)} times as fast` : `${(1 / ratio).toFixed(2)} times as slow`;
}

function resultText({ title, lanes, settings }) {
  const width = Math.max(...lanes.map(({ name, engine }) => `${name}, ${engine}`.length));
  return [
    title,
    ...lanes.map(
      ({ name, engine, milliseconds: time }) =>
        `${`${name}, ${engine}`.padEnd(width)}  ${milliseconds(time).padStart(6)} ms`,
    ),
    `${lanes[0].name} on ${lanes[0].engine.split(",")[0]}: ${verdict(lanes)}`,
    settings,
    navigator.userAgent,
  ].join("\n");
}

function showResult(result) {
  byId("race-text").textContent = resultText(result);
  byId("race-result").hidden = false;
  byId("race-status").textContent = `${result.lanes[0].name}: ${verdict(result.lanes)}`;
}

async function copyText() {
  try {
    await navigator.clipboard.writeText(byId("race-text").textContent);
    byId("copied").textContent = "copied";
  } catch {
    getSelection().selectAllChildren(byId("race-text"));
    byId("copied").textContent = "selected: copy it with your keyboard";
  }
}

export function startRace() {
  let engine;
  const button = byId("start");
  const status = byId("race-status");
  function stop() {
    engine?.stop();
    engine = undefined;
    button.textContent = "Start";
  }
  async function start() {
    button.textContent = "Stop";
    byId("race-result").hidden = true;
    byId("copied").textContent = "";
    byId("lanes").replaceChildren();
    status.textContent = "loading both engines";
    const own = startEngine();
    engine = own;
    try {
      const result = await own.call("race", byId("network").value, ({ lanes, rounds }) => {
        status.textContent = `round ${rounds}`;
        showLanes(lanes);
      });
      showResult(result);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "stopped" : error.message;
    }
    if (engine === own) stop();
  }
  button.addEventListener("click", () => (engine === undefined ? start() : stop()));
  byId("copy").addEventListener("click", copyText);
}
