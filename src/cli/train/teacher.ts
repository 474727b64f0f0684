// A teacher: a model whose outputs for the same images are learned as well.

import type { RunningModel } from "../../../converter/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import { encodeModel } from "../../core/onnx/index.ts";
import type { Shape } from "../../train/index.ts";
import { startPeerAlone } from "../engines.ts";
import type { ModelInput } from "../feeds.ts";
import { imageInput } from "../image-input.ts";
import { startModel } from "../start-model.ts";

export type Teacher = (images: Float32Array) => Promise<Float32Array>;

export interface OpenedTeacher {
  readonly ask: Teacher;
  readonly dispose: () => Promise<void>;
}

/** AdderNets run on our kernels; for CNNs onnxruntime's native ones are faster. */
function startTeacher(model: Model): Promise<RunningModel> {
  const hasAdders = model.graph.nodes.some(({ domain }) => domain === "addernet");
  return hasAdders ? startModel(model) : startPeerAlone(encodeModel(model).bytes);
}

/** What a model takes, as far as it says so: any number of such images. */
function checkInput(where: string, { name, shape: dims }: ModelInput, shape: Shape): void {
  const fits =
    dims === undefined ||
    (dims.length === 4 && dims.every((dim, axis) => typeof dim !== "number" || dim === [-1, ...shape][axis]));
  if (fits) return;
  throw new AdderNetError("ADN_DATA", "the teacher takes other images than the network that learns", {
    where: `${where}: ${name}`,
    expected: `[batch, ${shape.join(", ")}]`,
    found: `[${dims.join(", ")}]`,
    ...(typeof dims[0] === "number" && { fix: "addernet convert makes the batch free" }),
  });
}

/**
 * Errors: ADN_DATA and ADN_CLASSES where images or classes are not those of the network that learns, ADN_PEER_MISSING without
 * onnxruntime.
 */
export async function openTeacher(
  { path, model }: { readonly path: string; readonly model: Model },
  shape: Shape,
  classes: number,
): Promise<OpenedTeacher> {
  const input = imageInput(model, "train");
  checkInput(path, input, shape);
  const output = model.graph.outputs[0]!.name;
  const engine = await startTeacher(model);
  const length = shape.reduce((product, size) => product * size);
  const ask: Teacher = async (images) => {
    const rows = images.length / length;
    const feeds = new Map([[input.name, { type: "float32", data: images, dims: [rows, ...shape] } as const]]);
    const { data } = (await engine.run(feeds)).get(output)!;
    if (data.length === rows * classes) return data as Float32Array;
    throw new AdderNetError("ADN_CLASSES", "the teacher has another number of classes", {
      where: path,
      expected: `${classes}`,
      found: `${data.length / rows}`,
    });
  };
  await ask(new Float32Array(length));
  return {
    ask,
    dispose: async () => {
      await engine.dispose?.();
    },
  };
}
