// The race as people see it: bars and lines that move, then the result as text.

import { bar, byId, make } from "./elements.js";
import { startEngine } from "./engine.js";
import { startPlot } from "./race-plot.js";

function milliseconds(value) {
  if (value < 1) return value.toFixed(3);
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

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

/** What a ratio of times means, in words. */
function verdict(ours, theirs) {
  const ratio = theirs.milliseconds / ours.milliseconds;
  return ratio >= 1 ? `${ratio.toFixed(2)} times as fast` : `${(1 / ratio).toFixed(2)} times as slow`;
}

function resultText({ title, lanes, against, settings }) {
  const texts = lanes.map(({ name, engine }) => `${name}, ${engine}`);
  const width = Math.max(...texts.map(({ length }) => length));
  const shares = lanes.map((lane) => (lane.milliseconds / lanes[against].milliseconds).toFixed(3));
  return [
    `${title}: milliseconds, and as a share of "${lanes[against].name}"`,
    ...lanes.map(
      (lane, index) =>
        `${texts[index].padEnd(width)}  ${milliseconds(lane.milliseconds).padStart(6)} ms  ${shares[index]}`,
    ),
    settings,
    navigator.userAgent,
  ].join("\n");
}

function showResult(result) {
  const { lanes, against } = result;
  byId("race-text").textContent = resultText(result);
  byId("race-result").hidden = false;
  const words = lanes
    .filter(({ engine }) => engine.startsWith("addernet"))
    .map((lane) => `${lane.name}: ${verdict(lane, lanes[against])}`);
  byId("race-status").textContent = `${words.join("; ")} as ${lanes[against].name}`;
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
    byId("race-plot").hidden = false;
    const addPoint = startPlot(byId("race-lines"));
    status.textContent = "loading both engines";
    const own = startEngine();
    engine = own;
    try {
      const result = await own.call("race", byId("network").value, ({ lanes, rounds, share }) => {
        status.textContent = `round ${rounds}`;
        showLanes(lanes);
        addPoint(
          share,
          lanes.map(({ recent }) => recent),
        );
      });
      showLanes(result.lanes);
      showResult(result);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "stopped" : error.message;
    }
    if (engine === own) stop();
  }
  button.addEventListener("click", () => (engine === undefined ? start() : stop()));
  byId("copy").addEventListener("click", copyText);
}
