// The `tau` command as a few files in dist/bundle: one for what every call needs, one for each command's own. Loading the 600 modules
// of the command and its libraries one by one takes three times as long. The writer thread, which every process that writes waits for
// at its start, becomes one file where tsc put it, for whoever uses the library as well.
import { build } from "esbuild"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join, relative } from "node:path"

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
      const url = `new URL(${JSON.stringify(`../${place}`)}, import.meta.url).href`
      return { contents: text.replaceAll("import.meta.url", url), loader: "ts" }
    })
  }
})

export const bundle = async (root) => {
  const folder = join(root, "dist/bundle")
  const shared = {
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external,
    logLevel: "warning"
  }
  await build({
    ...shared,
    entryPoints: ["src/store/writer/worker.ts"],
    outfile: "dist/store/writer/worker.js",
    sourcemap: true,
    sourcesContent: false
  })
  const { metafile } = await build({
    ...shared,
    entryPoints: ["src/cli/main.ts"],
    outdir: folder,
    splitting: true,
    plugins: [ownPlaces(root)],
    // Some libraries are CommonJS, and `require` parts of Node.
    banner: {
      js: "import { createRequire as requireFrom } from \"node:module\"\nconst require = requireFrom(import.meta.url)"
    },
    metafile: true
  })
  const written = new Set(Object.keys(metafile.outputs).map((path) => basename(path)))
  for (const name of readdirSync(folder)) if (!written.has(name)) rmSync(join(folder, name))
  writeFileSync(join(folder, "LICENSES.txt"), licences(root, usedIn(metafile)))
  writeFileSync(join(root, "dist/cli/main.js"), "#!/usr/bin/env node\nimport \"../bundle/main.js\"\n", { mode: 0o755 })
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
