// profile --host against an ssh server of this machine's own on its loopback. Needs sshd and ssh; skipped without them.

import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";

const sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((path) => existsSync(path));
const hasSsh = (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, "ssh")));
const model = fileURLToPath(new URL("../fixtures/lenet5bn/lenet5bn.inlined.onnx", import.meta.url));
const folder = testFolder();
const user = userInfo().username;
const short = ["--runs", "3", "--warmup-runs", "1", "--quiet"];

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

function key(name: string): string {
  const path = join(folder.path, name);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
  return path;
}

interface Board {
  readonly port: number;
  readonly stop: () => void;
}

/** An ssh server whose sessions find these programs only. */
async function startBoard(
  name: string,
  authorised: string,
  programs: Readonly<Record<string, string>>,
): Promise<Board> {
  const home = join(folder.path, name);
  const bin = join(home, "bin");
  for (const each of [bin, join(home, "tmp")]) mkdirSync(each, { recursive: true });
  for (const [program, target] of Object.entries(programs)) symlinkSync(target, join(bin, program));
  writeFileSync(join(home, "authorized_keys"), readFileSync(`${authorised}.pub`));
  const port = await freePort();
  const config = join(home, "sshd_config");
  writeFileSync(
    config,
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${key(`${name}-host-key`)}`,
      `PidFile ${join(home, "pid")}`,
      `AuthorizedKeysFile ${join(home, "authorized_keys")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin prohibit-password",
      `SetEnv PATH=${bin} HOME=${home} TMPDIR=${join(home, "tmp")}`,
      "",
    ].join("\n"),
  );
  if (user === "root") mkdirSync("/run/sshd", { recursive: true });
  const server = spawn(sshd!, ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    let said = "";
    server.stderr.on("data", (part: Buffer) => {
      said += part.toString();
      if (/listening on/i.test(said)) resolve();
    });
    server.on("close", () => reject(new Error(`sshd ended: ${said}`)));
  });
  return { port, stop: () => server.kill() };
}

const programOf = (name: string): string =>
  execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();

/** What a board's process would leave: files in its home and in its temporary folder. */
function leftOvers(name: string): string[] {
  const home = join(folder.path, name);
  const given = ["bin", "tmp", "sshd_config", "authorized_keys", "pid"];
  return [...readdirSync(home).filter((file) => !given.includes(file)), ...readdirSync(join(home, "tmp"))];
}

function runningThere(): string[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return line.startsWith(folder.path) && line.includes("data:text/javascript") ? [pid] : [];
      } catch {
        return [];
      }
    });
}

async function until(condition: () => boolean, seconds: number): Promise<void> {
  for (let waited = 0; waited < seconds * 20 && !condition(); waited++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.skipIf(!sshd || !hasSsh || process.platform !== "linux")("profile --host", () => {
  let board: Board;
  let bare: Board;
  let old: Board;
  let good: string;

  beforeAll(async () => {
    good = key("good");
    const sh = { sh: programOf("sh") };
    board = await startBoard("board", good, { ...sh, node: process.execPath });
    bare = await startBoard("bare", good, sh);
    old = await startBoard("old", good, {
      ...sh,
      node: folder.write("node18", "#!/bin/sh\necho ADDERNET-OLD-NODE 18.19.0 >&2\nexit 94\n"),
    });
    chmodSync(join(folder.path, "node18"), 0o755);
  }, 60_000);

  afterAll(() => {
    for (const one of [board, bare, old]) one?.stop();
  });

  const toBoard = ({ port }: Board, identity = good, more: readonly string[] = []): string[] => [
    "profile",
    model,
    "--host",
    `${user}@127.0.0.1`,
    ...[
      `Port=${port}`,
      `IdentityFile=${identity}`,
      "IdentitiesOnly=yes",
      "IdentityAgent=none",
      "StrictHostKeyChecking=no",
      `UserKnownHostsFile=${join(folder.path, "known")}`,
    ].flatMap((option) => ["--ssh-option", option]),
    ...short,
    ...more,
  ];

  it("brings the report back and leaves nothing there", async () => {
    const { code, stdout, stderr } = await addernet([
      ...toBoard(board),
      "--compare",
      "--seconds",
      "0.2",
      "--json",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    const report = JSON.parse(stdout);
    expect(schemaProblems(report, readSchema("profile"))).toEqual([]);
    expect(report.latencyMs.n).toBe(3);
    expect(report.layers.map(({ name }: { name: string }) => name)).toContain("conv1");
    expect(report.comparison.candidates.map(({ name }: { name: string }) => name)).toEqual([
      "AdderNet, addernet",
      "CNN, addernet",
    ]);
    expect(leftOvers("board")).toEqual([]);
    await until(() => runningThere().length === 0, 5);
    expect(runningThere()).toEqual([]);
  });

  it("tells a wrong key", async () => {
    const { code, stderr } = await addernet(toBoard(board, key("wrong")));
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADN_HOST: .*refuses the key/);
    expect(leftOvers("board")).toEqual([]);
  });

  it("tells a board without Node", async () => {
    const { code, stderr } = await addernet(toBoard(bare));
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADN_HOST: .*no Node on the other machine.*--remote-node/);
    expect(leftOvers("bare")).toEqual([]);
  });

  it("finds Node where it is told to look", async () => {
    const { code } = await addernet(toBoard(bare, good, ["--remote-node", process.execPath]));
    expect(code).toBe(0);
  });

  it("tells a Node that is too old", async () => {
    const { code, stderr } = await addernet(toBoard(old));
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADN_HOST: .*too old.*18\.19\.0/);
  });

  it("tells a machine that does not answer", async () => {
    const { code, stderr } = await addernet(toBoard({ port: await freePort(), stop: () => {} }));
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADN_HOST: .*cannot be reached/);
  });

  it("tells a lost connection, and the process there ends", async () => {
    const running = addernet([
      ...toBoard(board).filter((argument) => !short.includes(argument)),
      "--quiet",
      "--precision",
      "0",
      "--seconds",
      "60",
    ]);
    await until(() => runningThere().length > 0, 20);
    const [there] = runningThere();
    expect(there).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    // The server's process for this connection is an ancestor of the one that measures.
    const parent = (pid: string): string =>
      /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
    const nameOf = (pid: string): string => readFileSync(`/proc/${pid}/comm`, "utf8").trim();
    let connection = parent(there!);
    while (!nameOf(connection).startsWith("sshd")) connection = parent(connection);
    process.kill(Number(connection), "SIGKILL");
    const { code, stderr } = await running;
    expect(code).toBe(1);
    expect(stderr).toMatch(/ADN_HOST: .*connection was lost/);
    await until(() => runningThere().length === 0, 20);
    expect(runningThere()).toEqual([]);
    expect(leftOvers("board")).toEqual([]);
  }, 90_000);

  it.each(["-oProxyCommand=x", "a b", "x'y"])("refuses %s as a host", async (host) => {
    const { code, stderr } = await addernet(["profile", model, `--host=${host}`]);
    expect([code, /ADN_USAGE/.test(stderr)]).toEqual([2, true]);
  });
});
