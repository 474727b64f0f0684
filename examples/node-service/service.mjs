// The HTTP service: POST /classify takes an image, GET /health tells how it is. What cannot be taken now is refused before it is read.

import { createServer } from "node:http";
import { readers } from "./decode.mjs";
import { startPool } from "./pool.mjs";

class Refusal extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    Object.assign(this, { status, headers });
  }
}

function send(response, status, content, headers = {}) {
  if (response.headersSent || response.destroyed) return;
  const body = `${JSON.stringify(content)}\n`;
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    ...headers,
  });
  response.end(body);
}

/** The media type, without its parameters. Throws 415 for others than the readers'. */
function typeOf({ headers }) {
  const type = (headers["content-type"] ?? "").split(";")[0].trim().toLowerCase();
  if (type in readers) return type;
  throw new Refusal(415, `Content-Type is one of ${Object.keys(readers).join(", ")}`, {
    Accept: Object.keys(readers).join(", "),
  });
}

/** The whole body. Throws 413 as soon as it is known to be too large; the server answers 408 for one that stops coming. */
async function readBody(request, mostBytes) {
  const tooLarge = new Refusal(413, `images of at most ${mostBytes} bytes are taken`);
  if (Number(request.headers["content-length"]) > mostBytes) throw tooLarge;
  const parts = [];
  let bytes = 0;
  // Without destroying the request when it is left early: the refusal still has to be sent.
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += part.length;
    if (bytes > mostBytes) throw tooLarge;
    parts.push(part);
  }
  if (bytes === 0) throw new Refusal(400, "the body is empty: post the bytes of an image");
  return Buffer.concat(parts, bytes);
}

const usual = {
  workers: 1,
  mostWaiting: 32,
  mostBytes: 10e6,
  requestMilliseconds: 15_000,
  jobMilliseconds: 10_000,
  graceMilliseconds: 10_000,
};

/**
 * Starts workers on `network` ({ model, labels, mean, deviation }) and answers `listen(port, host)`, which resolves with the address,
 * and `stop()`, which refuses new requests, ends those in flight, and resolves with whether all were answered in time.
 */
export function createService(network, options = {}) {
  const settings = { ...usual, ...options };
  const { workers, mostWaiting, mostBytes } = settings;
  const pool = startPool({
    file: new URL("./classifier.mjs", import.meta.url),
    workerData: network,
    workers,
    jobMilliseconds: settings.jobMilliseconds,
    onLost: (reason) => isStopping || settings.onLost?.(reason),
  });
  const counts = { answered: 0, refused: 0 };
  let open = 0;
  let isStopping = false;

  /** Takes a place among those that are read, wait or run; bodies in memory are thereby at most this many. */
  function admit() {
    if (isStopping) throw new Refusal(503, "the service stops", { "Retry-After": "5" });
    if (open < workers + mostWaiting) return open++;
    throw new Refusal(503, "too many images are waiting", { "Retry-After": "1" });
  }

  async function classify(request, response) {
    const type = typeOf(request);
    admit();
    try {
      if (request.headers.expect) response.writeContinue();
      const bytes = await readBody(request, mostBytes);
      send(response, 200, await pool.run({ bytes, type }, () => response.destroyed));
      counts.answered++;
    } finally {
      open--;
    }
  }

  async function health(_request, response) {
    const status = isStopping ? "stopping" : "ok";
    send(response, isStopping ? 503 : 200, { status, open, mostOpen: workers + mostWaiting, ...counts });
  }

  const routes = { "/classify": { POST: classify }, "/health": { GET: health, HEAD: health } };

  async function answer(request, response) {
    const [pathname] = request.url.split("?");
    const route = routes[pathname];
    if (route === undefined) throw new Refusal(404, `there are ${Object.keys(routes).join(" and ")}`);
    const act = route[request.method];
    if (act === undefined) {
      const allowed = Object.keys(route).join(", ");
      throw new Refusal(405, `${pathname} takes ${allowed}`, { Allow: allowed });
    }
    await act(request, response);
  }

  function handle(request, response) {
    answer(request, response).catch((error) => {
      const { status = 500, message, headers } = error;
      if (status === 503) counts.refused++;
      // A body that was not read to its end leaves no place for a next request on this connection.
      const isUnread = !request.complete;
      send(response, status, { error: message }, { ...headers, ...(isUnread && { Connection: "close" }) });
      if (isUnread) request.unpipe().resume();
    });
  }

  const server = createServer({
    requestTimeout: settings.requestMilliseconds,
    headersTimeout: Math.min(settings.requestMilliseconds, 10_000),
    connectionsCheckingInterval: Math.min(1000, settings.requestMilliseconds),
    keepAliveTimeout: 5000,
    maxHeaderSize: 8192,
  });
  server.on("request", handle);
  server.on("checkContinue", handle);
  server.maxConnections = 16 * (workers + mostWaiting);

  async function listen(port, host) {
    const about = await pool.ready;
    await new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    return { ...about, port: server.address().port };
  }

  async function stop() {
    isStopping = true;
    const closed = new Promise((resolve) => server.close(() => resolve(true)));
    server.closeIdleConnections();
    const late = new Promise((resolve) =>
      setTimeout(() => resolve(false), settings.graceMilliseconds).unref(),
    );
    const isClean = await Promise.race([closed, late]);
    server.closeAllConnections();
    await pool.close();
    return isClean;
  }

  return { listen, stop };
}
