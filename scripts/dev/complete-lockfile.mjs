// Adds to package-lock.json the optional platform packages that the registry in use could not resolve, so that
// `npm ci` finds the lock complete on every platform. Versions come from the parents' exact optionalDependencies.
// Run after every `npm install`; it changes nothing when the lock is complete. With --check it only looks, and fails when
// something is missing or when the lock names the host of a registry.
import { readFileSync, writeFileSync } from "node:fs"

const file = new URL("../../package-lock.json", import.meta.url)
const lock = JSON.parse(readFileSync(file, "utf8"))
const OS = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const CPU = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"]
const added = []

for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const known = [`${path}/node_modules/${name}`, `node_modules/${name}`].some((p) => lock.packages[p])
    const version = /^\d+\.\d+\.\d+\S*$/.test(range) ? range : undefined
    if (known || version === undefined) continue
    const words = name.split(/[/-]/)
    const os = OS.find((o) => words.includes(o))
    const cpu = CPU.find((c) =>
      words.some((w) => w === c || (c === "arm" && /^arm(hf|v7|v6)?$|^gnueabihf$|^musleabihf$/.test(w)))
    )
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu && { cpu: [cpu] }),
      ...(entry.dev && { dev: true }),
      optional: true,
      ...(os && { os: [os] })
    }
    added.push(`${name}@${version}`)
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)))
if (process.argv.includes("--check")) {
  const hosts = Object.values(lock.packages).filter((entry) => entry.resolved?.startsWith("http"))
    .filter((entry) => !entry.resolved.startsWith("https://registry.npmjs.org/"))
  if (added.length > 0) {
    console.error(`package-lock.json lacks ${added.join(" ")}: run scripts/dev/complete-lockfile.mjs`)
  }
  if (hosts.length > 0) console.error(`package-lock.json names another registry for ${hosts.length} packages`)
  process.exit(added.length + hosts.length === 0 ? 0 : 1)
}
if (added.length > 0) writeFileSync(file, JSON.stringify(lock, null, 2) + "\n")
console.log(added.length === 0 ? "package-lock.json is complete" : `added ${added.length}: ${added.join(" ")}`)
