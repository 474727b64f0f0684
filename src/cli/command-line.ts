// The command line as a function: arguments and streams in, exit code out.

import { AdderNetError } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";
import type { Context, Streams } from "./context.ts";
import { commandHelp, overview } from "./help.ts";
import { nearest } from "./nearest.ts";
import { asksFor, parseArguments } from "./parse-arguments.ts";
import { printableLine, printableText } from "./printable.ts";
import { makeProgress } from "./progress.ts";
import { reportError } from "./report-error.ts";
import { version } from "./version.ts";

async function findCommand(name: string): Promise<Command> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry !== undefined) return entry.load();
  const isFlag = name.startsWith("-");
  const near = isFlag ? undefined : nearest(name, Object.keys(commands));
  throw new AdderNetError(
    "ADN_USAGE",
    isFlag ? `no command before ${name}` : `there is no command "${name}"`,
    {
      fix: near ? `did you mean "addernet ${near}"?` : `commands: ${Object.keys(commands).join(", ")}`,
    },
  );
}

function makeContext(streams: Streams, quiet: boolean): { context: Context; finish: () => void } {
  const silent = () => {};
  if (quiet) return { context: { ...streams, progress: silent, warn: silent, note: silent }, finish: silent };
  const progress = makeProgress(streams.stderr);
  const note = (message: string): void => {
    progress.clear();
    streams.stderr.write(`${printableLine(message)}\n`);
  };
  const warn = (message: string): void => note(`warning: ${message}`);
  return { context: { ...streams, progress: progress.show, warn, note }, finish: progress.clear };
}

async function runCommand(command: Command, argv: readonly string[], streams: Streams): Promise<void> {
  const { positionals, flags } = parseArguments(command, argv);
  const { context, finish } = makeContext(streams, flags.quiet === true);
  try {
    const { json, text, failure } = await command.run(
      { positionals, flags: flags as Record<string, never> },
      context,
    );
    finish();
    const told = flags.json ? JSON.stringify(json, null, 2) : printableText(text).trimEnd();
    if (told !== "") streams.stdout.write(`${told}\n`);
    if (failure !== undefined) throw failure;
  } finally {
    finish();
  }
}

/** Runs `addernet ARGV` and answers the exit code. Never throws. */
export async function main(argv: readonly string[], streams: Streams): Promise<number> {
  try {
    const [name, ...rest] = argv;
    if (name === undefined || name === "help" || (name.startsWith("-") && asksFor(argv, "help"))) {
      streams.stdout.write(overview());
      return name === undefined ? 2 : 0;
    }
    if (asksFor(argv, "version")) {
      streams.stdout.write(`${version}\n`);
      return 0;
    }
    const command = await findCommand(name);
    if (asksFor(rest, "help")) streams.stdout.write(commandHelp(command));
    else await runCommand(command, rest, streams);
    return 0;
  } catch (error) {
    return reportError(error, streams, { json: argv.includes("--json") });
  }
}
