// Which values share memory. ReLU and additions are made in place where nobody else reads what they read: what a layer's gradient needs
// later is its input (norm, adder, convolution), except for ReLU, which needs its output.

import type { Layer, Network, Shape } from "../network.ts";
import { type Blocks, type Slices, type Space, takeValue } from "./layout.ts";

const readsOf = (layer: Layer): string[] =>
  layer.kind === "add" ? [layer.input, layer.other] : [layer.input];

/** How many layers read each value; the network's output counts as read once more. */
export function readersOf({
  layers,
  output,
}: Pick<Network, "layers" | "output">): ReadonlyMap<string, number> {
  const readers = new Map<string, number>([[output, 1]]);
  for (const layer of layers) {
    for (const value of readsOf(layer)) readers.set(value, (readers.get(value) ?? 0) + 1);
  }
  return readers;
}

const inPlaceKinds: ReadonlySet<Layer["kind"]> = new Set(["relu", "add"]);

/** The value whose memory a value uses: its own name, or the one it is made in place of. */
function rootsOf(network: Network): ReadonlyMap<string, string> {
  const readers = readersOf(network);
  const makers = new Map(network.layers.map((layer) => [layer.output, layer.kind]));
  const roots = new Map<string, string>([[network.input, network.input]]);
  for (const { kind, input, output } of network.layers) {
    const maker = makers.get(input);
    const mayOverwrite = maker !== undefined && maker !== "relu" && readers.get(input) === 1;
    roots.set(output, inPlaceKinds.has(kind) && mayOverwrite ? roots.get(input)! : output);
  }
  return roots;
}

/** The block of every value. */
export function placeValues(
  network: Network,
  shapes: ReadonlyMap<string, Shape>,
  slices: Slices,
  space: Space,
): (name: string) => Blocks {
  const roots = rootsOf(network);
  const blocks = new Map<string, Blocks>();
  for (const [name, shape] of shapes) {
    if (roots.get(name) === name) blocks.set(name, takeValue(space, shape, slices));
  }
  return (name) => blocks.get(roots.get(name)!)!;
}
