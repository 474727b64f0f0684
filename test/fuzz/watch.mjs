// Runs the cases of one kind in a process of their own, and ends it when it hangs.

import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Seconds without a word after which a process hangs. */
const patience = 300;
/** Seconds of a processor without a word after which it does. */
const processorPatience = 30;

/** Whether the process is stopped, and the seconds of processors it used; undefined where the system does not say. */
function stateOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
    return { isStopped: /[Tt]/.test(fields[0]), processor: (Number(fields[11]) + Number(fields[12])) / 100 };
  } catch {
    return undefined;
  }
}

/** Calls `onHang` with the reason. Seconds are counted one by one, and those of a stopped process do not count. */
function watchSilence(pid, onHang) {
  let [silence, heardAt] = [0, stateOf(pid)?.processor ?? 0];
  const timer = setInterval(() => {
    const state = stateOf(pid);
    if (!state?.isStopped) silence++;
    const used = state ? state.processor - heardAt : 0;
    if (silence >= patience) onHang(`nothing for ${patience} s`);
    else if (used >= processorPatience) onHang(`nothing for ${Math.round(used)} s of a processor`);
  }, 1000);
  return {
    hear: () => {
      [silence, heardAt] = [0, stateOf(pid)?.processor ?? 0];
    },
    end: () => clearInterval(timer),
  };
}

/**
 * Runs seeds `first` to `end` of a kind until `deadline`. `note` is told of every outcome, with what it took, and of every finding. Answers
 * the seed to go on with.
 */
export function runProcess({ kind, first, end, memoryMb, deadline }, note) {
  return new Promise((done) => {
    const script = join(import.meta.dirname, "case-process.mjs");
    const child = fork(script, [kind, first, end, memoryMb], {
      execArgv: ["--max-old-space-size=1500"],
      stdio: ["ignore", "ignore", "pipe", "pipe", "ipc"],
    });
    let [seed, isDone, isLate, hang, suspect, said] = [first, false, false, undefined, undefined, ""];
    const watch = watchSilence(child.pid, (reason) => {
      hang = reason;
      child.kill("SIGKILL");
    });
    child.stderr.on("data", (part) => {
      said = (said + part).slice(-2000);
    });
    createInterface({ input: child.stdio[3] }).on("line", (line) => {
      watch.hear();
      const message = JSON.parse(line);
      seed = message.seed ?? seed;
      suspect = message.suspect ?? suspect;
      isDone ||= message.done ?? false;
      if (message.finding === undefined && message.outcome === undefined) return;
      suspect = undefined;
      note(message.finding ? { seed, finding: message.finding } : { seed, ...message });
      if (Date.now() <= deadline || isDone) return;
      isLate = true;
      child.kill("SIGKILL");
    });
    child.on("close", (code) => {
      watch.end();
      const isEnded = isDone || isLate || code === 0;
      if (suspect) note({ seed, finding: suspect });
      else if (hang) note({ seed, finding: { seed, what: "hang", detail: hang } });
      else if (!isEnded)
        note({ seed, finding: { seed, what: "crash", detail: `the process ended with ${code}: ${said}` } });
      done(isDone ? end : seed + 1);
    });
  });
}
