import { execFileSync } from "node:child_process"

/** Brings `dist` up to date before the tests: worker threads and the `tau` command run from it. */
export default () => {
  execFileSync(process.execPath, ["scripts/dev/build.mjs"], { stdio: "inherit" })
}
