import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Packs each file once at build time, so that the bridge never has to. */
function packed(): Plugin {
  let out = "dist";
  return {
    name: "packed",
    apply: "build",
    configResolved: (config) => {
      out = join(config.root, config.build.outDir);
    },
    closeBundle: () => {
      for (const name of readdirSync(out, { recursive: true, encoding: "utf8" })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue;
        const plain = readFileSync(join(out, name));
        if (plain.length < 1024) continue;
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
        writeFileSync(join(out, `${name}.br`), brotliCompressSync(plain, quality));
        writeFileSync(join(out, `${name}.gz`), gzipSync(plain, { level: 9 }));
      }
    },
  };
}

const bridge = process.env["PRIMRACK_PAGE"] ?? "http://127.0.0.1:7407";

export default defineConfig({
  plugins: [packed()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900,
  },
  // While working on the page: the stream of a bridge that runs.
  server: { proxy: { "/page": bridge, "/qr.svg": bridge } },
  preview: { proxy: { "/page": bridge, "/qr.svg": bridge } },
});
