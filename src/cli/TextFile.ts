/** Reads a text that a person wrote, whatever the path turns out to be. */
import * as Effect from "effect/Effect"
import { constants } from "node:fs"
import type { FileHandle } from "node:fs/promises"
import { open } from "node:fs/promises"
import { fileTrouble } from "../domain/FileTrouble.js"

/** Largest file that is read, a config with its examples for instance. */
export const textBytesMax = 64 * 1024 * 1024

/** The text, or what was expected and what was found; `what` names what the file is to be. */
export const readText = (file: string, what: string): Effect.Effect<string, string> =>
  Effect.flatMap(readRegularFile(file, what), decodeText)

/** Opened without waiting and looked at before reading: a FIFO or a device would never end. */
const readRegularFile = (file: string, what: string): Effect.Effect<Uint8Array, string> =>
  Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => open(file, constants.O_RDONLY | constants.O_NONBLOCK), catch: reasonOf(what) }),
    (handle) => Effect.tryPromise({ try: () => readHandle(handle), catch: reasonOf(what) }).pipe(Effect.flatten),
    (handle) => Effect.promise(() => handle.close())
  )

const readHandle = async (handle: FileHandle): Promise<Effect.Effect<Uint8Array, string>> => {
  const stats = await handle.stat()
  if (stats.isDirectory()) return Effect.fail("expected a file, found a directory")
  if (!stats.isFile()) return Effect.fail("expected a regular file, found a pipe, socket or device")
  if (stats.size > textBytesMax) {
    return Effect.fail(`expected at most ${textBytesMax} bytes, found ${stats.size}`)
  }
  return Effect.succeed(await handle.readFile())
}

const reasonOf = (what: string) => (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  return code === "ENOENT"
    ? `expected ${what}, found no such file`
    : `cannot be read: ${fileTrouble({ code, message: code ?? message })}`
}

const decodeText = (bytes: Uint8Array): Effect.Effect<string, string> => {
  const [first, second] = bytes
  if (first === 0x1f && second === 0x8b) return Effect.fail("expected UTF-8 text, found a gzip archive; unpack it")
  const marked = first === 0xff && second === 0xfe || first === 0xfe && second === 0xff
  // JSON starts with ASCII, so a zero byte at the start is half of a UTF-16 character.
  if (marked || bytes.subarray(0, 4).includes(0)) {
    return Effect.fail("expected UTF-8 text, found UTF-16 (or UTF-32); save the file as UTF-8")
  }
  try {
    // Drops a byte order mark.
    return Effect.succeed(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    return Effect.fail("expected UTF-8 text, found bytes that are not UTF-8")
  }
}
