// One text that profiles one model on any machine with Node: code, task and model.

import type { ProfileTask } from "./task.ts";

async function boardCode(): Promise<string> {
  return (await import("./generated/board.ts")).boardCode;
}

const assignment = (task: ProfileTask, isRemote: boolean, model: string): string =>
  `globalThis.addernetProfile={task:${JSON.stringify(task)},isRemote:${isRemote},model:${model}};\n`;

/** A file for machines that nothing reaches by network: `node FILE > report.json`. */
export async function bundleText(task: ProfileTask, model: Uint8Array): Promise<string> {
  const head = `// addernet ${task.version}: profiles ${JSON.stringify(task.name)}. Run it with Node 20 or newer: node THIS-FILE report.json\n`;
  const base64 = Buffer.from(model.buffer, model.byteOffset, model.length).toString("base64");
  return `${head}${assignment(task, false, JSON.stringify(base64))}${await boardCode()}`;
}

/** The code that is sent to another machine; its model comes behind it, as bytes in a global. */
export async function remoteCode(task: ProfileTask): Promise<string> {
  return `${assignment(task, true, "globalThis.addernetModel")}${await boardCode()}`;
}
