/** Small files that outside tools read: whole or absent after any crash, never half written. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { constants, existsSync } from "node:fs"
import { type FileHandle, lstat, open, readFile, rename, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { fileTrouble } from "../domain/FileTrouble.js"
import { makePrivateFolder } from "../store/writer/PrivateFolder.js"
import { removeFrom, temporaryOf } from "../store/writer/temporaryFiles.js"

/** The file could not be read or written, or does not hold what it must. */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.detail}`
  }
}

/** The text of the file, or null when there is none. */
export const readText = (file: string): Effect.Effect<string | null, FileError> => read(file, stat)

/** The same of a file that lines are added to: through no link, as they are. */
export const readLog = (file: string): Effect.Effect<string | null, FileError> => read(file, lstat)

const read = (file: string, look: typeof stat): Effect.Effect<string | null, FileError> =>
  Effect.tryPromise({
    try: async () => {
      const found = await look(file)
      if (found.isSymbolicLink()) return failed(file, { code: "ELOOP", message: "" })
      // A pipe or a device would never come to an end.
      return found.isFile() ? await readFile(file, "utf8") : new FileError({ file, detail: irregular })
    },
    catch: (error) => error as NodeJS.ErrnoException
  }).pipe(
    Effect.catchAll((error) => error.code === "ENOENT" ? Effect.succeed(null) : Effect.fail(failed(file, error))),
    Effect.flatMap((found) => found instanceof FileError ? Effect.fail(found) : Effect.succeed(found))
  )

/** Replaces the file at once: readers see the old text or the new, also after a power cut. Makes missing folders. */
export const replace = (file: string, text: string, mode = 0o600): Effect.Effect<void, FileError> =>
  attempt(file, async () => {
    const temporary = temporaryOf(file)
    makePrivateFolder(dirname(file))
    try {
      await withFile(temporary, "wx", async (handle) => {
        await handle.writeFile(text)
        await handle.sync()
      }, mode)
      await rename(temporary, file)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await syncFolder(file)
  })

/** Removes from a folder what `replace` left where a kill came before the rename. What is younger may be a write under way. */
export const removeLeftovers = (folder: string): Effect.Effect<void> =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (nowMs) =>
      Effect.promise(() =>
        removeFrom(folder, (name, path) =>
          temporaryName.test(name)
          && stat(path).then(({ mtimeMs }) => nowMs - mtimeMs > leftoverAgeMs, () => false))
      )
  )

/** Of this file's making, and what earlier versions made of `status.json`. */
const temporaryName = /\.json\.\d+(\.[0-9a-f]{8})?\.tmp$/
const leftoverAgeMs = 60_000

/**
 * Writes what follows a store while the store's folder is there. Made anew, the folder would stand where a person is about to put
 * the one back that was moved away.
 */
export const besideStore = <E, R>(storePath: string, write: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
  Effect.suspend(() => existsSync(dirname(storePath)) ? write : Effect.void)

/** Makes the folder that the file is to be in, if need be. */
export const makeFolderOf = (file: string): Effect.Effect<void, FileError> =>
  attempt(file, async () => makePrivateFolder(dirname(file)))

/** Fails when a line could not be added to the file. Makes the file and its folder if need be, and changes nothing else. */
export const checkAppendable = (file: string): Effect.Effect<void, FileError> =>
  Effect.zipRight(makeFolderOf(file), attempt(file, () => withFile(file, appending, beRegular)))

/** Adds a line that survives a power cut. A line that an earlier crash cut short stays a line of its own. */
export const appendLine = (file: string, line: string): Effect.Effect<void, FileError> =>
  attempt(file, async () => {
    makePrivateFolder(dirname(file))
    await withFile(file, appending, async (handle) => {
      await beRegular(handle)
      const { size } = await handle.stat()
      const end = Buffer.alloc(1)
      if (size > 0) await handle.read(end, 0, 1, size - 1)
      // One write, so that lines of several processes never mix.
      await handle.appendFile(`${size > 0 && end[0] !== newline ? "\n" : ""}${line}\n`)
      await handle.sync()
    })
  })

const newline = 0x0a

/** Cuts the end of the file off. */
export const cutTo = (file: string, bytes: number): Effect.Effect<void, FileError> =>
  attempt(file, () => withFile(file, appending, (handle) => handle.truncate(bytes)))

/** Without waiting: a pipe that nobody reads would be waited for for ever. Through no link, which may lead to any file. */
const appending = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK |
  constants.O_NOFOLLOW

const beRegular = async (handle: FileHandle): Promise<void> => {
  if (!(await handle.stat()).isFile()) throw new Error(irregular)
}

export const irregular = "expected a regular file"

const withFile = async (
  file: string,
  flags: string | number,
  use: (handle: FileHandle) => Promise<void>,
  mode = 0o600
) => {
  const handle = await open(file, flags, mode)
  try {
    await use(handle)
  } finally {
    await handle.close()
  }
}

/** A rename is durable once its folder is. Some file systems cannot sync a folder, and then need not. */
const syncFolder = async (file: string) => {
  const folder = await open(dirname(file), "r")
  try {
    await folder.sync().catch(() => undefined)
  } finally {
    await folder.close()
  }
}

const attempt = (file: string, run: () => Promise<void>): Effect.Effect<void, FileError> =>
  Effect.tryPromise({ try: run, catch: (error) => failed(file, error as NodeJS.ErrnoException) })

const failed = (file: string, error: Parameters<typeof fileTrouble>[0]) =>
  new FileError({ file, detail: fileTrouble(error) })
