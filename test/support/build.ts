import { execFileSync } from "node:child_process"

/** Brings `dist` up to date before the tests: worker threads and the `tau` command run from it. `npm test` has just done so. */
export default () => {
  if (process.env["TAU_TEST_BUILT"] === undefined) {
    execFileSync(process.execPath, ["scripts/dev/build.mjs"], { stdio: "inherit" })
  }
}
