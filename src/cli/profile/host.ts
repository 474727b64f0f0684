// A profile on another machine over ssh. Everything goes through one connection into the memory of one process there: no file is
// written, and when the connection ends the process does too, so nothing can be left behind.

import { type ChildProcess, spawn } from "node:child_process";
import type { ProfileReport } from "../../../runtime/profile/index.ts";
import { AdderNetError } from "../../core/errors.ts";
import { remoteCode } from "./bundle.ts";
import { noNodeMarker, oldNodeMarker, reportMarker, startMarker } from "./markers.ts";
import type { ProfileTask, Tell } from "./task.ts";

export interface HostOptions {
  /** user@board, a name of the ssh configuration, or ssh://user@board:port. */
  readonly host: string;
  /** KEY=VALUE as in the ssh configuration. */
  readonly sshOptions: readonly string[];
  /** Where Node is there; looked for unless given. */
  readonly node: string | undefined;
}

const lengthDigits = 16;

/** Reads two lengths, code and model from stdin, and runs the code. The end of stdin is the end of the connection, and of the process. */
const loader = `
const versions=process.versions.node;
if(+versions.split(".")[0]<20){console.error("${oldNodeMarker} "+versions);process.exit(94)}
let parts=[],have=0,need=0;
const input=process.stdin,digits=${lengthDigits};
const all=()=>{const joined=Buffer.concat(parts);parts=[joined];return joined};
input.on("data",(part)=>{
if(need<0)return;
parts.push(part);have+=part.length;
if(need===0&&have>=2*digits){const head=all();need=2*digits+Number(head.subarray(0,digits))+Number(head.subarray(digits,2*digits))}
if(need===0||have<need)return;
const bytes=all(),end=2*digits+Number(bytes.subarray(0,digits));
need=-1;parts=[];
globalThis.addernetModel=new Uint8Array(bytes.subarray(end));
console.error("${startMarker}");
import("data:text/javascript;base64,"+bytes.subarray(2*digits,end).toString("base64"));
});
input.on("end",()=>process.exit(1));
`;

/** Finds Node where shells without a login do not look, and becomes it. No single quotes may stand in it. */
function remoteCommand(node: string | undefined): string {
  const encoded = Buffer.from(loader).toString("base64");
  const places = [
    '"$HOME"/.nvm/versions/node/*/bin/node',
    '"$HOME"/.volta/bin/node',
    '"$HOME"/.local/bin/node',
    "/usr/local/bin/node",
    "/opt/*/bin/node",
  ];
  const find =
    node === undefined
      ? `n=$(command -v node || command -v nodejs); for c in ${places.join(" ")}; do [ -z "$n" ] && [ -x "$c" ] && n=$c; done;`
      : `n="${node}"; command -v "$n" >/dev/null || n="";`;
  const missing = `[ -n "$n" ] || { echo ${noNodeMarker} >&2; exit 93; };`;
  const run = `exec "$n" --input-type=module -e "await import(\\"data:text/javascript;base64,${encoded}\\")"`;
  return `exec sh -c '${find} ${missing} ${run}'`;
}

const settings = ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"];

/** The first of two values of an option counts, so the caller's come first. */
function sshArguments({ host, sshOptions, node }: HostOptions): string[] {
  const options = [...sshOptions, ...settings].flatMap((option) => ["-o", option]);
  return ["-T", ...options, "--", host, remoteCommand(node)];
}

interface Said {
  stdout: string;
  stderr: string;
}

/** What ssh and the other side say, told apart: by the words ssh has used for decades. */
const refusals: readonly (readonly [RegExp, string, string])[] = [
  [
    /Permission denied|Too many authentication failures|no such identity|Load key/i,
    "the other machine refuses the key",
    "check with: ssh -o BatchMode=yes HOST true; name a key with --ssh-option IdentityFile=…",
  ],
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i,
    "the key of the other machine is not known, or has changed",
    "connect once by hand: ssh HOST",
  ],
  [
    /Could not resolve hostname|Name or service not known/i,
    "there is no machine of this name",
    "check the name, or use an address",
  ],
  [
    /Connection refused|No route to host|Network is unreachable|timed out|Operation timed out/i,
    "the other machine cannot be reached",
    "check that it is on and that its ssh server runs",
  ],
];

