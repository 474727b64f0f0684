// The built command line as a process that may be interrupted.

import { spawn } from "node:child_process";
import { join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");
export const main = join(root, "dist/src/cli/main.js");

export interface Ended {
  readonly code: number | null;
  readonly milliseconds: number;
  readonly stderr: string;
}

/** Runs a command in a folder; SIGINT comes after so many milliseconds, where given. */
export function run(argv: readonly string[], place: string, interruptAfter?: number): Promise<Ended> {
  return new Promise((done) => {
    const start = performance.now();
    const child = spawn(process.execPath, [main, ...argv], {
      cwd: place,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (part: Buffer) => {
      stderr += part.toString();
    });
    const timer =
      interruptAfter === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), interruptAfter);
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code, milliseconds: performance.now() - start, stderr });
    });
  });
}
