// Bundles the scripts: `node build.mjs FOLDER`. FOLDER/page goes into the site, FOLDER/node is run
// by the build and the tests.
import { join } from "node:path";
import { build } from "esbuild";

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  throw new Error("expected the folder to write to");
}

const common = {
  bundle: true,
  format: "esm",
  legalComments: "none",
  logLevel: "error",
  target: "es2022",
};

// Each is loaded by itself: the page first, the worker by the page, the picture once there is a run.
const entries = {
  page: "page.ts",
  picture: "picture/index.ts",
  place: "picture/place.ts",
  style: "style.css",
  worker: "worker.ts",
};

await build({
  ...common,
  entryPoints: entries,
  minify: true,
  outdir: join(folder, "page"),
  platform: "browser",
});
await build({
  ...common,
  entryPoints: {
    addresses: "addresses.ts",
    command: "command.ts",
    picture: "picture/command.ts",
    precompile: "precompile.ts",
  },
  outdir: join(folder, "node"),
  outExtension: { ".js": ".mjs" },
  platform: "node",
});
