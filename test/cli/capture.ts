// Streams that keep what is written, for running the command line inside a test.

import { main } from "../../src/cli/command-line.ts";
import type { Streams } from "../../src/cli/context.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function addernet(argv: readonly string[], env: Streams["env"] = {}): Promise<Ran> {
  const written = { stdout: "", stderr: "" };
  const sink = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const code = await main(argv, { stdout: sink("stdout"), stderr: sink("stderr"), env });
  return { code, ...written };
}
