// The values flags take, each a small predicate.

import type { FlagType } from "./command.ts";

export const text: FlagType<string> = { expects: "a text", parse: (given) => given || undefined };

export const path: FlagType<string> = { expects: "a file name", parse: (given) => given || undefined };

function numberType(expects: string, accepts: (value: number) => boolean): FlagType<number> {
  return {
    expects,
    parse: (given) => {
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(given) ? Number(given) : Number.NaN;
      return Number.isFinite(value) && accepts(value) ? value : undefined;
    },
  };
}

export const positiveInteger = numberType("an integer >= 1", (v) => Number.isSafeInteger(v) && v >= 1);
export const integer = numberType("an integer >= 0", (v) => Number.isSafeInteger(v) && v >= 0);
export const nonNegative = numberType("a number >= 0", (v) => v >= 0);

export function oneOf<const T extends string>(...names: readonly T[]): FlagType<T> {
  return { expects: names.join(" or "), parse: (given) => names.find((name) => name === given) };
}

function numbers(given: string): number[] | undefined {
  const values = given.split(",").map((part) => numberType("", () => true).parse(part.trim()));
  return values.every((value) => value !== undefined) ? (values as number[]) : undefined;
}

export const numberList: FlagType<readonly number[]> = {
  expects: "numbers separated by commas",
  parse: numbers,
};

export const positiveList: FlagType<readonly number[]> = {
  expects: "numbers > 0 separated by commas",
  parse: (given) => {
    const values = numbers(given);
    return values?.every((value) => value > 0) ? values : undefined;
  },
};

/** `name:1,3,32,32`; a length may be a symbol. The name may hold colons. */
export const namedShape: FlagType<{ readonly name: string; readonly dims: readonly (number | string)[] }> = {
  expects: "name:1,3,32,32",
  parse: (given) => {
    const match = /^(.+):([\w.]+(?:,[\w.]+)*)$/.exec(given);
    if (match === null) return undefined;
    const dims = match[2]!.split(",").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    const fits = dims.every((dim) =>
      typeof dim === "number" ? Number.isSafeInteger(dim) && dim >= 1 : /^[A-Za-z_]/.test(dim),
    );
    return fits ? { name: match[1]!, dims } : undefined;
  },
};

/** `domain::Op`, with an optional `=adder2d` behind it. */
export const opName: FlagType<string> = {
  expects: "domain::Op",
  parse: (given) => /^([\w.-]*::\w+)(=adder2d)?$/i.exec(given)?.[1],
};

/** `NODE.strides=2,2`. The node's name may hold dots and slashes. */
export const nodeSetting: FlagType<{
  readonly node: string;
  readonly attribute: string;
  readonly values: readonly number[];
}> = {
  expects: "NODE.strides=2,2",
  parse: (given) => {
    const match = /^(.+)\.([A-Za-z_]+)=(-?\d+(?:,-?\d+)*)$/.exec(given);
    return match
      ? { node: match[1]!, attribute: match[2]!, values: match[3]!.split(",").map(Number) }
      : undefined;
  },
};

/** `x.npy` or `name=x.npy`. */
export const namedPath: FlagType<{ readonly name: string | undefined; readonly path: string }> = {
  expects: "FILE or NAME=FILE",
  parse: (given) => {
    const at = given.indexOf("=");
    if (at < 0) return given === "" ? undefined : { name: undefined, path: given };
    const [name, file] = [given.slice(0, at), given.slice(at + 1)];
    return name === "" || file === "" ? undefined : { name, path: file };
  },
};
