// The `tau` command as two files in dist/bundle, one of which answers help and mistakes, and the writer thread, which every process that
// writes waits for at its start, as a third: loading the 600 modules of the command and its libraries one by one takes three times as long.
// Beside each lies what V8 made of it in a run, so that the next one need not compile it. A module that is only sometimes needed is in the
// file, and runs when it is imported.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join, relative } from "node:path"
import { pathToFileURL } from "node:url"

/** Loaded from the package's own dependencies: one is native, of the other the proxy takes single files. */
const external = ["better-sqlite3", "undici"]

/** A module finds its neighbours where tsc put them, wherever its code went. */
const ownPlaces = (root) => ({
  name: "own places",
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8")
      if (!text.includes("import.meta.url")) return undefined
      const place = relative(join(root, "src"), path).replaceAll("\\", "/").replace(/\.ts$/, ".js")
      const url = `new URL(${JSON.stringify(`../${place}`)}, fileUrl).href`
      return { contents: text.replaceAll("import.meta.url", url), loader: "ts" }
    })
  }
})

/** How a module is bundled; `src/process/CompiledCode.ts` calls what comes of it. */
export const bundleOptions = (root, module) => ({
  absWorkingDir: root,
  entryPoints: [`src/${module}.ts`],
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20",
  external,
  plugins: [ownPlaces(root)],
  banner: { js: "(function (require, module, fileUrl) {" },
  footer: { js: "})" },
  logLevel: "warning",
  metafile: true
})

/** The file that answers help and mistakes by itself goes on in this one. */
const goingOnIn = (file, root) => ({
  name: "going on",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^\.\.?\// }, ({ kind, path }) => {
      if (kind !== "dynamic-import") return undefined
      return path === "./Start.js" ? { path, namespace: "start" } : { path, external: true }
    })
    onLoad({ filter: /^/, namespace: "start" }, () => ({
      contents: `import { runCompiled } from "./src/process/CompiledCode.ts"
export const { start } = runCompiled(new URL(${JSON.stringify(`./${file}`)}, fileUrl)).exports`,
      resolveDir: root
    }))
  }
})

export const bundle = async (root) => {
  const folder = join(root, "dist/bundle")
  const metafiles = []
  /** Answers the name of its file, which has a hash of its text. */
  const one = async (module, plugins = []) => {
    const options = bundleOptions(root, module)
    const { metafile } = await build({
      ...options,
      plugins: [...plugins, ...options.plugins],
      outdir: folder,
      entryNames: "[name]-[hash]",
      outExtension: { ".js": ".cjs" }
    })
    metafiles.push(metafile)
    return basename(Object.keys(metafile.outputs)[0])
  }
  const work = await one("cli/Start")
  const main = await one("cli/main", [goingOnIn(work, root)])
  const worker = await one("store/writer/worker")
  await starter(root, "dist/cli/main.js", `../bundle/${main}`, "#!/usr/bin/env node")
  await starter(root, "dist/store/writer/worker.js", `../../bundle/${worker}`, "")
  const files = [main, work, worker]
  // Compiled by tsc just now.
  const { codeFileOf } = await import("../../dist/process/CompiledCode.js")
  const code = files.map((name) => codeFileOf(join(folder, name)))
  const kept = new Set([...files, ...code.map((path) => basename(path))])
  for (const name of readdirSync(folder)) if (!kept.has(name)) rmSync(join(folder, name))
  writeFileSync(join(folder, "LICENSES.txt"), licences(root, metafiles.flatMap(usedIn)))
  if (!code.every((path) => existsSync(path)) && !keepCode(root)) {
    for (const path of code) rmSync(path, { force: true })
  }
}

/** The file that is started, or loaded as a thread, in the place where tsc put its module. */
const starter = (root, outfile, file, banner) =>
  build({
    absWorkingDir: root,
    stdin: {
      contents: `import { runCompiled } from "./src/process/CompiledCode.ts"
runCompiled(new URL(${JSON.stringify(file)}, import.meta.url))`,
      resolveDir: root
    },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    outfile,
    banner: { js: banner },
    logLevel: "warning"
  })

/** Runs two rollouts, and keeps what V8 compiled for them. Answers whether that went well: else every start compiles. */
const keepCode = (root) => {
  const folder = mkdtempSync(join(tmpdir(), "tau-build-"))
  const { status, stderr } = spawnSync(process.execPath, [
    "--import",
    pathToFileURL(join(root, "scripts/dev/code.mjs")).href,
    join(root, "dist/cli/main.js"),
    "--model=sim/arithmetic",
    `--prompt-optimization-config=${join(root, "examples/arithmetic.json")}`,
    `--prompt-optimization-store-sqlite=${join(folder, "store.sqlite")}`
  ], { cwd: folder, encoding: "utf8", timeout: 60_000 })
  if (status !== 0) console.error(`the compiled code of dist/bundle could not be kept: ${stderr}`)
  rmSync(folder, { recursive: true, force: true })
  return status === 0
}

const usedIn = ({ outputs }) =>
  Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => bytesInOutput > 0 ? [path] : [])
  )

/** The notices of the libraries whose code is in the bundle. */
const licences = (root, paths) => {
  const folders = new Set(paths.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []))
  return [...folders].toSorted().map((folder) => {
    const { license, name, version } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"))
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry))
    const text = file === undefined ? license : readFileSync(join(root, folder, file), "utf8").trim()
    return `${name} ${version}\n\n${text}\n`
  }).join("\n---\n\n")
}
