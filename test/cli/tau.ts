import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../../", import.meta.url))

/** The test's environment without what would steer the command. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(TAU|OPENAI|NO_COLOR|FORCE_COLOR|NODE_OPTIONS)/.test(name))
)

/** Runs the built command as a person would. */
export const tau = (args: ReadonlyArray<string>, variables: Readonly<Record<string, string>> = {}, cwd = root) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [`${root}dist/cli/main.js`, ...args], {
    cwd,
    encoding: "utf8",
    env: { ...environment, ...variables },
    timeout: 20_000
  })
  return { status, stdout, stderr }
}

export const warning = (alias: string, canonical: string) =>
  `deprecated CLI alias '--${alias}' detected; use '--${canonical}' instead.\n`
