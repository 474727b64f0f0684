import { buildTwins } from "./bench/twins.mjs"; import { convert } from "./dist/converter/index.js"; import { writeFileSync } from "fs";
let t = performance.now(); const { adder } = await buildTwins("resnet18"); console.log("twins", performance.now() - t); t = performance.now();
const { bytes } = await convert(adder.model, { check: false }); console.log("convert", performance.now() - t, bytes.length); writeFileSync("/tmp/w/ortv/r18.onnx", bytes);
console.log(adder.model.graph.inputs);
