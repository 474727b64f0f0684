// Checks a value against the part of JSON Schema that docs/json-schemas uses; any other keyword is an error.

import { readFileSync } from "node:fs";

export interface Schema {
  readonly [keyword: string]: unknown;
}

export function readSchema(name: string): Schema {
  return JSON.parse(
    readFileSync(new URL(`../../docs/json-schemas/${name}.json`, import.meta.url), "utf8"),
  ) as Schema;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

function hasType(value: unknown, type: string): boolean {
  return type === "integer" ? Number.isInteger(value) : typeOf(value) === type;
}

type Check = (value: never, argument: never, schema: Schema, at: string) => string[];

function checkProperties(value: object, properties: Record<string, Schema>, _: Schema, at: string): string[] {
  return Object.entries(value).flatMap(([name, part]) => {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return schema ? schemaProblems(part, schema, `${at}.${name}`) : [];
  });
}

function checkAdditional(value: object, allowed: false | Schema, schema: Schema, at: string): string[] {
  const known = Object.keys((schema.properties ?? {}) as object);
  const others = Object.entries(value).filter(([name]) => !known.includes(name));
  if (allowed === false) return others.map(([name]) => `${at}.${name} is not in the schema`);
  return others.flatMap(([name, part]) => schemaProblems(part, allowed, `${at}.${name}`));
}

const annotations = ["$schema", "$id", "title", "description"];

const checks: Readonly<Record<string, { readonly on: string; readonly check: Check }>> = {
  type: {
    on: "any",
    check: (value, types: string | string[], _, at) =>
      [types].flat().some((type) => hasType(value, type)) ? [] : [`${at} is ${typeOf(value)}, not ${types}`],
  },
  const: {
    on: "any",
    check: (value: unknown, wanted: unknown, _, at) => (value === wanted ? [] : [`${at} is not ${wanted}`]),
  },
  enum: {
    on: "any",
    check: (value: unknown, wanted: unknown[], _, at) =>
      wanted.includes(value) ? [] : [`${at} is ${value}`],
  },
  minimum: {
    on: "number",
    check: (value: number, least: number, _, at) => (value >= least ? [] : [`${at} < ${least}`]),
  },
  pattern: {
    on: "string",
    check: (value: string, pattern: string, _, at) =>
      new RegExp(pattern).test(value) ? [] : [`${at} is ${value}`],
  },
  items: {
    on: "array",
    check: (value: unknown[], schema: Schema, _, at) =>
      value.flatMap((part, index) => schemaProblems(part, schema, `${at}[${index}]`)),
  },
  required: {
    on: "object",
    check: (value: object, names: string[], _, at) =>
      names.filter((name) => !Object.hasOwn(value, name)).map((name) => `${at}.${name} is missing`),
  },
  properties: { on: "object", check: checkProperties },
  additionalProperties: { on: "object", check: checkAdditional },
  oneOf: {
    on: "any",
    check: (value: unknown, schemas: Schema[], _, at) => {
      const problems = schemas.map((schema) => schemaProblems(value, schema, at));
      return problems.filter((list) => list.length === 0).length === 1 ? [] : problems.flat();
    },
  },
};

/** Every way in which `value` breaks `schema`. */
export function schemaProblems(value: unknown, schema: Schema, at = "$"): string[] {
  return Object.entries(schema).flatMap(([keyword, argument]) => {
    if (annotations.includes(keyword)) return [];
    const known = checks[keyword];
    if (known === undefined) throw new Error(`the schema uses ${keyword}, which this check does not know`);
    if (known.on !== "any" && known.on !== typeOf(value)) return [];
    return known.check(value as never, argument as never, schema, at);
  });
}
