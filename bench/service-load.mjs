// npm run load:service: examples/node-service under clients of every kind. Each answer is compared with the network's own for that very
// image; slow, broken and hostile clients are there all the time.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createSession } from "../dist/runtime/index.js";

const usage = `npm run load:service -- [options]
  --seconds 30   how long
  --clients 24   how many ask at once
  --queue 8      images that may wait in the service
Exit code 1 when an answer is wrong, late or missing.`;
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    clients: { type: "string", default: "24" },
    queue: { type: "string", default: "8" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stderr.write(`${usage}\n`);
  process.exit(0);
}

const root = resolve(import.meta.dirname, "..");
const [mean, deviation] = [
  [0.4914, 0.4822, 0.4465],
  [0.2023, 0.1994, 0.201],
];
const side = 32;
const plane = side * side;

/** Images with a pattern of their own each, as .npy bytes [H, W, 3]. */
function makeImages(count) {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${side}, ${side}, 3), }`.padEnd(117);
  const header = Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1"),
    Buffer.from(`${text}\n`),
  ]);
  return Array.from({ length: count }, (_, image) => {
    const pixels = Buffer.from(
      Array.from(
        { length: 3 * plane },
        (_, at) => (128 + 120 * Math.sin((image + 1) * 0.011 * at + image)) & 255,
      ),
    );
    return { pixels, body: Buffer.concat([header, pixels]) };
  });
}

/** Probabilities by class, from a session of this process. */
async function answersFor(images) {
  const session = await createSession(readFileSync(join(root, "examples/browser/resnet20.int8.onnx")));
  const answers = [];
  for (const { pixels } of images) {
    const data = Float32Array.from({ length: 3 * plane }, (_, at) => {
      const channel = Math.floor(at / plane);
      return (pixels[3 * (at % plane) + channel] / 255 - mean[channel]) / deviation[channel];
    });
    const found = await session.run({
      [session.inputNames[0]]: { type: "float32", data, dims: [1, 3, side, side] },
    });
    const logits = [...Object.values(found)[0].data];
    const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const sum = powers.reduce((total, power) => total + power, 0);
    answers.push(powers.map((power) => power / sum));
  }
  await session.dispose();
  return answers;
}

async function startService() {
  const child = spawn(
    process.execPath,
    [
      join(root, "examples/node-service/server.mjs"),
      ...["--port", "0", "--workers", "1", "--queue", values.queue],
      ...["--max-bytes", "100000", "--request-seconds", "2"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  return new Promise((done, fail) => {
    child.stdout.on("data", (part) => {
      said += part;
      const found = /:(\d+)\/classify/.exec(said);
      if (found) done({ child, port: Number(found[1]) });
    });
    child.on("exit", (code) => fail(new Error(`the service ended with ${code}: ${said}`)));
  });
}

const labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const images = makeImages(40);
const answers = await answersFor(images);
const { child, port } = await startService();
let isRunning = true;
const counts = {};
const wrong = [];
const count = (what) => {
  counts[what] = (counts[what] ?? 0) + 1;
};
const complain = (what) => {
  count("wrong");
  if (wrong.length < 20) wrong.push(what);
};
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

function ask({ method = "POST", path = "/classify", headers = {}, body }) {
  return new Promise((done, fail) => {
    const asking = request({ port, method, path, headers, agent }, async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      const text = Buffer.concat(parts).toString();
      done({ status: response.statusCode, headers: response.headers, text });
    });
    asking.on("error", fail);
    asking.end(body);
  });
}

function checkAnswer({ text }, index) {
  const { classes } = JSON.parse(text);
  const isRight = classes.every(
    ({ label, probability }) => Math.abs(answers[index][labels.indexOf(label)] - probability) < 1e-4,
  );
  if (classes.length === 5 && isRight) count("answered");
  else complain(`image ${index} got ${text}`);
}

/** Sends one image after another; waits when it is told to. */
async function askingClient(client) {
  for (let turn = client; isRunning; turn += 7) {
    const index = turn % images.length;
    let reply;
    try {
      reply = await ask({ headers: { "Content-Type": "application/x-npy" }, body: images[index].body });
    } catch ({ code }) {
      // The service closes what it did not read to the end, and connections it has too many of; a client may see that first.
      count(`connection ${code}`);
      continue;
    }
    if (reply.status === 200) checkAnswer(reply, index);
    else if (reply.status === 503 && Number(reply.headers["retry-after"]) > 0) {
      count("told to come again");
      await pause(20 + 10 * client);
    } else complain(`image ${index}: ${reply.status} ${reply.text}`);
  }
}

const npy = { "Content-Type": "application/x-npy" };
const mistakes = [
  [{ headers: { "Content-Type": "text/html" }, body: "<p>" }, [415, 503]],
  [{ headers: npy, body: Buffer.alloc(100_001) }, [413, 503]],
  [{ headers: npy, body: "no array" }, [422, 503]],
  [{ headers: npy }, [400, 503]],
  [{ method: "GET" }, [405]],
  [{ method: "DELETE", path: "/health" }, [405]],
  [{ method: "GET", path: "/nowhere" }, [404]],
];

async function mistakenClient() {
  for (let turn = 0; isRunning; turn++) {
    const [asked, expected] = mistakes[turn % mistakes.length];
    try {
      const { status } = await ask(asked);
      if (expected.includes(status)) count("refused");
      else complain(`${status} for ${JSON.stringify(asked).slice(0, 80)}`);
    } catch ({ code }) {
      count(`connection ${code}`);
    }
    await pause(30);
  }
}

/** What a raw request is answered with; "" where the connection ends without a word. */
async function sendRaw(head, { body = [], every = 0, abort = false } = {}) {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (part) => {
    text += part;
  });
  socket.on("error", () => {});
  const closed = new Promise((done) => socket.on("close", done));
  socket.write(head);
  for (const part of body) {
    if (socket.destroyed) break;
    socket.write(part);
    await pause(every);
  }
  if (abort) socket.destroy();
  await closed;
  return text;
}

const paths = [
  "/../../../../etc/passwd",
  "/classify/../../../etc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "//etc/passwd",
  "/classify?model=/etc/passwd",
  "file:///etc/passwd",
  "http://[",
];

async function prowlingClient() {
  for (let turn = 0; isRunning; turn++) {
    const path = paths[turn % paths.length];
    const text = await sendRaw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    if (/^HTTP\/1\.1 (400|404|405) /.test(text) && !text.includes("root:")) count("paths refused");
    else complain(`${path}: ${text.slice(0, 100)}`);
    await pause(50);
  }
}

const headOf = (length) =>
  `POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-npy\r\nContent-Length: ${length}\r\n\r\n`;

/** A byte now and then: loses its place when its time is up. */
async function slowClient() {
  while (isRunning) {
    const start = Date.now();
    const text = await sendRaw(headOf(3200), { body: Array(60).fill("x"), every: 100 });
    if (!/^HTTP\/1\.1 (408|503) /.test(text)) complain(`a slow client got ${text.slice(0, 100)}`);
    else if (Date.now() - start > 15_000) complain(`a slow client held its place ${Date.now() - start} ms`);
    else count("slow clients sent away");
  }
}

async function abortingClient() {
  while (isRunning) {
    await sendRaw(headOf(images[0].body.length), {
      body: [images[0].body.subarray(0, 1500)],
      every: 20,
      abort: true,
    });
    await sendRaw("\x16\x03\x01 not HTTP at all\r\n\r\n");
    count("connections broken off");
    await pause(30);
  }
}

/** Memory of the service, in MB, where the system tells. */
function memoryOf() {
  const path = `/proc/${child.pid}/status`;
  return existsSync(path) ? Number(/VmRSS:\s+(\d+)/.exec(readFileSync(path, "utf8"))[1]) / 1024 : 0;
}

let [most, highest] = [0, 0];
async function watching() {
  while (isRunning) {
    highest = Math.max(highest, memoryOf());
    const { open, mostOpen } = JSON.parse((await ask({ method: "GET", path: "/health" })).text);
    most = Math.max(most, open);
    if (open > mostOpen) complain(`${open} images are open, of at most ${mostOpen}`);
    await pause(100);
  }
}

const clients = [
  ...Array.from({ length: Number(values.clients) }, (_, client) => askingClient(client)),
  ...[mistakenClient, prowlingClient, slowClient, slowClient, abortingClient, watching].map((run) => run()),
];
await pause(Number(values.seconds) * 1000);
isRunning = false;
await Promise.all(clients);

/** Places are free again once slow clients' time is up; then one more image, and an orderly end. */
let open = 1;
for (let tries = 0; tries < 100 && open > 0; tries++) {
  await pause(100);
  open = JSON.parse((await ask({ method: "GET", path: "/health" })).text).open;
}
if (open > 0) complain(`${open} places were never given back`);
checkAnswer(await ask({ headers: npy, body: images[3].body }), 3);
agent.destroy();
child.kill("SIGTERM");
const [code] = await once(child, "exit");
if (code !== 0) complain(`the service ended with ${code}`);
process.stdout.write(
  `${JSON.stringify({ seconds: Number(values.seconds), ...counts, mostOpen: most, memoryMb: Math.round(highest), wrongOnes: wrong })}\n`,
);
process.exitCode = wrong.length === 0 ? 0 : 1;
