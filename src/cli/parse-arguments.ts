// From argv to a command's positionals and typed flags. Every mistake is named, with the nearest valid flag.

import { parseArgs } from "node:util";
import { AdderNetError } from "../core/errors.ts";
import { type Command, type Flag, type Flags, globalFlags } from "./command.ts";
import { nearest } from "./nearest.ts";

export interface ParsedArguments {
  readonly positionals: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inline: boolean;
}

function usage(command: Command, problem: string, fix?: string): AdderNetError {
  const hint = `addernet ${command.name} --help lists what there is`;
  return new AdderNetError("ADN_USAGE", problem, { where: command.name, fix: fix ?? hint });
}

/** Flags that may stand alone, written so that it is clear whether the next argument belongs to them. */
function settled(argv: readonly string[], flags: Flags): string[] {
  const settledArguments: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index]!;
    if (argument === "--") return [...settledArguments, ...argv.slice(index)];
    const flag = argument.startsWith("--") ? flags[argument.slice(2)] : undefined;
    if (flag?.alone === undefined) {
      settledArguments.push(argument);
      continue;
    }
    const next = argv[index + 1];
    const isValue = next !== undefined && !next.startsWith("-") && flag.alone(next);
    settledArguments.push(isValue ? `${argument}=${next}` : `${argument}=`);
    if (isValue) index++;
  }
  return settledArguments;
}

function tokensOf(
  argv: readonly string[],
  flags: Flags,
): { positionals: string[]; options: OptionToken[]; ended: boolean } {
  const { tokens } = parseArgs({
    args: settled(argv, flags),
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(flags).map(([name, flag]) => [
        name,
        { type: flag.type ? "string" : "boolean", ...(flag.short && { short: flag.short }) } as const,
      ]),
    ),
  });
  const positionals = tokens.flatMap((token) => (token.kind === "positional" ? [token.value] : []));
  const options = tokens.flatMap((token) =>
    token.kind === "option"
      ? [{ name: token.name, rawName: token.rawName, value: token.value, inline: token.inlineValue === true }]
      : [],
  );
  return { positionals, options, ended: tokens.some(({ kind }) => kind === "option-terminator") };
}

function flagValue(command: Command, token: OptionToken, flag: Flag, flags: Flags): unknown {
  if (flag.type === undefined) {
    if (token.value !== undefined) throw usage(command, `${token.rawName} takes no value`);
    return true;
  }
  const { value } = token;
  if (flag.alone !== undefined && value === "") return true;
  const isFlag =
    value !== undefined && !token.inline && /^--?[a-z]/i.test(value) && looksLikeFlag(value, flags);
  if (value === undefined || isFlag) {
    throw usage(command, `${token.rawName} needs a value: ${flag.type.expects}`);
  }
  const parsed = flag.type.parse(value);
  if (parsed === undefined) {
    throw new AdderNetError("ADN_USAGE", `${token.rawName} was given a value it does not take`, {
      where: command.name,
      expected: flag.type.expects,
      found: `"${value}"`,
    });
  }
  return parsed;
}

function looksLikeFlag(value: string, flags: Flags): boolean {
  const name = value.replace(/^--?/, "").replace(/=.*$/, "");
  return name in flags || Object.values(flags).some(({ short }) => short === name);
}

function unknownFlag(command: Command, token: OptionToken, flags: Flags): AdderNetError {
  const near = nearest(token.name, Object.keys(flags));
  return usage(command, `there is no flag ${token.rawName}`, near && `did you mean --${near}?`);
}

function checkPositionals(command: Command, given: readonly string[]): void {
  const missing = command.positionals.slice(given.length).filter(({ optional }) => !optional);
  if (missing.length > 0) {
    throw usage(command, `${missing.map(({ name }) => name).join(" and ")} is missing`);
  }
  if (command.positionals.at(-1)?.rest) return;
  const extra = given[command.positionals.length];
  if (extra !== undefined) throw usage(command, `one argument too many: "${extra}"`);
}

/** True when `--help` (or `--version`) stands anywhere before `--`. */
export function asksFor(argv: readonly string[], name: "help" | "version"): boolean {
  const end = argv.indexOf("--");
  const before = end < 0 ? argv : argv.slice(0, end);
  return before.includes(`--${name}`) || (name === "help" && before.includes("-h"));
}

/** Errors: ADN_USAGE. */
export function parseArguments(command: Command, argv: readonly string[]): ParsedArguments {
  const flags: Flags = { ...command.flags, ...globalFlags };
  const { positionals, options } = tokensOf(argv, flags);
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    values[name] = flag.repeat ? [] : (flag.default ?? (flag.type ? undefined : false));
  }
  const seen = new Set<string>();
  for (const token of options) {
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
    if (flag === undefined) throw unknownFlag(command, token, flags);
    const value = flagValue(command, token, flag, flags);
    if (flag.repeat) (values[token.name] as unknown[]).push(value);
    else if (seen.has(token.name) && flag.type) throw usage(command, `${token.rawName} is given twice`);
    else values[token.name] = value;
    seen.add(token.name);
  }
  checkPositionals(command, positionals);
  return { positionals, flags: values };
}
