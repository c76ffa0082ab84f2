/** Pages of rows in a stable order: each begins after the last row of the one before, however much is in front of it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Most rows that are looked at for one page. A filter that fits few rows ends the page here rather than reading the whole
 * store: `next` is then not null although the page is not full.
 */
export const lookedAtMax = 20_000

export interface Page<A> {
  readonly items: ReadonlyArray<A>
  /** The id to go on after, or null when there is nothing more. */
  readonly next: string | null
}

export interface PageRequest {
  /** The id of the last row of the page before; null for the first page. */
  readonly after: string | null
  /** From 1 to 1,000: whoever takes it from outside checks it. */
  readonly limit: number
}

/** Cuts off the row that was read beyond the page to see whether there is one. */
export const pageOf = <A>(rows: ReadonlyArray<A>, limit: number, idOf: (row: A) => string): Page<A> => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, next: rows.length > limit && last !== undefined ? idOf(last) : null }
}

/** Nothing in the store has the id that a page is to begin after: a mistake of whoever asks. */
export class UnknownCursor extends Schema.TaggedError<UnknownCursor>()("UnknownCursor", {
  noun: Schema.String,
  after: Schema.String
}) {
  override get message() {
    return `reading ${this.noun}s failed: there is no ${this.noun} ${this.after} to go on after`
  }
}

/** The order of a row that a page begins after; `first` for the first page. */
export const positionOf = <A, E>(
  noun: string,
  after: string | null,
  first: A,
  find: (id: string) => Effect.Effect<ReadonlyArray<A>, E>
): Effect.Effect<A, E | UnknownCursor> =>
  after === null
    ? Effect.succeed(first)
    : Effect.flatMap(
      find(after),
      ([row]) => row === undefined ? new UnknownCursor({ noun, after }) : Effect.succeed(row)
    )