function failure(host: string, { stderr }: Said, code: number | null): AdderNetError {
  const refuse = (problem: string, fix: string, found?: string): AdderNetError =>
    new AdderNetError("ADN_HOST", problem, {
      where: host,
      fix: fix.replaceAll("HOST", host),
      ...(found && { found }),
    });
  const lines = stderr.trim().split("\n");
  const last = lines.findLast((line) => line.trim() !== "" && !line.startsWith("ADDERNET-"));
  if (stderr.includes(noNodeMarker)) {
    return refuse(
      "there is no Node on the other machine",
      "install Node 20 or newer there, or say where it is: --remote-node /path/to/node",
    );
  }
  const old = new RegExp(`${oldNodeMarker} (\\S+)`).exec(stderr);
  if (old !== null)
    return refuse("Node is too old on the other machine", "install Node 20 or newer there", `Node ${old[1]}`);
  const told = /^error (ADN_\w+: .*|: .*)$/m.exec(stderr);
  if (told !== null)
    return refuse(
      "the profile failed on the other machine",
      "run it with --bundle there to see more",
      told[1],
    );
  if (!stderr.includes(startMarker)) {
    const known = refusals.find(([pattern]) => pattern.test(stderr));
    if (known !== undefined) return refuse(known[1], known[2], last);
  }
  if (code === 255 || code === null) {
    return refuse(
      "the connection was lost before the report came",
      "run it again; nothing was left there",
      last,
    );
  }
  return refuse(
    "the other machine sent no report",
    "run it with --bundle there to see more",
    last ?? `exit code ${code}`,
  );
}

function reportIn({ stdout }: Said): ProfileReport | undefined {
  const at = stdout.lastIndexOf(`${reportMarker}\n`);
  if (at < 0 || !stdout.endsWith("\n")) return undefined;
  return JSON.parse(stdout.slice(at + reportMarker.length + 1)) as ProfileReport;
}

/** Lines like "measuring 3/10" are progress; others are kept for a failure. */
function listen(child: ChildProcess, said: Said, tell: Tell): void {
  child.stdout!.setEncoding("utf8").on("data", (part: string) => {
    said.stdout += part;
    if (reportIn(said) !== undefined) child.stdin!.end();
  });
  child.stderr!.setEncoding("utf8").on("data", (part: string) => {
    said.stderr = (said.stderr + part).slice(-20_000);
    const progress = [...part.matchAll(/^([a-z][a-z ]*?)(?: ([\d.]+)\/([\d.]+))?$/gm)].at(-1);
    if (progress) tell(`there: ${progress[1]}`, Number(progress[2] ?? 0), Number(progress[3] ?? 1));
  });
}

/** Errors: ADN_USAGE for what is no host, ADN_HOST for everything that goes wrong between here and there. */
export async function profileOnHost(
  options: HostOptions,
  task: ProfileTask,
  model: Uint8Array,
  tell: Tell,
): Promise<ProfileReport> {
  const { host, node } = options;
  if (host.startsWith("-") || /[\s'"\\]/.test(host)) {
    throw new AdderNetError("ADN_USAGE", "this is no machine's name", {
      where: "--host",
      found: host,
      expected: "user@board",
    });
  }
  if (node !== undefined && !/^[\w./~+@-]+$/.test(node)) {
    throw new AdderNetError("ADN_USAGE", "this is no path of Node", { where: "--remote-node", found: node });
  }
  const code = Buffer.from(await remoteCode(task));
  tell(`connecting to ${host}`, 0, 1);
  const child = spawn("ssh", sshArguments(options), { stdio: ["pipe", "pipe", "pipe"] });
  const said: Said = { stdout: "", stderr: "" };
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("close", (exit) => resolve(exit));
    child.on("error", (cause) =>
      reject(
        new AdderNetError("ADN_HOST", "ssh cannot be started", {
          fix: "install an ssh client (openssh-client)",
          cause,
        }),
      ),
    );
  });
  child.stdin.on("error", () => {});
  listen(child, said, tell);
  const lengths = [code.length, model.length].map((length) => String(length).padStart(lengthDigits));
  child.stdin.write(lengths.join(""));
  child.stdin.write(code);
  child.stdin.write(model);
  const exit = await ended;
  const report = reportIn(said);
  if (report === undefined) throw failure(host, said, exit);
  return report;
}
