import { fstatSync, readdirSync, readSync, statSync } from "node:fs"

/**
 * The header of a database's file as it stands on the disk, which SQLite does not read again. All that is written through SQLite, by whatever
 * process, lets its numbers grow: a file in which one is smaller was written over, with a copy of what it was before, say.
 *
 * It is read by the descriptor that SQLite has: the close of one of our own would take SQLite's locks off the file, as POSIX has it. Where
 * the system lists no descriptors, nothing is noticed.
 */
export class FileHeader {
  private descriptor: number | null = null
  private last: Numbers | null

  constructor(private readonly path: string) {
    this.last = this.read()
  }

  /** Whether a number has become smaller since this was asked last. */
  get wentBack(): boolean {
    const { last } = this
    const now = this.read()
    this.last = now ?? last
    if (last === null || now === null) return false
    // A VACUUM makes the file smaller, and counts as a change of the schema.
    return now.changes < last.changes || now.schema < last.schema ||
      (now.schema === last.schema && now.pages < last.pages)
  }

  private read(): Numbers | null {
    try {
      const { dev, ino } = statSync(this.path)
      const isOf = (descriptor: number) => {
        const file = fstatSync(descriptor)
        return file.ino === ino && file.dev === dev
      }
      // Its number may be another file's by now.
      if (this.descriptor === null || !holds(isOf, this.descriptor)) {
        this.descriptor = readdirSync("/dev/fd").map(Number).find((descriptor) => holds(isOf, descriptor)) ?? null
      }
      if (this.descriptor === null) return null
      const bytes = Buffer.alloc(headerBytes)
      if (readSync(this.descriptor, bytes, 0, headerBytes, 0) < headerBytes) return null
      return { changes: bytes.readUInt32BE(24), pages: bytes.readUInt32BE(28), schema: bytes.readUInt32BE(40) }
    } catch {
      return null
    }
  }
}

/** SQLite's file format, 1.3: at offsets 24, 28 and 40. */
interface Numbers {
  readonly changes: number
  readonly pages: number
  readonly schema: number
}

const headerBytes = 100

/** A descriptor may be closed by now: the one that listed them is. */
const holds = (isOf: (descriptor: number) => boolean, descriptor: number): boolean => {
  try {
    return isOf(descriptor)
  } catch {
    return false
  }
}
