// Generates src/core/onnx/generated/ from the ONNX schema: a module that reads messages and one that writes them, so that what only
// reads does not carry the other; without dependencies, eval or Node built-ins. They also land in dist/, because tsc does not copy
// JavaScript.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import protobuf from "protobufjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = "src/core/onnx";
const schemaFile = join(root, folder, "schema/onnx.proto");
const require = createRequire(import.meta.url);

const pbjsOptions = [
  ["--target", "static-module", "--wrap", "esm", "--es6", "--null-defaults", "--no-comments"],
  ["--no-create", "--no-decode", "--no-verify", "--no-convert", "--no-delimited", "--no-typeurl"],
  ["--no-service"],
].flat();

/** What pbjs writes and nothing here uses: defaults, copying constructors, unknown fields, checks of what encode makes itself. */
const unusedCode = [
  /^\s*this\.\w+ = \[\];\n/gm,
  /^\s*\w+\.prototype\.\w+ = (null|\$util\.emptyArray);\n/gm,
  /^\s*let \$oneOfFields;\n/gm,
  /^\s*\$Object\.defineProperty\(\w+\.prototype, "\w+", \{\n\s*get: .*\n.*\n\s*\}\);\n/gm,
  /^\s*if \(properties\)\n.*\n.*\n.*this\[keys\[i\]\] = properties\[keys\[i\]\];\n/gm,
  /^\s*if \(message\.\$unknowns != null .*\n.*\n.*\n/gm,
  / && \$Object\.hasOwnProperty\.call\(message, "\w+"\)/g,
];

/** Both modules: where their code comes from, the part of protobufjs they use, and what they export. */
const modules = {
  "read-proto": {
    code: fieldTables,
    part: "Reader",
    declaration: "export function decodeModelProto(bytes: Uint8Array): ModelProto;",
  },
  "write-proto": {
    code: writerCode,
    part: "Writer",
    declaration: "export function encodeModelProto(message: ModelProto, sizeHint: number): Uint8Array;",
  },
};

/** The schema without its enums: their fields are plain numbers. */
async function schemaWithoutEnums() {
  const schema = await readFile(schemaFile, "utf8");
  return schema.replaceAll(/^ *enum \w+ \{[^}]*\}\n/gm, "");
}

async function writerCode() {
  const { main } = require("protobufjs-cli/pbjs");
  const scratch = await mkdtemp(join(tmpdir(), "onnx-proto-"));
  try {
    const [schema, out] = [join(scratch, "onnx.proto"), join(scratch, "static.js")];
    await writeFile(schema, await schemaWithoutEnums());
    await new Promise((done, fail) => {
      main([...pbjsOptions, "--out", out, schema], (error) => (error ? fail(error) : done()));
    });
    return withoutUnusedCode(await readFile(out, "utf8"));
  } finally {
    await rm(scratch, { recursive: true });
  }
}

function withoutUnusedCode(source) {
  return unusedCode.reduce((text, pattern) => {
    if (text.search(pattern) === -1) throw new Error(`pbjs no longer writes ${pattern}`);
    return text.replaceAll(pattern, "");
  }, source);
}

/** For each message its fields by number: name, type (of a message, its name), and 1 for a list. */
async function fieldTables() {
  const schema = protobuf.parse(await schemaWithoutEnums()).root;
  schema.resolveAll();
  const tables = messageTypes(schema.lookup("onnx")).map((type) => {
    const fields = type.fieldsArray.map((field) => {
      const row = [field.name, field.resolvedType ? interfaceName(field.resolvedType) : field.type];
      return [field.id, field.repeated ? [...row, 1] : row];
    });
    return [interfaceName(type), Object.fromEntries(fields)];
  });
  return `export const messages = ${JSON.stringify(Object.fromEntries(tables))};`;
}

const minimal = (part) => `
  export { default as ${part} } from "protobufjs/src/${part.toLowerCase()}.js";
  import util from "protobufjs/src/util/minimal.js";
  export const LongBits = util.LongBits;
  export { util };
`;
const minimalForStatic = (part) => `
  import { ${part}, util } from "protobufjs-minimal";
  export default { ${part}, util, roots: {} };
`;

/** protobufjs carries its own float conversion for engines of old. */
const floats = `
  const at = (bytes, position) => new DataView(bytes.buffer, bytes.byteOffset + position);
  exports.readFloatLE = (bytes, position) => at(bytes, position).getFloat32(0, true);
  exports.readDoubleLE = (bytes, position) => at(bytes, position).getFloat64(0, true);
  exports.writeFloatLE = (value, bytes, position) => at(bytes, position).setFloat32(0, value, true);
  exports.writeDoubleLE = (value, bytes, position) => at(bytes, position).setFloat64(0, value, true);
`;

/** What protobufjs defines by a name: from a line that begins the definition to the last one that is indented or closes it. */
const definition =
  /^(?!module)(?:function (?=\w)|(?:\w+\.\w+ =\s+)?\w+\.(?:prototype\.)?)(\w+)(?: = |\().*(?:\n(?=[ }\n]).*)*\n/gm;
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;
const library = ["reader", "writer", "util/minimal", "util/utf8", "util/longbits"].map((name) =>
  require.resolve(`protobufjs/src/${name}.js`),
);

