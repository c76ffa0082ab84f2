import { closeSync, constants, lstatSync, openSync, rmSync, writeFileSync } from "node:fs"

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants

/**
 * Writes a file that only its owner can read. Without waiting, should a pipe stand there; a link, which may lead to any file, gives
 * way to a file.
 */
export const writePrivateFile = (path: string, text: string): void => {
  if (isLink(path)) rmSync(path)
  const file = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW, 0o600)
  try {
    writeFileSync(file, text)
  } finally {
    closeSync(file)
  }
}

/** For files that SQLite is to make: it would make them where a link leads to. */
export const refuseLink = (path: string): void => {
  if (isLink(path)) throw Object.assign(new Error("ELOOP: a link"), { code: "ELOOP", path })
}

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
