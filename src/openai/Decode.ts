/** Undoes the content encoding of a recorded body, within a limit: a few bytes can unpack to gigabytes. */
import * as zlib from "node:zlib"
import { decodeZstd } from "./Zstd.js"

/** Largest body that is read for its meaning; a larger one is kept as bytes only. */
export const decodedBytesMax = 32 * 1024 * 1024

export type Decoded = { readonly bytes: Uint8Array } | { readonly reason: string }

// A body that was cut decodes as far as it came.
const flate = { maxOutputLength: decodedBytesMax, finishFlush: zlib.constants.Z_SYNC_FLUSH }
const brotli = { maxOutputLength: decodedBytesMax, finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH }

const inflate = (bytes: Uint8Array): Uint8Array => {
  // "deflate" means the zlib format; some servers send it without the wrapper.
  const hasWrapper = bytes.length > 1 && (bytes[0]! & 15) === 8 && (bytes[0]! << 8 | bytes[1]!) % 31 === 0
  return hasWrapper ? zlib.inflateSync(bytes, flate) : zlib.inflateRawSync(bytes, flate)
}

/** Two bytes that a member of a gzip body begins with, and two more of it. */
const magic = [0x1f, 0x8b] as const
const headBytes = 10
const tailBytes = 8
/** Finding the end of one takes long beside its few bytes. */
const membersMax = 64

/** Where the compressed data of the member at `start` begins (RFC 1952, 2.3). */
const dataOf = (bytes: Uint8Array, start: number): number => {
  const flags = bytes[start + 3]!
  let at = start + headBytes
  if ((flags & 4) !== 0) at += 2 + (bytes[at]! | bytes[at + 1]! << 8)
  for (const flag of [8, 16]) if ((flags & flag) !== 0) at = bytes.indexOf(0, at) + 1
  return (flags & 2) === 0 ? at : at + 2
}

/** The whole members that a gzip body begins with. */
const membersOf = (bytes: Uint8Array): Uint8Array => {
  let end = 0
  for (let members = 0; bytes[end] === magic[0] && bytes[end + 1] === magic[1]; members++) {
    if (members === membersMax) return bytes
    const start = dataOf(bytes, end)
    const { engine } = zlib.inflateRawSync(bytes.subarray(start), { ...flate, info: true }) as unknown as {
      readonly engine: { readonly bytesWritten: number }
    }
    end = start + engine.bytesWritten + tailBytes
  }
  return bytes.subarray(0, end)
}

const gunzip = (bytes: Uint8Array): Uint8Array => {
  try {
    return zlib.gunzipSync(bytes, flate)
  } catch (error) {
    // Other decoders pass over what is behind the last member; Node's takes it for a broken one.
    const members = codeOf(error) === "Z_DATA_ERROR" ? membersOf(bytes) : bytes
    if (members.length === 0 || members.length === bytes.length) throw error
    return zlib.gunzipSync(members, flate)
  }
}

const codeOf = (error: unknown) => error instanceof Error && "code" in error ? error.code : null

const decoders: ReadonlyMap<string, (bytes: Uint8Array) => Uint8Array> = new Map([
  ["identity", (bytes: Uint8Array) => bytes],
  ["gzip", gunzip],
  ["x-gzip", gunzip],
  ["deflate", inflate],
  ["br", (bytes: Uint8Array) => zlib.brotliDecompressSync(bytes, brotli)],
  ["zstd", (bytes: Uint8Array) => decodeZstd(bytes, decodedBytesMax)]
])

/** Whether a word of a `content-encoding` names one that can be undone. */
export const isCoding = (word: string): boolean => decoders.has(word.trim().toLowerCase())

/** The encodings to try on a recorded body whose own is not known: only the right one gives JSON. */
export const recordedCodings = ["identity", "gzip", "br", "deflate", "zstd"] as const

/** The plain bytes of a body sent with this `content-encoding`, or the reason why there are none. Never throws. */
export const decodeBody = (body: Uint8Array, contentEncoding: string | null | undefined): Decoded => {
  if (contentEncoding == null && body.length <= decodedBytesMax) return { bytes: body }
  const codings = (contentEncoding ?? "").toLowerCase().split(",").map((coding) => coding.trim())
    .filter((coding) => coding !== "").toReversed()
  if (codings.length > 4) return { reason: "too many content encodings" }
  let bytes = body
  for (const coding of codings) {
    const decode = decoders.get(coding)
    if (decode === undefined) return { reason: `unknown content encoding ${coding.slice(0, 40)}` }
    try {
      bytes = decode(bytes)
    } catch (error) {
      const tooLarge = codeOf(error) === "ERR_BUFFER_TOO_LARGE"
      return { reason: tooLarge ? "larger than the limit once decoded" : `not valid ${coding}` }
    }
  }
  return bytes.length > decodedBytesMax ? { reason: "larger than the limit" } : { bytes }
}
