// What the page asks of its workers: classify an image, convert a file, profile a model, race two engines. One call at a time.

import { classify } from "./classify.js";

/** What not every worker needs is loaded by the first call. */
const actions = {
  classify,
  listArchitectures: async () => (await import("./convert.js")).architectureNames(),
  convertFiles: async (...given) => (await import("./convert.js")).convertFiles(...given),
  profile: async (...given) => (await import("./profile-model.js")).profile(...given),
  race: async (...given) => (await import("./race-engines.js")).race(...given),
};

function failureOf(error) {
  return { code: error?.code, message: error instanceof Error ? error.message : String(error) };
}

let queue = Promise.resolve();
globalThis.addEventListener("message", ({ data: { id, action, argument } }) => {
  const onProgress = (progress) => globalThis.postMessage({ id, progress });
  queue = queue
    .then(() => actions[action](argument, onProgress))
    .then(
      (result) => globalThis.postMessage({ id, result }),
      (error) => globalThis.postMessage({ id, failure: failureOf(error) }),
    );
});
