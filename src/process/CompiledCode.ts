import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"
import { crc32 } from "node:zlib"

/**
 * Runs a file of the build, with what V8 made of it when it was built: a start then compiles nearly nothing. Answers what the file
 * exports and whether V8 took that code: without it, the text is compiled. The file's name has a hash of its text, so that the code is
 * that text's.
 */
export const runCompiled = (url: URL): { readonly exports: unknown; readonly isCompiled: boolean } => {
  const filename = fileURLToPath(url)
  const cachedData = codeIn(codeFileOf(filename))
  const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData })
  const run = script.runInThisContext() as (require: NodeJS.Require, module: { exports: unknown }, url: string) => void
  const module = { exports: {} }
  run(createRequire(url), module, url.href)
  return { exports: module.exports, isCompiled: script.cachedDataRejected === false }
}

/** Where the code of a file is kept. It is of one version of V8 and one processor, which V8 looks at only in part. */
export const codeFileOf = (filename: string): string =>
  `${filename}.${process.version}-${process.platform}-${process.arch}.code`

/** What the file of a code holds. V8 believes it, and a byte gone wrong would end the process: the last four are its checksum. */
export const withChecksum = (code: Buffer): Buffer => {
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(code))
  return Buffer.concat([code, sum])
}

const codeIn = (path: string): Buffer | undefined => {
  let kept
  try {
    kept = readFileSync(path)
  } catch {
    // Built by another Node, or on a machine that could not run it.
    return undefined
  }
  const code = kept.subarray(0, -4)
  return kept.length > 4 && kept.readUInt32LE(code.length) === crc32(code) ? code : undefined
}
