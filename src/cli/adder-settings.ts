// `--set NODE.strides=2,2` as the importer takes it: PyTorch's names and short forms become ONNX's.

import type { AdderSettings } from "../../converter/index.ts";
import { AdderNetError } from "../core/errors.ts";
import { nearest } from "./nearest.ts";

type Values = readonly number[];

const isPositive = (values: Values): boolean => values.every((value) => value >= 1);

/** One number for both axes, or one each. */
function pair(values: Values): Values | undefined {
  if (!isPositive(values) || values.length > 2) return undefined;
  return values.length === 1 ? [values[0]!, values[0]!] : values;
}

/** One number for all sides; height and width; or top, left, bottom, right. */
function sides(values: Values): Values | undefined {
  if (values.some((value) => value < 0)) return undefined;
  const [a, b] = values as [number, number];
  if (values.length === 1) return [a, a, a, a];
  if (values.length === 2) return [a, b, a, b];
  return values.length === 4 ? values : undefined;
}

interface Setting {
  readonly expects: string;
  readonly read: (values: Values) => AdderSettings | undefined;
}

function setting(
  expects: string,
  accept: (values: Values) => Values | undefined,
  wrap: (values: Values) => AdderSettings,
): Setting {
  return {
    expects,
    read: (values) => {
      const accepted = accept(values);
      return accepted && wrap(accepted);
    },
  };
}

const strides = setting("1 or 2 numbers >= 1", pair, (values) => ({ strides: values }));
const pads = setting("1, 2 or 4 numbers >= 0", sides, (values) => ({ pads: values }));
const dilations = setting("1 or 2 numbers >= 1", pair, (values) => ({ dilations: values }));
const group = setting(
  "a number >= 1",
  (values) => (values.length === 1 && isPositive(values) ? values : undefined),
  (values) => ({ group: values[0]! }),
);

const settings: Readonly<Record<string, Setting>> = {
  strides,
  stride: strides,
  pads,
  padding: pads,
  dilations,
  dilation: dilations,
  group,
  groups: group,
};

export interface NodeSetting {
  readonly node: string;
  readonly attribute: string;
  readonly values: Values;
}

/** Settings by node; several of one node come together. Errors: ADN_USAGE. */
export function adderSettings(given: readonly NodeSetting[]): Map<string, AdderSettings> {
  const byNode = new Map<string, AdderSettings>();
  for (const { node, attribute, values } of given) {
    const known = Object.hasOwn(settings, attribute) ? settings[attribute] : undefined;
    if (known === undefined) {
      const near = nearest(attribute, Object.keys(settings));
      throw new AdderNetError("ADN_USAGE", `--set does not know the attribute "${attribute}"`, {
        where: node,
        expected: "strides, pads, dilations or group",
        ...(near && { fix: `did you mean ${near}?` }),
      });
    }
    const read = known.read(values);
    if (read === undefined) {
      throw new AdderNetError("ADN_USAGE", `--set was given values that ${attribute} does not take`, {
        where: node,
        expected: known.expects,
        found: values.join(","),
      });
    }
    byNode.set(node, { ...byNode.get(node), ...read });
  }
  return byNode;
}
