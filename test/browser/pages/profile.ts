// A page that profiles /net.onnx.

import { pageEnvironment, profileModel, toHtml } from "addernet/profile";

async function profileNet(): Promise<unknown> {
  const bytes = new Uint8Array(await (await fetch("/net.onnx")).arrayBuffer());
  const phases = new Set<string>();
  const report = await profileModel(bytes, {
    environment: pageEnvironment(),
    name: "net.onnx",
    seconds: 0.5,
    warmUpRuns: 2,
    onProgress: (phase) => {
      phases.add(phase);
    },
  });
  return { report, phases: [...phases], page: toHtml(report).length };
}

Object.assign(globalThis, { tested: { profileNet } });
