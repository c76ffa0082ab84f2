import { statSync } from "node:fs"

/**
 * The files of an open store. Writes to one that was unlinked or renamed succeed silently and are lost, in the write-ahead log as
 * in the database; SQLite keeps both for as long as a connection is open, so that another one under the name is a foreign one.
 */
export class StoreFiles {
  private readonly inode: number | null
  private logInode: number | null

  constructor(private readonly path: string) {
    this.inode = inodeOf(path)
    this.logInode = inodeOf(this.logPath)
  }

  /** The file that is not under its name any more; null while all are. */
  get lost(): string | null {
    if (inodeOf(this.path) !== this.inode) return this.path
    // The first read or write makes the log.
    this.logInode ??= inodeOf(this.logPath)
    return this.logInode === null || inodeOf(this.logPath) === this.logInode ? null : this.logPath
  }

  private get logPath(): string {
    return `${this.path}-wal`
  }
}

const inodeOf = (file: string): number | null => {
  try {
    return statSync(file).ino
  } catch {
    return null
  }
}
