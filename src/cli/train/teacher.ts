// A teacher: a model in ONNX whose outputs for the same images are learned as well.

import { AdderNetError } from "../../core/errors.ts";
import type { Shape } from "../../train/index.ts";
import { startPeerAlone } from "../engines.ts";
import { imageInput } from "../image-input.ts";
import { readModel } from "../read-model.ts";

export type Teacher = (images: Float32Array) => Promise<Float32Array>;

interface OpenedTeacher {
  readonly ask: Teacher;
  readonly dispose: () => Promise<void>;
}

/** Runs on onnxruntime. Errors: ADN_PEER_MISSING without it, ADN_CLASSES where it knows other classes. */
export async function openTeacher(path: string, shape: Shape, classes: number): Promise<OpenedTeacher> {
  const file = readModel(path);
  const input = imageInput(file.model, "train");
  const output = file.model.graph.outputs[0]!.name;
  const engine = await startPeerAlone(file.bytes);
  const length = shape[0] * shape[1] * shape[2];
  const ask: Teacher = async (images) => {
    const rows = images.length / length;
    const feeds = new Map([[input.name, { type: "float32", data: images, dims: [rows, ...shape] } as const]]);
    const answer = (await engine.run(feeds)).get(output)!;
    if (answer.data.length === rows * classes) return answer.data as Float32Array;
    throw new AdderNetError("ADN_CLASSES", "the teacher has another number of classes", {
      where: path,
      expected: `${classes}`,
      found: `${answer.data.length / rows}`,
    });
  };
  return { ask, dispose: () => engine.dispose() };
}
