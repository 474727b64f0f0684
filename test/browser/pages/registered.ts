// onnxruntime-web in a page with our kernels registered: the two lines a user adds.

import { adderNetEp, explain, registerAdderNet } from "addernet/ort";
import * as ort from "onnxruntime-web";

registerAdderNet(ort);
ort.env.wasm.numThreads = 1;

interface Run {
  readonly model: string;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  /** Execution providers for what our kernels do not cover; left out, our kernels are not used at all. */
  readonly inner?: readonly string[];
}

async function runModel({ model, dims, values, inner }: Run) {
  const bytes = new Uint8Array(await (await fetch(model)).arrayBuffer());
  const session = await ort.InferenceSession.create(
    bytes,
    inner ? { executionProviders: [adderNetEp({ inner })] } : {},
  );
  const x = new ort.Tensor("float32", Float32Array.from(values), dims);
  const outputs = await session.run({ [session.inputNames[0]!]: x });
  const engines = explain(session)?.map(({ engine }) => engine);
  await session.release();
  const [output] = Object.values(outputs);
  return { engines, dims: output!.dims, values: [...(output!.data as Float32Array)] };
}

Object.assign(globalThis, { runModel });
