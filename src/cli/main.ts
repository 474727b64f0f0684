#!/usr/bin/env node
// The `addernet` command: standard streams, signals and the exit code around `main`.

import { main } from "./command-line.ts";
import { interrupt } from "./interrupts.ts";
import { removePendingFiles } from "./write-file.ts";

// A reader that has seen enough, as in `addernet inspect m.onnx | head`, is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

for (const [signal, exitCode] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    if (interrupt()) return;
    removePendingFiles();
    process.exit(exitCode);
  });
}

process.exitCode = await main(process.argv.slice(2), process);
