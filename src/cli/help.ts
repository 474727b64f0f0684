// Help, derived from the declarations of the commands.

import { type Command, type Flag, type Flags, globalFlags } from "./command.ts";
import { commands } from "./commands.ts";

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows
    .map(([left, right]) =>
      left.length > width
        ? `  ${left}\n  ${" ".repeat(width)}  ${right}`
        : `  ${left.padEnd(width)}  ${right}`,
    )
    .join("\n");
}

function flagRow(name: string, flag: Flag): [string, string] {
  const value = flag.placeholder ?? "VALUE";
  const placeholder = flag.type ? (flag.alone ? ` [${value}]` : ` ${value}`) : "";
  const left = `${flag.short ? `-${flag.short}, ` : ""}--${name}${placeholder}`;
  const extras = [
    flag.default !== undefined && `default ${flag.default}`,
    flag.repeat && "may be repeated",
  ].filter(Boolean);
  return [left, extras.length > 0 ? `${flag.help} (${extras.join(", ")})` : flag.help];
}

function flagRows(flags: Flags): string {
  return columns(Object.entries(flags).map(([name, flag]) => flagRow(name, flag)));
}

export function commandHelp(command: Command): string {
  const positionals = command.positionals
    .map(({ name, optional, rest }) => (optional ? `[${name}]` : name) + (rest ? " …" : ""))
    .join(" ");
  const usage = ["addernet", command.name, positionals, "[flags]"].filter(Boolean).join(" ");
  const sections = [
    command.summary,
    `Usage:\n  ${usage}`,
    command.positionals.length > 0 &&
      `Arguments:\n${columns(command.positionals.map(({ name, help }) => [name, help] as const))}`,
    Object.keys(command.flags).length > 0 && `Flags:\n${flagRows(command.flags)}`,
    `Everywhere:\n${flagRows(globalFlags)}`,
    ...(command.notes ?? []),
    `Examples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`,
  ];
  return `${sections.filter(Boolean).join("\n\n")}\n`;
}

export function overview(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  return [
    "addernet takes AdderNets out of PyTorch exports and runs them.",
    `Usage:\n  addernet COMMAND [flags]\n  addernet COMMAND --help`,
    `Commands:\n${columns(rows)}`,
    `Everywhere:\n${flagRows(globalFlags)}`,
    "Exit codes: 0 ok, 1 failed at run time, 2 usage or a bad file, 3 unsupported graph, 4 verification failed, 5 threshold failed",
    "",
  ]
    .join("\n\n")
    .trimEnd()
    .concat("\n");
}
