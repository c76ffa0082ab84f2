import { statSync } from "node:fs"

/** A file of an open store that is not what it was. */
export interface Loss {
  readonly file: string
  readonly how: "moved or deleted" | "emptied"
}

/**
 * The files of an open store. Writes to one that was unlinked or renamed succeed silently and are lost, in the write-ahead log as
 * in the database; SQLite keeps both for as long as a connection is open, so that another one under the name is a foreign one.
 * Nor does it notice a database cut to nothing, as by the shell's `>`: it has the pages it needs in memory, and in the log.
 */
export class StoreFiles {
  private readonly inode: number | null
  private logInode: number | null
  /** For good: what is put back into it is not what this process has in memory. */
  private isEmptied = false

  constructor(private readonly path: string) {
    this.inode = fileAt(path)?.ino ?? null
    this.logInode = fileAt(this.logPath)?.ino ?? null
  }

  /** The file that is not there under its name any more, or has nothing left; null while all are well. */
  get lost(): Loss | null {
    const file = fileAt(this.path)
    if ((file?.ino ?? null) !== this.inode) return { file: this.path, how: "moved or deleted" }
    this.isEmptied ||= file?.size === 0
    if (this.isEmptied) return { file: this.path, how: "emptied" }
    const logInode = fileAt(this.logPath)?.ino ?? null
    // The first read or write makes the log.
    this.logInode ??= logInode
    return logInode === this.logInode ? null : { file: this.logPath, how: "moved or deleted" }
  }

  private get logPath(): string {
    return `${this.path}-wal`
  }
}

const fileAt = (file: string): { readonly ino: number; readonly size: number } | null => {
  try {
    return statSync(file)
  } catch {
    return null
  }
}
