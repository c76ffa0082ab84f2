/** The command that starts a run again, as a person can paste it into a shell anywhere on the machine. */
import { drainMsDefault } from "./flags.js"
import type { OptimizeMode } from "./Mode.js"

/** Holds no secrets: keys come from variables, and a URL with a password is no upstream. */
export const restartCommand = (mode: OptimizeMode, program: ReadonlyArray<string>, cwd: string): string => {
  const p = "--prompt-optimization"
  const { bind, timeoutMs, upstreamUrl } = mode.proxy
  const host = bind.host.includes(":") ? `[${bind.host}]` : bind.host
  const words = [
    ...program,
    `--model=${mode.modelRef}`,
    `${p}-config=${mode.configPath}`,
    `${p}-store-sqlite=${mode.storePath}`,
    ...(mode.json ? [`${p}-json`] : []),
    ...(mode.force ? ["--force"] : []),
    ...(mode.drainMs === drainMsDefault ? [] : [`${p}-drain-ms=${mode.drainMs}`]),
    ...(bind.port === 0 && host === "127.0.0.1" ? [] : [`${p}-proxy-bind=${host}:${bind.port}`]),
    ...(upstreamUrl === undefined ? [] : [`${p}-proxy-upstream-url=${upstreamUrl}`]),
    ...(timeoutMs === undefined ? [] : [`${p}-proxy-timeout-ms=${timeoutMs}`])
  ]
  return commandIn(cwd, words)
}

/** The words as a shell takes them, run in a folder. */
export const commandIn = (cwd: string, words: ReadonlyArray<string>): string =>
  `cd ${quoted(cwd)} && ${words.map(quoted).join(" ")}`

/** For a POSIX shell. */
const quoted = (word: string) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
