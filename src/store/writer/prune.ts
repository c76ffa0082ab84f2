/** Takes away what proxies have captured beside runs, and nobody needs any more. */
import { GenAi } from "../../openai/GenAi.js"
import type { Db } from "./Database.js"

/** So few that no call waits for them for long. */
const callsAtOnce = 500
/** More than calls, since each time all calls are looked through for those that still have theirs. */
const bodiesAtOnce = 10_000

/** Of calls that belong to no run, are over, and began before a time. */
export const isPrunable = "run_id IS NULL AND state <> 'open' AND start_time_us < ?"

export interface Pruned {
  readonly calls: number
  /** Where to go on; null when there is no older call left. */
  readonly after: number | null
}

/** The next few such calls behind this place. */
export const pruneCalls = (
  db: Db,
  { after, beforeUs }: { readonly after: number; readonly beforeUs: number }
): Pruned => {
  const rows = db.prepare(
    `SELECT rowid AS place FROM spans WHERE rowid > ? AND ${isPrunable} ORDER BY rowid LIMIT ${callsAtOnce}`
  ).all(after, beforeUs) as ReadonlyArray<{ readonly place: number }>
  const remove = db.prepare("DELETE FROM spans WHERE rowid = ?")
  for (const { place } of rows) remove.run(place)
  return { calls: rows.length, after: rows.length < callsAtOnce ? null : rows.at(-1)!.place }
}

/** Bodies that no call has any more, so many at once: `isLast` says that there are no others. */
export const pruneBodies = (db: Db): { readonly bodies: number; readonly isLast: boolean } => {
  db.prepare("DELETE FROM awaited_answers WHERE span_id NOT IN (SELECT span_id FROM spans)").run()
  const original = `attributes ->> '$."${GenAi.rewriteOriginal}"'`
  const { changes } = db.prepare(
    `DELETE FROM bodies WHERE rowid IN (SELECT rowid FROM bodies WHERE sha256 NOT IN (
       SELECT request_sha256 FROM spans WHERE request_sha256 IS NOT NULL
       UNION SELECT response_sha256 FROM spans WHERE response_sha256 IS NOT NULL
       UNION SELECT answer_sha256 FROM spans WHERE answer_sha256 IS NOT NULL
       UNION SELECT ${original} FROM spans WHERE ${original} IS NOT NULL) LIMIT ${bodiesAtOnce})`
  ).run()
  return { bodies: changes, isLast: changes < bodiesAtOnce }
}

/** Pieces of bodies that are gone. How many bytes of the file are free then for what comes next. */
export const prunePieces = (db: Db): number => {
  const unused = db.prepare(
    `WITH RECURSIVE used (id) AS (
       SELECT value FROM bodies, json_each(CAST(content AS TEXT)) WHERE form = 'recipe' AND type = 'integer'
       UNION SELECT head FROM used JOIN piece_lists USING (id) WHERE head IS NOT NULL)
     SELECT json_group_array(id) AS ids FROM piece_lists WHERE id NOT IN (SELECT id FROM used)`
  ).get() as { readonly ids: string }
  if (unused.ids !== "[]") {
    // For each row that goes, SQLite looks for those that refer to it: without an index, through all of them.
    const columns = ["head", "piece"]
    for (const column of columns) db.prepare(`CREATE INDEX pruning_by_${column} ON piece_lists (${column})`).run()
    db.prepare("DELETE FROM piece_lists WHERE id IN (SELECT value FROM json_each(?))").run(unused.ids)
    db.prepare("DELETE FROM pieces WHERE id NOT IN (SELECT piece FROM piece_lists)").run()
    for (const column of columns) db.prepare(`DROP INDEX pruning_by_${column}`).run()
  }
  const pragma = (name: string) => db.connection.pragma(name, { simple: true }) as number
  return pragma("freelist_count") * pragma("page_size")
}
