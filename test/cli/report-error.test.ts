// How failures are told: known ones in a line, ours with a stack, in colour only where it is wanted.

import { describe, expect, it } from "vitest";
import type { Streams } from "../../src/cli/context.ts";
import { reportError } from "../../src/cli/report-error.ts";
import { AdderNetError, type ErrorCode, exitCodes } from "../../src/core/errors.ts";

function told(error: unknown, options: { json?: boolean; isTTY?: boolean; env?: Streams["env"] } = {}) {
  let text = "";
  const stderr = { write: (part: string) => (text += part), isTTY: options.isTTY };
  const streams = { stdout: { write: () => {} }, stderr, env: options.env ?? {} };
  const code = reportError(error, streams, { json: options.json ?? false });
  return { code, text };
}

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("known failures", () => {
  it.each(Object.entries(exitCodes) as [ErrorCode, number][])("%s exits with %i", (code, exitCode) => {
    const { code: found, text } = told(new AdderNetError(code, "it broke", { where: "x", fix: "mend it" }));
    expect(found).toBe(exitCode);
    expect(text).toBe(`error ${code}: x: it broke; mend it\n`);
  });

  it("stay on one line, without control characters of a file in the terminal", () => {
    const { text } = told(new AdderNetError("ADN_FILE", "bad\nname\u001b[31m"));
    expect(text).toBe("error ADN_FILE: bad name [31m\n");
  });

  it("may be a list of indented lines", () => {
    const { text } = told(new AdderNetError("ADN_FILE", "two things:\r\n  one\n  two\r\n\u0007"));
    expect(text).toBe("error ADN_FILE: two things: \n  one\n  two\n");
  });

  it("are coloured on a terminal, unless NO_COLOR is set", () => {
    const error = new AdderNetError("ADN_FILE", "no");
    expect(told(error, { isTTY: true }).text).toContain("\u001b[1;31merror\u001b[0m");
    expect(told(error, { isTTY: true, env: { NO_COLOR: "1" } }).text).toBe("error ADN_FILE: no\n");
  });

  it("of the file system name the path", () => {
    const error = Object.assign(new Error("EACCES: permission denied, open '/x'"), {
      code: "EACCES",
      path: "/x",
    });
    expect(told(error)).toEqual({ code: 2, text: "error ADN_FILE: /x: permission denied\n" });
  });

  it("lengths beyond all memory are the file's fault", () => {
    for (const length of [2 ** 53 - 1, 2 ** 40]) {
      const { code, text } = told(thrown(() => new Float64Array(length)));
      expect([code, text]).toEqual([
        2,
        expect.stringMatching(/^error ADN_LIMIT: .*more memory than there is.*\n$/),
      ]);
    }
  });
});

describe("faults of our own", () => {
  it("come with the stack and a request", () => {
    const { code, text } = told(new TypeError("x is undefined"));
    expect(code).toBe(1);
    expect(text).toMatch(/please report it[\s\S]*TypeError: x is undefined\n\s+at /);
  });

  it("are JSON too when JSON was asked for", () => {
    const { text } = told(new TypeError("x is undefined"), { json: true });
    expect(JSON.parse(text).error).toMatchObject({
      code: "ADN_INTERNAL",
      message: "x is undefined",
      exitCode: 1,
    });
  });
});
