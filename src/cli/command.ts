// What a command is: a declaration (positionals, flags, help) and a function. Help and parsing are derived from it.

import type { AdderNetError } from "../core/errors.ts";
import type { Context } from "./context.ts";

/** A value given as text: what is accepted, in words, and a function that answers undefined for anything else. */
export interface FlagType<T> {
  readonly expects: string;
  readonly parse: (text: string) => T | undefined;
}

export interface Flag {
  readonly help: string;
  /** Absent for a switch. */
  readonly type?: FlagType<unknown>;
  /** How the value is called in help. */
  readonly placeholder?: string;
  readonly short?: string;
  /** May be given more than once; the values come as an array. */
  readonly repeat?: true;
  readonly default?: unknown;
  /** It may stand alone: the next argument is its value only when this says so. Alone its value is true. */
  readonly alone?: (next: string) => boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F extends { readonly type: FlagType<infer T> }
  ? F extends { readonly repeat: true }
    ? readonly T[]
    : F extends { readonly alone: unknown }
      ? T | true | undefined
      : F extends { readonly default: unknown }
        ? T
        : T | undefined
  : boolean;

export type FlagValues<F extends Flags> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

export interface Positional {
  readonly name: string;
  readonly help: string;
  readonly optional?: true;
  /** Takes all arguments that are left. */
  readonly rest?: true;
}

/** What a command answers: the same facts for people and for machines. */
export interface Outcome {
  readonly text: string;
  /** What `--json` prints; docs/json-schemas/COMMAND.json describes it. */
  readonly json: object;
  /** Told after the answer, with its exit code: the work was done and its result is bad. */
  readonly failure?: AdderNetError;
}

export interface Command<F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  readonly positionals: readonly Positional[];
  readonly flags: F;
  /** Paragraphs printed below the flags. */
  readonly notes?: readonly string[];
  readonly examples: readonly string[];
  readonly run: (
    given: { readonly positionals: readonly string[]; readonly flags: FlagValues<F> },
    context: Context,
  ) => Promise<Outcome>;
}

/** Fixes the types of a command's flags, then forgets them. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command as unknown as Command;
}

/** Flags every command has. */
export const globalFlags = {
  json: { help: "print one JSON document instead of text" },
  quiet: { help: "print no progress and no warnings" },
  help: { short: "h", help: "print this help" },
  version: { help: "print the version" },
} as const satisfies Flags;
