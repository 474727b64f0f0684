// Where gathered cases lie.

import { homedir } from "node:os";
import { join } from "node:path";

export function caseFolder(env = process.env) {
  const cache = env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return env.ADDERNET_ONNX_TESTS ?? join(cache, "addernet", "onnx-tests");
}
