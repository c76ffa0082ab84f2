/** Commands as they are printed for people to paste into a shell. */
import { visible } from "./TerminalText.js"

/** A word that a shell reads as it is meant, quoted where it must be. */
export const shellWord = (word: string): string =>
  /^[\w./:@%+=,-]+$/.test(word) ? word : `'${visible(word).replaceAll("'", "'\\''")}'`

/** Where commands look for a store unless they are told. */
export const defaultStore = ".tau/training/store.sqlite"

/** The `--store` flag of a hint, where it is needed. */
export const storeHint = (storePath: string): string =>
  storePath === defaultStore ? "" : ` --store ${shellWord(storePath)}`

/**
 * What continues a run, in words. Nobody runs a suite by its file alone: its command has the rest of what was asked. `command` is null
 * where a program began the run.
 */
export const continuing = (configPath: string, command: string | null): string =>
  command?.includes(" benchmark run ") === true
    ? `the same tau benchmark run of ${configPath} continues it`
    : `running ${configPath} again continues it`
