// A model's profile in this worker, as a page.

import { pageEnvironment, profileModel, toHtml } from "addernet/profile";

/** What a model costs in this browser: a page of its own, and the median in ms. */
export async function profile({ name, bytes }, onProgress) {
  const report = await profileModel(bytes, {
    name,
    bytes: bytes.length,
    environment: pageEnvironment(),
    seconds: 4,
    onProgress: (phase, done, total) => onProgress({ phase, done, total }),
  });
  return { page: toHtml(report), milliseconds: report.latencyMs.p50, layers: report.layers.length };
}
