// Bundles src/ into ../bundle.js. Its first line names the sources, so that a test can tell an old
// bundle without Node.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

function digest() {
  const files = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .map((file) => relative(here, file).split(sep).join("/"));
  const hash = createHash("sha256");
  for (const file of [...files, "build.mjs", "package-lock.json"].sort()) {
    hash.update(file + "\0").update(readFileSync(join(here, file))).update("\0");
  }
  return hash.digest("hex");
}

await build({
  entryPoints: [join(here, "src/index.js")],
  outfile: join(here, "../bundle.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  loader: { ".css": "text" },
  legalComments: "eof",
  banner: { js: `/* splatworks widgets, from sources ${digest()} */` },
  logLevel: "info",
});
