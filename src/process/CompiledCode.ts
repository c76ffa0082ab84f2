import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { Script } from "node:vm"
import { crc32 } from "node:zlib"

/**
 * Runs a file of the build, with what V8 made of it when it was built: a start then compiles nearly nothing. Answers whether V8 took that;
 * code of another version of V8 it refuses, and compiles the text. The file's name has a hash of its text, so that the code is that text's.
 */
export const runCompiled = (url: URL): boolean => {
  const filename = fileURLToPath(url)
  const cachedData = codeOf(`${filename}.code`)
  const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData })
  const run = script.runInThisContext() as (require: NodeJS.Require, fileUrl: string) => void
  run(createRequire(url), url.href)
  return script.cachedDataRejected === false
}

/** V8 believes what is in it, and a byte gone wrong would end the process: the last four are its checksum. */
const codeOf = (path: string): Buffer | undefined => {
  let kept
  try {
    kept = readFileSync(path)
  } catch {
    // As after a build on a machine that could not run it.
    return undefined
  }
  const code = kept.subarray(0, -4)
  return kept.length > 4 && kept.readUInt32LE(code.length) === crc32(code) ? code : undefined
}
