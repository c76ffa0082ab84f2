// Compiles src to dist, incrementally: a build with nothing to do takes about a second. Outputs whose source is gone are
// removed first, so that dist always equals what a fresh clone would build.
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, rmSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "./bundle.mjs"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const dist = join(root, "dist")

if (existsSync(dist)) {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath ?? entry.path, entry.name)
    const place = relative(dist, file)
    if (place.startsWith("bundle")) continue
    const source = join(root, "src", place.replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts"))
    if (entry.isFile() && /\.(d\.ts|js)(\.map)?$/.test(entry.name) && !existsSync(source)) rmSync(file)
  }
  if (!existsSync(join(dist, "cli/main.js"))) rmSync(join(dist, ".tsbuildinfo"), { force: true })
}

const tsc = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit"
})
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
await bundle(root)
