import { closeSync, fstatSync, openSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { makePrivateFolder } from "./PrivateFolder.js"

/** The log may be rotated by its owner: so often it is looked whether the path still names the open file. */
const lookEveryMs = 1_000

/**
 * The JSONL file for outside tools that gets a line per finished call. A projection of the store: the spans are committed
 * whatever happens to it.
 */
export class AttributionLog {
  private fd: number | null = null
  private inode = 0
  readonly state: { lost: number; failure: string | null } = { lost: 0, failure: null }
  private lookedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly path: string) {
    makePrivateFolder(dirname(path))
  }

  append(lines: ReadonlyArray<string>): void {
    if (lines.length === 0) return
    try {
      writeSync(this.open(), lines.join("\n") + "\n")
      this.state.failure = null
    } catch (error) {
      this.fd = null
      this.state.lost += lines.length
      this.state.failure = error instanceof Error ? error.message : String(error)
    }
  }

  private open(): number {
    const now = performance.now()
    if (now - this.lookedAt > lookEveryMs) {
      this.lookedAt = now
      if (this.fd !== null && statSync(this.path, { throwIfNoEntry: false })?.ino !== this.inode) {
        closeSync(this.fd)
        this.fd = null
      }
    }
    if (this.fd === null) {
      this.fd = openSync(this.path, "a", 0o600)
      this.inode = fstatSync(this.fd).ino
    }
    return this.fd
  }
}
