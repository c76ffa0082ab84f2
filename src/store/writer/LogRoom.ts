import { closeSync, constants, openSync, statSync, writeSync } from "node:fs"
import { logPathOf } from "./realPath.js"

/** Least and most by which the log is expected to grow until it is looked at again. */
const growthMin = 128 * 1024
const growthMax = 1024 * 1024

/**
 * Keeps room behind the end of the write-ahead log in its file. A commit that makes the file longer waits for the journal of the file
 * system as well, about twice as long as one that writes over what is there.
 *
 * The room is zeros, which SQLite does not take for frames of its log.
 */
export class LogRoom {
  private readonly path: string
  private seenBytes = 0

  constructor(storePath: string) {
    this.path = logPathOf(storePath)
  }

  /** `logBytes` is how far the log reaches now. */
  keep(logBytes: number): void {
    const growth = Math.min(Math.max(logBytes - this.seenBytes, growthMin), growthMax)
    this.seenBytes = logBytes
    try {
      const room = statSync(this.path).size - logBytes
      // A file that is shorter than its log was cut by somebody: zeros in the place of its frames would be taken for them.
      if (room < 0 || room > growth) return
      // Appended, whatever another process writes meanwhile: only what nobody has written yet becomes room.
      const file = openSync(this.path, constants.O_WRONLY | constants.O_APPEND)
      try {
        writeSync(file, Buffer.alloc(2 * growth))
      } finally {
        closeSync(file)
      }
    } catch {
      // On a full disk, say: the commits make the file longer, as far as they can.
    }
  }
}
