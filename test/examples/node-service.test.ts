// The HTTP service of examples/node-service as its clients see it: a process of its own, asked over sockets.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import jpeg from "jpeg-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../converter/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";

const root = join(import.meta.dirname, "../..");
const lenet = join(root, "test/fixtures/lenet5bn");
const built = existsSync(join(root, "dist/runtime/index.js"));
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(join(lenet, name)));
const digits = decodeNpy(bytesOf("digits.npy"), "digits.npy").data as Uint8Array;
const labels = [...(decodeNpy(bytesOf("labels.npy"), "labels.npy").data as Uint8Array)].map(Number);
const digit = (index: number): Uint8Array => digits.subarray(784 * index, 784 * (index + 1));

interface Service {
  readonly process: ChildProcess;
  readonly port: number;
  /** Everything it has written. */
  readonly output: () => string;
}

async function startService(folder: string, flags: readonly string[] = []): Promise<Service> {
  const network = ["--model", join(folder, "digits.onnx"), "--mean", "0.1307", "--deviation", "0.3081"];
  const shown = ["--labels", join(folder, "labels.txt"), "--workers", "1", "--port", "0"];
  const service = spawn(
    process.execPath,
    ["examples/node-service/server.mjs", ...network, ...shown, ...flags],
    {
      cwd: root,
    },
  );
  let output = "";
  const port = await new Promise<number>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk;
      const found = /:(\d+)\/classify/.exec(output);
      if (found) resolve(Number(found[1]));
    };
    service.stdout.on("data", read);
    service.stderr.on("data", read);
    service.on("exit", (code) => reject(new Error(`the service ended with ${code}: ${output}`)));
  });
  return { process: service, port, output: () => output };
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: {
    classes?: { label: string; probability: number }[];
    image?: number[];
    error?: string;
    status?: string;
    open?: number;
  };
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | number>;
  readonly body?: Uint8Array;
}

function ask(
  { port }: Service,
  { method = "POST", path = "/classify", headers = {}, body }: Asked,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, method, path, headers, agent: false }, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part);
      const text = Buffer.concat(parts).toString();
      resolve({
        status: response.statusCode!,
        headers: response.headers,
        body: text === "" ? {} : JSON.parse(text),
      });
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

const post = (service: Service, type: string, body: Uint8Array): Promise<Reply> =>
  ask(service, { headers: { "Content-Type": type }, body });

/** A request whose head is sent and whose body is not: it holds a place until `finish` or the service's patience ends. */
async function begin({ port }: Service, type: string, length: number) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(text)));
  const head = [
    "POST /classify HTTP/1.1",
    "Host: test",
    `Content-Type: ${type}`,
    `Content-Length: ${length}`,
  ];
  socket.write(`${[...head, "Connection: close"].join("\r\n")}\r\n\r\n`);
  return {
    finish: (body: Uint8Array): Promise<string> => {
      socket.write(body);
      return closed;
    },
    closed,
  };
}

