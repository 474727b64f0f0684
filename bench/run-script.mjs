// Measuring in processes of their own.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

/** Runs one of this folder's scripts in a Node binary with a task as its argument; answers what it prints, as JSON. */
export function runScript(binary, script, task) {
  return new Promise((done, fail) => {
    const child = spawn(binary, [join(here, script), JSON.stringify(task)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [printed, said] = ["", ""];
    child.stdout.on("data", (part) => {
      printed += part;
    });
    child.stderr.on("data", (part) => {
      const text = part.toString();
      if (text.startsWith("\r")) process.stderr.write(text);
      else said = (said + text).slice(-2000);
    });
    child.on("error", fail);
    child.on("close", (code) => {
      if (code === 0) return done(JSON.parse(printed));
      const lines = said.trim().split("\n");
      const reason = lines.findLast((line) => /Error/.test(line)) ?? lines.at(-1);
      fail(new Error(`${script} failed (exit ${code}): ${reason}`));
    });
  });
}
