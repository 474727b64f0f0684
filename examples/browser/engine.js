// A worker as functions: a call answers a promise, and progress arrives on the way.

/** `call(action, argument, onProgress)`; failures carry the `code` they had in the worker. */
export function startEngine() {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const open = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data: { id, progress, result, failure } }) => {
    const { resolve, reject, onProgress } = open.get(id);
    if (progress !== undefined) return onProgress?.(progress);
    open.delete(id);
    if (failure === undefined) return resolve(result);
    return reject(Object.assign(new Error(failure.message), { code: failure.code }));
  });
  worker.addEventListener("error", ({ message }) => {
    for (const { reject } of open.values()) reject(new Error(message || "the worker cannot be loaded"));
    open.clear();
  });
  return {
    call(action, argument, onProgress) {
      const id = ++last;
      return new Promise((resolve, reject) => {
        open.set(id, { resolve, reject, onProgress });
        worker.postMessage({ id, action, argument });
      });
    },
    stop() {
      worker.terminate();
      for (const { reject } of open.values()) reject(new DOMException("stopped", "AbortError"));
      open.clear();
    },
  };
}
