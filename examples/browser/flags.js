// The flags of `addernet convert` that an error message may ask for.

import { AdderNetError } from "addernet/runtime";

const attributes = ["strides", "pads", "dilations", "group"];

function unreadable(found) {
  return new AdderNetError("ADN_USAGE", "this cannot be read as flags", {
    expected: "--set NODE.strides=2,2, --set NODE.pads=1,1,1,1 or --map-op DOMAIN::OP",
    found,
  });
}

function readSetting(text) {
  const [, node, attribute, list] = /^'?(.+)\.(\w+)=([\d,]+)'?$/.exec(text) ?? [];
  if (!attributes.includes(attribute)) throw unreadable(text);
  const numbers = list.split(",").map(Number);
  return { node, attribute, value: attribute === "group" ? numbers[0] : numbers };
}

/** Options of `convert` from a line of flags. */
export function readFlags(line) {
  const words = line.split(/\s+/).filter(Boolean);
  const [set, mapOps] = [new Map(), new Map()];
  for (let index = 0; index < words.length; index += 2) {
    const [flag, value = ""] = words.slice(index, index + 2);
    if (flag === "--set") {
      const { node, attribute, value: given } = readSetting(value);
      set.set(node, { ...set.get(node), [attribute]: given });
    } else if (flag === "--map-op" && value.includes("::")) mapOps.set(value, "adder2d");
    else throw unreadable(`${flag} ${value}`.trim());
  }
  return { ...(set.size > 0 && { set }), ...(mapOps.size > 0 && { mapOps }) };
}
