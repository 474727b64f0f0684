// The values a pickle builds here: plain data that stands for Python's objects and never runs.

import { quote } from "../checkpoint.ts";
import type { TensorView } from "../tensor-view.ts";

interface Sequence<Kind extends string> {
  readonly kind: Kind;
  readonly items: PickleValue[];
}

export type PickledSequence = Sequence<"list"> | Sequence<"tuple"> | Sequence<"set">;

export interface PickledDict {
  readonly kind: "dict";
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A class or function that the pickle names; naming is all that is done with it. */
export interface PickledGlobal {
  readonly kind: "global";
  /** "module.name". */
  readonly name: string;
}

/** An instance of a class that is not known: its name and its state, inert. */
export interface PickledObject {
  readonly kind: "object";
  readonly className: string;
  /** What BUILD gave it, by attribute. */
  readonly state: Map<PickleValue, PickleValue>;
  /** Items of classes that extend list or dict. */
  readonly items: PickleValue[];
  readonly entries: Map<PickleValue, PickleValue>;
}

/** A NumPy element type: "f4", and the byte order that BUILD sets. */
export interface PickledDtype {
  readonly kind: "dtype";
  readonly code: string;
  byteOrder: string;
}

/** A torch storage, or the type of one. */
export interface PickledStorage {
  readonly kind: "storage";
  readonly storage: TensorView["storage"];
}

export interface PickledTensor {
  readonly kind: "tensor";
  /** Absent between the creation of an ndarray and its BUILD. */
  view?: TensorView;
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickledSequence
  | PickledDict
  | PickledGlobal
  | PickledObject
  | PickledDtype
  | PickledStorage
  | PickledTensor;

type Kind = Exclude<PickleValue, null | boolean | number | bigint | string | Uint8Array>["kind"];

export function isKind<K extends Kind>(
  value: PickleValue | undefined,
  ...kinds: K[]
): value is Extract<PickleValue, { kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && kinds.includes(value.kind as K);
}

export const makeSequence = (kind: PickledSequence["kind"], items: PickleValue[]): PickledSequence => ({
  kind,
  items,
});

export const makeDict = (): PickledDict => ({ kind: "dict", entries: new Map() });

export function makeObject(className: string): PickledObject {
  return { kind: "object", className, state: new Map(), items: [], entries: new Map() };
}

/** Bytes as the text of the same code points, as Python 2 strings are read. */
export function latin1Text(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

/** The inverse of `latin1Text`; undefined where a character is no byte. */
export function latin1Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 255) return undefined;
    bytes[at] = code;
  }
  return bytes;
}

/** How a message names a value. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value !== "object") return typeof value === "bigint" ? "an integer" : `a ${typeof value}`;
  if (value.kind === "global") return quote(value.name);
  return value.kind === "object" ? `an object of class ${quote(value.className)}` : `a ${value.kind}`;
}
