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

const decoders: ReadonlyMap<string, (bytes: Uint8Array) => Uint8Array> = new Map([
  ["identity", (bytes: Uint8Array) => bytes],
  ["gzip", (bytes: Uint8Array) => zlib.gunzipSync(bytes, flate)],
  ["x-gzip", (bytes: Uint8Array) => zlib.gunzipSync(bytes, flate)],
  ["deflate", inflate],
  ["br", (bytes: Uint8Array) => zlib.brotliDecompressSync(bytes, brotli)],
  ["zstd", (bytes: Uint8Array) => decodeZstd(bytes, decodedBytesMax)]
])

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
      const tooLarge = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
      return { reason: tooLarge ? "larger than the limit once decoded" : `not valid ${coding}` }
    }
  }
  return bytes.length > decodedBytesMax ? { reason: "larger than the limit" } : { bytes }
}
