// Converting takes a moment: it happens here, and the page stays free.

import { convert } from "addernet/converter";

globalThis.addEventListener("message", async ({ data }) => {
  const { bytes, report } = await convert(data);
  globalThis.postMessage({ bytes, layers: report.layers.length }, [bytes.buffer]);
});
