// The name a layer had in PyTorch, from whatever an exporter left of it.

import type { Node } from "../../src/core/ir/model.ts";

/** Suffixes under which AdderNet code keeps a layer's weight. */
const weightSuffix = /\.(adder|adder_new|weight|Weight|pat|W|w)$/;

/** "layer1.0.conv1" from "layer1.0.conv1.adder". Names that exporters make up have no such suffix. */
export function layerOfWeight(initializer: string | undefined): string | undefined {
  if (initializer === undefined || !weightSuffix.test(initializer)) return undefined;
  return initializer.replace(weightSuffix, "");
}

/** "layer1.0.conv1" from "/layer1/layer1.0/conv1/Sub_2": a part that repeats the one before it replaces it. */
export function layerOfPath(path: string): string | undefined {
  if (!path.startsWith("/")) return undefined;
  const modules: string[] = [];
  for (const part of path.split("/").slice(1, -1)) {
    const last = modules.at(-1);
    if (last !== undefined && part.startsWith(`${last}.`)) modules[modules.length - 1] = part;
    else modules.push(part);
  }
  return modules.length > 0 ? modules.join(".") : undefined;
}

/** The module from torch.export's metadata: the last but one of "['', 'layer1', 'layer1.0', 'sub']". */
function layerOfMetadata(metadata: ReadonlyMap<string, string>): string | undefined {
  const scopes = metadata.get("pkg.torch.onnx.name_scopes");
  if (scopes !== undefined) {
    const names = [...scopes.matchAll(/'([^']*)'|"([^"]*)"/g)].map(
      ([, single, double]) => single ?? double ?? "",
    );
    return names.at(-2) || undefined;
  }
  const module = metadata.get("namespace")?.split("/").at(-2)?.split(":")[0];
  return module?.trim() || undefined;
}

/** The module a node belongs to, from its metadata, its name or the names of its outputs. */
export function layerOfNode(node: Node): string | undefined {
  const fromMetadata = node.metadata && layerOfMetadata(node.metadata);
  if (fromMetadata !== undefined) return fromMetadata;
  for (const name of [node.name, ...node.outputs]) {
    const layer = layerOfPath(name);
    if (layer !== undefined) return layer;
  }
  return undefined;
}
