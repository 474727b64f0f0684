// The engines that are compared, behind one face: open bytes, run a tensor, close.

const openers = {
  async addernet(bytes, { threads, simd = "auto" }) {
    const { createSession } = await import("../dist/runtime/index.js");
    const session = await createSession(bytes, { threads, simd });
    return { session, release: () => session.dispose() };
  },
  async web(bytes, { threads }) {
    const ort = await import("onnxruntime-web");
    ort.env.wasm.numThreads = threads;
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", logSeverityLevel: 3 };
    const session = await ort.InferenceSession.create(bytes, options);
    return { session, Tensor: ort.Tensor, release: () => session.release() };
  },
  async node(bytes, { threads }) {
    const { default: ort } = await import("onnxruntime-node");
    const options = {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
    };
    const session = await ort.InferenceSession.create(bytes, options);
    return { session, Tensor: ort.Tensor, release: () => session.release() };
  },
};

/** An engine's library, loaded before its time is taken. */
export async function loadEngine(engine) {
  await import(
    { addernet: "../dist/runtime/index.js", web: "onnxruntime-web", node: "onnxruntime-node" }[engine]
  );
}

/** Opens a model in an engine ("addernet", "web" or "node"). `run` answers the data of its only output. */
export async function openEngine(engine, bytes, { type, data, dims }, options) {
  const { session, Tensor, release } = await openers[engine](bytes, options);
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const feeds = { [input]: Tensor ? new Tensor(type, data, dims) : { type, data, dims } };
  const run = async () => (await session.run(feeds))[output].data;
  return { session, feeds, run, release };
}
