/**
 * Recorded bodies, each once under the hash of its bytes. A long request is kept in pieces, so that an agent that sends its
 * history again at every step costs what it adds, not what it repeats: a piece (a message, say) is kept once, a list of
 * pieces is the list before it and one piece more, and the body is a recipe of texts and lists. The view `payloads` puts the
 * bytes together again.
 */
import { isUtf8 } from "node:buffer"
import { hash } from "node:crypto"
import { sectionsOf } from "../../openai/BodySections.js"
import type { Db } from "./Database.js"
import { KnownPieces, type Link } from "./KnownPieces.js"

/** A body, its hash in hex, and what is kept: all of it, or how it is made of pieces. */
export interface Payload {
  readonly size: number
  readonly sha256: string
  readonly content: Uint8Array | Recipe
}

/** The body in order: what stands for itself, and lists of pieces. */
type Recipe = ReadonlyArray<string | ReadonlyArray<Link>>

/** Shorter bodies are kept whole: they would save little. */
const cutBytesMin = 4_096

/** A body that is kept whole; null for an empty one. */
export const wholePayload = (content: Uint8Array): Payload | null =>
  content.length === 0 ? null : { size: content.length, sha256: hash("sha256", content, "hex"), content }

/** A body that may repeat what an earlier one had. All that takes time is done here, outside the transaction. */
export const repeatingPayload = (content: Uint8Array): Payload | null => {
  const whole = wholePayload(content)
  return whole === null || content.length < cutBytesMin ? whole : { ...whole, content: recipeOf(content) ?? content }
}

/** Of this thread. */
const known = new KnownPieces()

const recipeOf = (content: Uint8Array): Recipe | null => {
  const sections = sectionsOf(content)
  if (sections.length === 0) return null
  const recipe: Array<string | ReadonlyArray<Link>> = []
  let end = 0
  for (const section of [...sections, { start: content.length, ends: [] }]) {
    const between = content.subarray(end, section.start)
    // A recipe is text, which other bytes would not survive.
    if (!isUtf8(between)) return null
    recipe.push(Buffer.from(between).toString("utf8"))
    if (section.ends.length > 0) recipe.push(known.linksOf(content, section))
    end = section.ends.at(-1) ?? section.start
  }
  return recipe
}

export const storePayload = (db: Db, { content, sha256, size }: Payload): void => {
  const isWhole = content instanceof Uint8Array
  if (!isWhole && db.prepare("SELECT 1 FROM bodies WHERE sha256 = ?").get(sha256) !== undefined) return
  db.prepare("INSERT INTO bodies (sha256, size, form, content) VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING")
    .run(sha256, size, isWhole ? "whole" : "recipe", isWhole ? content : recipeText(db, content))
}

const recipeText = (db: Db, recipe: Recipe): Buffer =>
  Buffer.from(JSON.stringify(recipe.map((part) => typeof part === "string" ? part : listOf(db, part))))

/** The list with these pieces: looks from its end for the longest list that is there already, and adds what is new. */
const listOf = (db: Db, links: ReadonlyArray<Link>): number => {
  let id: number | null = null
  let known = links.length
  for (; known > 0; known--) {
    id = idOf(db, "SELECT id FROM piece_lists WHERE key = ?", links[known - 1]!.key)
    if (id !== null) break
  }
  for (const [index, link] of links.entries()) {
    if (index < known) continue
    id = Number(
      db.prepare("INSERT INTO piece_lists (key, head, piece, length) VALUES (?, ?, ?, ?)")
        .run(bytesOf(link.key), id, pieceOf(db, link), index + 1).lastInsertRowid
    )
  }
  return id!
}

const pieceOf = (db: Db, { content, sha256 }: Link): number =>
  idOf(db, "SELECT id FROM pieces WHERE sha256 = ?", sha256) ??
    Number(
      db.prepare("INSERT INTO pieces (sha256, content) VALUES (?, ?)").run(bytesOf(sha256), content).lastInsertRowid
    )

const idOf = (db: Db, sql: string, hex: string): number | null =>
  (db.prepare(sql).get(bytesOf(hex)) as { readonly id: number } | undefined)?.id ?? null

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, "hex")
