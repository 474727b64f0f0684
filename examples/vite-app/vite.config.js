import { defineConfig } from "vite";

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  base: "./",
  // Models are assets: imported with ?url, fetched at run time.
  assetsInclude: ["**/*.onnx", "**/*.npy"],
  build: { target: "es2022", assetsInlineLimit: 0 },
  worker: { format: "es" },
  server: { headers: isolation, fs: { allow: ["../.."] } },
  preview: { headers: isolation },
});
