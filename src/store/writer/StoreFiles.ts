import { statSync } from "node:fs"
import type { FileHeader } from "./FileHeader.js"
import { logPathOf } from "./realPath.js"

/** A file of an open store that is not what it was. */
export interface Loss {
  readonly file: string
  readonly how: "moved or deleted" | "emptied" | "written over" | "cut short"
}

/**
 * The files of an open store. Writes to one that was unlinked or renamed succeed silently and are lost, in the write-ahead log as
 * in the database; SQLite keeps both for as long as a connection is open, so that another one under the name is a foreign one.
 * Nor does it notice a database cut to nothing, as by the shell's `>`, or written over with a copy: it has the pages it needs in memory, and
 * in the log, and would mix them with the copy's. Behind the
 * end of a log that was cut it writes on as if nothing were missing, and takes the hole for pages of the database later.
 */
export class StoreFiles {
  private readonly inode: number | null
  private readonly logPath: string
  private logInode: number | null
  /** For good: what is put back into it is not what this process has in memory. */
  private isEmptied = false
  private isWrittenOver = false
  private isCut = false
  /** The database's own file is written by checkpoints alone: seldom. */
  private writtenAtMs: number | null
  /** As long was the log's file when it was looked at last. */
  private logSize = Number.POSITIVE_INFINITY

  /**
   * `logBytes` tells how far the log reaches, as SQLite knows it: without it, a log that was cut is not noticed, nor without `header` a
   * database that was written over.
   */
  constructor(
    private readonly path: string,
    private readonly logBytes: () => number = () => 0,
    private readonly header: Pick<FileHeader, "wentBack"> | null = null
  ) {
    const file = fileAt(path)
    this.inode = file?.ino ?? null
    this.writtenAtMs = file?.mtimeMs ?? null
    this.logPath = logPathOf(path)
    this.logInode = fileAt(this.logPath)?.ino ?? null
  }

  /** The file that is not there under its name any more, or has nothing left; null while all are well. */
  get lost(): Loss | null {
    const file = fileAt(this.path)
    if ((file?.ino ?? null) !== this.inode) return { file: this.path, how: "moved or deleted" }
    this.isEmptied ||= file?.size === 0
    if (this.isEmptied) return { file: this.path, how: "emptied" }
    if (file !== null && file.mtimeMs !== this.writtenAtMs) {
      this.writtenAtMs = file.mtimeMs
      this.isWrittenOver ||= this.header?.wentBack === true
    }
    if (this.isWrittenOver) return { file: this.path, how: "written over" }
    const log = fileAt(this.logPath)
    // The first read or write makes the log.
    this.logInode ??= log?.ino ?? null
    if ((log?.ino ?? null) !== this.logInode) return { file: this.logPath, how: "moved or deleted" }
    this.isCut ||= log !== null && log.size < this.logSize && this.isLogShort()
    this.logSize = log?.size ?? 0
    return this.isCut ? { file: this.logPath, how: "cut short" } : null
  }

  /** Whether the log's file lacks some of the log. Another process may empty both, just now too: the log is then another one. */
  private isLogShort(): boolean {
    const bytes = this.logBytes()
    return (fileAt(this.logPath)?.size ?? 0) < bytes && this.logBytes() === bytes
  }
}

const fileAt = (file: string): { readonly ino: number; readonly size: number; readonly mtimeMs: number } | null => {
  try {
    return statSync(file)
  } catch {
    return null
  }
}