async function openCount(service: Service): Promise<number> {
  return (await ask(service, { method: "GET", path: "/health" })).body.open!;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come about");
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32BE(content.length);
  bytes.write(type, 4, "latin1");
  bytes.set(content, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
  return bytes;
}

/** A grey PNG, or one of indices into a palette that holds every grey. */
function png(pixels: Uint8Array, width = 28, colourType: 0 | 3 = 0): Uint8Array {
  const height = pixels.length / width;
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, colourType, 0, 0, 0]);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const palette = Uint8Array.from({ length: 768 }, (_, index) => Math.floor(index / 3));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    ...(colourType === 3 ? [chunk("PLTE", palette)] : []),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function npy(pixels: Uint8Array, shape: readonly number[]): Uint8Array {
  const text = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`.padEnd(117);
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1"),
    Buffer.from(`${text}\n`),
    pixels,
  ]);
}

function enlarged(pixels: Uint8Array, times: number): Uint8Array {
  const width = 28 * times;
  return Uint8Array.from({ length: width * width }, (_, index) => {
    const [x, y] = [index % width, Math.floor(index / width)];
    return pixels[28 * Math.floor(y / times) + Math.floor(x / times)]!;
  });
}

function jpegOf(pixels: Uint8Array, width: number): Uint8Array {
  const data = Buffer.alloc(4 * pixels.length, 255);
  for (const [index, pixel] of pixels.entries()) data.fill(pixel, 4 * index, 4 * index + 3);
  return jpeg.encode({ width, height: pixels.length / width, data }, 95).data;
}

const skip = built ? "" : " (skipped: npm run build first)";
describe.skipIf(!built)(`examples/node-service${skip}`, () => {
  let folder: string;
  let service: Service;
  const started: Service[] = [];
  const start = async (...flags: string[]): Promise<Service> => {
    const made = await startService(folder, flags);
    started.push(made);
    return made;
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "node-service-"));
    const { bytes } = await convert(bytesOf("lenet5bn.inlined.onnx"), { check: false });
    writeFileSync(join(folder, "digits.onnx"), bytes);
    writeFileSync(join(folder, "labels.txt"), `${[..."0123456789"].join("\n")}\n`);
    service = await start("--max-bytes", "300000");
  });
  afterAll(() => {
    for (const { process: child } of started) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  it("classifies PNGs of the network's size as PyTorch's network does", async () => {
    const replies = [];
    for (let index = 0; index < 40; index++)
      replies.push(await post(service, "image/png", png(digit(index))));
    const found = replies.map(({ body }) => Number(body.classes![0]!.label));
    const right = found.filter((label, index) => label === labels[index]).length;
    expect(right).toBeGreaterThanOrEqual(38);
    expect(replies[0]!.headers["content-type"]).toBe("application/json");
    const sum = replies[0]!.body.classes!.reduce((total, { probability }) => total + probability, 0);
    expect(sum).toBeGreaterThan(0.9);
    expect(sum).toBeLessThan(1.0001);
  });

  it.each([
    ["a larger PNG", "image/png", png(enlarged(digit(3), 10), 280)],
    ["a JPEG", "image/jpeg", jpegOf(enlarged(digit(3), 8), 224)],
    ["an .npy [H,W]", "application/x-npy", npy(digit(3), [28, 28])],
    [
      "an .npy [3,H,W]",
      "application/x-npy",
      npy(Uint8Array.from([...digit(3), ...digit(3), ...digit(3)]), [3, 28, 28]),
    ],
    [
      "an .npy [H,W,3]",
      "application/x-npy",
      npy(
        Uint8Array.from({ length: 3 * 784 }, (_, index) => digit(3)[Math.floor(index / 3)]!),
        [28, 28, 3],
      ),
    ],
    ["a PNG with a palette", "image/png", png(digit(3), 28, 3)],
  ])("takes %s", async (_what, type, bytes) => {
    const { status, body } = await post(service, type, bytes);
    expect(body.error).toBeUndefined();
    expect(status).toBe(200);
    expect(Number(body.classes![0]!.label)).toBe(labels[3]);
  });

  const hugeHeader = (): Uint8Array => {
    const bytes = Buffer.from(png(digit(0)));
    bytes.writeUInt32BE(100_000, 16);
    bytes.writeUInt32BE(100_000, 20);
    return bytes;
  };
  it.each<[string, Asked, number, RegExp]>([
    ["another path", { path: "/" }, 404, /\/classify and \/health/],
    ["a path that is no URL", { path: "http://[" }, 404, /\/classify and \/health/],
    ["another method", { method: "GET" }, 405, /takes POST/],
    ["no media type", { body: png(digit(0)) }, 415, /image\/png, image\/jpeg/],
    ["a media type it cannot read", { headers: { "Content-Type": "image/gif" } }, 415, /image\/png/],
    ["no bytes", { headers: { "Content-Type": "image/png" } }, 400, /empty/],
    [
      "bytes that are no image",
      { headers: { "Content-Type": "image/png" }, body: Buffer.from("hello") },
      422,
      /no image\/png/,
    ],
    [
      "half a PNG",
      { headers: { "Content-Type": "image/png" }, body: png(digit(0)).subarray(0, 90) },
      422,
      /no image\/png/,
    ],
    [
      "bytes that are no JPEG",
      { headers: { "Content-Type": "image/jpeg" }, body: Buffer.from("hello") },
      422,
      /no image\/jpeg/,
    ],
    [
      "an .npy of the wrong shape",
      { headers: { "Content-Type": "application/x-npy" }, body: npy(digit(0), [7, 28]) },
      422,
      /7x28/,
    ],
    [
      "more bytes than it takes",
      { headers: { "Content-Type": "image/png" }, body: new Uint8Array(300_001) },
      413,
      /300000 bytes/,
    ],
    [
      "more bytes than it takes, of no length told before",
      {
        headers: { "Content-Type": "image/png", "Transfer-Encoding": "chunked" },
        body: new Uint8Array(300_001),
      },
      413,
      /300000 bytes/,
    ],
    [
      "an image that would unpack to gigabytes",
      { headers: { "Content-Type": "image/png" }, body: hugeHeader() },
      413,
      /megapixels/,
    ],
  ])("refuses %s, and goes on", async (_what, asked, status, error) => {
    const reply = await ask(service, asked);
    expect(reply.status).toBe(status);
    expect(reply.body.error).toMatch(error);
    expect((await post(service, "image/png", png(digit(0)))).status).toBe(200);
  });

  it("refuses before a client that asks first has sent anything", async () => {
    const headers = { "Content-Type": "image/gif", "Content-Length": 5, Expect: "100-continue" };
    const asking = request({ port: service.port, method: "POST", path: "/classify", headers, agent: false });
    asking.flushHeaders();
    const [response] = (await once(asking, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(415);
    asking.destroy();
  });

  it("keeps a bounded number of images, and tells others when to come again", async () => {
    const small = await start("--queue", "2", "--request-seconds", "1.5");
    const image = png(digit(0));
    const slow = await Promise.all([1, 2, 3].map(() => begin(small, "image/png", image.length)));
    await until(async () => (await openCount(small)) === 3);
    const refused = await post(small, "image/png", image);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(await slow[0]!.finish(image)).toMatch(/^HTTP\/1\.1 200 /);
    expect((await post(small, "image/png", image)).status).toBe(200);
    // The others never send their images: they lose their places.
    expect(await slow[1]!.closed).toMatch(/^HTTP\/1\.1 408 /);
    await until(async () => (await openCount(small)) === 0);
  });

  it("replaces a worker that an image keeps too long", async () => {
    const strict = await start("--job-seconds", "0.1", "--max-bytes", "50000000");
    const large = png(new Uint8Array(4800 * 4800), 4800);
    const given = await post(strict, "image/png", large);
    expect(given.status).toBe(503);
    expect(given.body.error).toMatch(/too long/);
    await until(async () => (await post(strict, "image/png", png(digit(0)))).status === 200);
    expect(strict.output()).toMatch(/a worker was replaced: it took too long/);
  });

  it("under load from all kinds of clients answers each image as the network does, and refuses the rest in time", () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, "bench/service-load.mjs"), "--seconds", "3", "--clients", "24", "--queue", "4"],
      { encoding: "utf8" },
    );
    const { wrongOnes, mostOpen, ...counts } = JSON.parse(stdout) as Record<string, number> & {
      wrongOnes: string[];
    };
    expect({ status, stderr, wrongOnes }).toEqual({ status: 0, stderr: "", wrongOnes: [] });
    expect(mostOpen).toBeLessThanOrEqual(5);
    for (const kind of [
      "answered",
      "told to come again",
      "refused",
      "paths refused",
      "slow clients sent away",
    ])
      expect(counts[kind], kind).toBeGreaterThan(0);
    expect(counts["connections broken off"]).toBeGreaterThan(0);
  });

  it("ends on SIGTERM when the images in flight are answered, and takes no new ones", async () => {
    const ending = await start();
    const image = png(digit(0));
    const slow = await begin(ending, "image/png", image.length);
    await until(async () => (await openCount(ending)) === 1);
    const exited = once(ending.process, "exit");
    ending.process.kill("SIGTERM");
    await until(async () => ending.output().includes("SIGTERM"));
    await expect(post(ending, "image/png", image)).rejects.toThrow(/ECONNREFUSED|ECONNRESET|socket hang up/);
    expect(await slow.finish(image)).toMatch(/^HTTP\/1\.1 200 [\s\S]*"classes"/);
    expect(await exited).toEqual([0, null]);
  });

  it("ends on SIGTERM even if a client never ends, and says so by its exit code", async () => {
    const ending = await start("--grace-seconds", "0.3");
    const slow = await begin(ending, "image/png", 100);
    await until(async () => (await openCount(ending)) === 1);
    const exited = once(ending.process, "exit");
    ending.process.kill("SIGTERM");
    expect(await exited).toEqual([1, null]);
    await slow.closed;
  });

  it.each([
    [["--model", "/nowhere.onnx"], /nowhere\.onnx/],
    [["--queue", "many"], /--queue takes a number/],
    [["--qeue", "1"], /--qeue/],
  ])("says what is wrong with %s", async (flags, message) => {
    await expect(startService(folder, flags)).rejects.toThrow(message);
  });
});