/** Sources of protobufjs without what is defined by names that appear neither in `users` nor in what these name in turn. */
async function reachedLibrary(files, users) {
  const sources = new Map();
  for (const file of files) sources.set(file, (await readFile(file, "utf8")).replace(comments, ""));
  const definitions = [...sources.values()].flatMap((source) => [...source.matchAll(definition)]);
  const rest = [...sources.values()].map((source) => source.replace(definition, ""));
  // Members are reached as .name or "name", functions as name.
  const names = (text) => text.match(/\.\w+|"\w+"|\w+/g) ?? [];
  const named = new Set([...users, ...rest].flatMap(names));
  const isNamed = (text, name) =>
    text.startsWith("function") ? named.has(name) : named.has(`.${name}`) || named.has(`"${name}"`);
  const pending = new Set(definitions);
  for (let before = -1; before !== pending.size; ) {
    before = pending.size;
    for (const found of pending) {
      if (!isNamed(found[0], found[1])) continue;
      pending.delete(found);
      for (const name of names(found[0])) named.add(name);
    }
  }
  const isReached = (text, name) => (isNamed(text, name) ? text : "");
  return new Map([...sources].map(([file, source]) => [file, source.replace(definition, isReached)]));
}

/** Parts of protobufjs that encode and decode never reach, and its optional Long. */
const unused = /^(long|\.\/(aspromise|base64|eventemitter))$|util\/base64$/;

function modulesFrom(sources, library) {
  return {
    name: "generated-modules",
    setup(bundler) {
      const names = new RegExp(`^(${Object.keys(sources).join("|").replaceAll(".", "\\.")})$`);
      bundler.onResolve({ filter: names }, ({ path }) => ({ path, namespace: "generated" }));
      bundler.onResolve({ filter: unused }, ({ path }) => ({ path, namespace: "unused" }));
      bundler.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "module.exports = {};" }));
      bundler.onLoad({ filter: /.*/, namespace: "generated" }, ({ path }) => ({
        contents: sources[path],
        resolveDir: root,
      }));
      bundler.onLoad({ filter: /protobufjs/ }, ({ path }) =>
        library.has(path) ? { contents: library.get(path) } : undefined,
      );
    },
  };
}

async function bundle(name, module) {
  const entry = join(root, folder, `schema/${name}.js`);
  const code = await module.code();
  const part = require.resolve(`protobufjs/src/${module.part.toLowerCase()}.js`);
  const files = library.filter((file) => file === part || /util/.test(file));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    legalComments: "none",
    banner: {
      js: "// Generated by scripts/generate-onnx-proto.mjs. Contains protobuf.js: see LICENSE.protobufjs.txt.",
    },
    plugins: [
      modulesFrom(
        {
          "onnx-static": code,
          "protobufjs-minimal": minimal(module.part),
          "protobufjs/minimal.js": minimalForStatic(module.part),
          "./float": floats,
        },
        await reachedLibrary(files, [code, await readFile(entry, "utf8")]),
      ),
    ],
  });
  const { text } = outputFiles[0];
  if (/\beval\b|\bFunction\s*\(|\brequire\s*\(\s*"/.test(text))
    throw new Error("the bundle evaluates or requires code");
  return text;
}

const scalarTypes = {
  string: "string",
  bytes: "Uint8Array",
  float: "number",
  double: "number",
  int32: "number",
  int64: "bigint",
  uint64: "bigint",
};

const interfaceName = (type) => type.fullName.replace(/^\.onnx\./, "").replaceAll(".", "");

function fieldLine(field) {
  const base = field.resolvedType ? interfaceName(field.resolvedType) : scalarTypes[field.type];
  if (base === undefined) throw new Error(`no TypeScript type for ${field.fullName}: ${field.type}`);
  return field.repeated ? `  ${field.name}?: readonly ${base}[];` : `  ${field.name}?: ${base} | null;`;
}

function messageTypes(namespace) {
  const types = namespace.nestedArray.filter((nested) => nested instanceof protobuf.Type);
  return types.flatMap((type) => [type, ...messageTypes(type)]);
}

/** Interfaces of all messages; an absent field is null or undefined, an absent list empty or undefined. */
async function declarations() {
  const schema = await protobuf.load(schemaFile);
  schema.resolveAll();
  const interfaces = messageTypes(schema.lookup("onnx")).map((type) =>
    [`export interface ${interfaceName(type)} {`, ...type.fieldsArray.map(fieldLine), "}"].join("\n"),
  );
  return ["// Generated by scripts/generate-onnx-proto.mjs.", ...interfaces, ""].join("\n");
}

const files = {
  "messages.d.ts": await declarations(),
  "LICENSE.protobufjs.txt": await readFile(require.resolve("protobufjs/LICENSE"), "utf8"),
};
for (const [name, module] of Object.entries(modules)) {
  files[`${name}.js`] = await bundle(name, module);
  files[`${name}.d.ts`] = `import type { ModelProto } from "./messages.js";\n${module.declaration}\n`;
  console.log(`${name}.js: ${gzipSync(files[`${name}.js`]).length} bytes gzipped`);
}
for (const target of [folder, join("dist", folder)]) {
  const generated = join(root, target, "generated");
  await rm(generated, { recursive: true, force: true });
  await mkdir(generated, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(generated, name), text);
}
