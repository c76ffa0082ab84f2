import { hash } from "node:crypto"
import type { Section } from "../../openai/BodySections.js"

/** A piece at the end of a list. `key` tells all pieces up to it: the hash of the key before it and of the piece's hash. */
export interface Link {
  readonly content: Buffer
  readonly sha256: string
  readonly key: string
}

interface KnownLink {
  /** An object of its own: whoever holds it, for as long as a call takes, say, holds nothing of what followed it. */
  readonly link: Link
  /** What followed it, the oldest first. */
  readonly next: Array<KnownLink>
}

/** Most bytes of pieces that are remembered; then all are forgotten, and the next request of each agent is hashed anew. */
const knownBytesMax = 4 * 1024 * 1024
/** Most pieces that are remembered in one place of a list. */
const nextMax = 64

/**
 * The pieces that were hashed lately. An agent sends its history again at every step: to find that it is the same costs a tenth
 * of hashing it. It changes no result, only what it costs.
 */
export class KnownPieces {
  private first: Array<KnownLink> = []
  /** Remembered, whether or not a later piece took their place. */
  bytes = 0

  linksOf(body: Uint8Array, { ends, start }: Section): ReadonlyArray<Link> {
    if (this.bytes > knownBytesMax) {
      this.first = []
      this.bytes = 0
    }
    const content = Buffer.from(body.buffer, body.byteOffset, body.length)
    let place = this.first
    let key = ""
    return ends.map((end, index) => {
      const piece = content.subarray(index === 0 ? start : ends[index - 1], end)
      const { link, next } = place.find(({ link: { content } }) =>
        content.length === piece.length && content.equals(piece)
      ) ??
        this.learn(place, piece, key)
      place = next
      key = link.key
      return link
    })
  }

  private learn(place: Array<KnownLink>, piece: Buffer, keyBefore: string): KnownLink {
    const sha256 = hash("sha256", piece, "hex")
    // A copy: the piece is part of a memory that holds a whole group of calls.
    const link = { content: Buffer.from(piece), sha256, key: hash("sha256", keyBefore + sha256, "hex") }
    const known = { link, next: [] }
    if (place.length === nextMax) place.shift()
    place.push(known)
    this.bytes += piece.length
    return known
  }
}
