/**
 * Publishes, archives and purges benchmark reports. What a file is allowed to become follows from what it says and the time;
 * nothing outside of `.tau/reports` is read, written or removed, whatever a link or a report says.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { constants } from "node:fs"
import { link, lstat, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises"
import { dirname, join } from "node:path"
import { removeLeftoversOf, temporaryOf } from "../store/writer/temporaryFiles.js"
import { Fields } from "./Fields.js"
import { daysAfter, reportsRoot, retentionPolicies } from "./Publication.js"
import { reportProblems } from "./ReportRules.js"

/** A report, or the folder of the reports, that is left as it was, and why. */
export class RetentionError extends Schema.TaggedError<RetentionError>()("RetentionError", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.detail}`
  }
}

/** What was done with a file, or would be, and why. */
export interface Action {
  readonly kind: "archive" | "purge" | "keep"
  /** Relative to the root folder. */
  readonly file: string
  readonly detail: string
}

interface Due {
  readonly reportPath: string
  readonly archivePath: string
  readonly isPurgeable: boolean
  readonly archiveAtMs: number
  readonly purgeAtMs: number
}

/** A report to publish, as its file has it. */
export interface Publishable {
  readonly file: string
  readonly text: string
  readonly value: unknown
}

/** Fails as `publish` would, and writes nothing. */
export const checkPublishable = (
  root: string,
  { file, text, value }: Publishable
): Effect.Effect<void, RetentionError> =>
  attempt(file, async () => {
    const { reportPath } = dueOrRefused(value)
    if (await realFolders(root, dirname(reportPath), false)) await refuseAnother(root, reportPath, text)
  })

/** Puts a report at its publication path. The same report again is fine; another one at that path is not replaced. */
export const publish = (root: string, { file, text, value }: Publishable): Effect.Effect<string, RetentionError> =>
  attempt(file, async () => {
    const due = dueOrRefused(value)
    await realFolders(root, dirname(due.reportPath), true)
    const path = join(root, due.reportPath)
    await removeLeftoversOf(path)
    const temporary = temporaryOf(path)
    const handle = await open(temporary, "wx", 0o644)
    try {
      await handle.writeFile(text)
      await handle.sync()
      // A link fails where a rename would replace what is there.
      await link(temporary, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
      await refuseAnother(root, due.reportPath, text)
    } finally {
      await handle.close()
      await unlink(temporary)
    }
    return due.reportPath
  })

export interface SweepOptions {
  readonly root: string
  readonly nowMs: number
  readonly dryRun: boolean
}

/** Moves the reports that are due from their publication path to their archive path. */
export const archive = ({ dryRun, nowMs, root }: SweepOptions): Effect.Effect<ReadonlyArray<Action>, RetentionError> =>
  sweep(root, "m24", async (file, due) => {
    if (file !== due.reportPath) return keep(file, "it is not at its publication.report_path")
    if (!due.isPurgeable) return keep(file, "its retention.policy is retain-only")
    if (nowMs < due.archiveAtMs) return keep(file, `it stays until ${new Date(due.archiveAtMs).toISOString()}`)
    // What stands in the way keeps a report where it is, and a dry run says so.
    if (await realFolders(root, dirname(due.archivePath), !dryRun) && await exists(join(root, due.archivePath))) {
      return keep(file, `${due.archivePath} is there already`)
    }
    if (!dryRun) await rename(join(root, file), join(root, due.archivePath))
    return { kind: "archive", file, detail: `to ${due.archivePath}` }
  })

/** Removes archived reports whose time is over. */
export const purge = ({ dryRun, nowMs, root }: SweepOptions): Effect.Effect<ReadonlyArray<Action>, RetentionError> =>
  sweep(root, "archive/m24", async (file, due) => {
    if (file !== due.archivePath) return keep(file, "it is not at its publication.archive_path")
    if (!due.isPurgeable) return keep(file, "its retention.policy is retain-only")
    if (nowMs < due.purgeAtMs) return keep(file, `it stays until ${new Date(due.purgeAtMs).toISOString()}`)
    if (!dryRun) await unlink(join(root, file))
    return { kind: "purge", file, detail: `its purge_after was ${new Date(due.purgeAtMs).toISOString()}` }
  })

const keep = (file: string, detail: string): Action => ({ kind: "keep", file, detail })

/** The times and paths of a valid report, or what is wrong with it in words. */
const dueOf = (value: unknown): Due | string => {
  const [problem] = reportProblems(value)
  if (problem !== undefined) return `no valid report: ${problem.field}: ${problem.text}`
  const report = Fields.of(value)
  const retention = report.object("retention")
  const publication = report.object("publication")
  return {
    reportPath: publication.text("report_path")!,
    archivePath: publication.text("archive_path")!,
    isPurgeable: retention.choice("policy", retentionPolicies) === "archive-then-purge",
    archiveAtMs: daysAfter(report.instant("generated_at")!, retention.number("archive_after_days")!),
    purgeAtMs: retention.instant("purge_after")!
  }
}

const dueOrRefused = (value: unknown): Due => {
  const due = dueOf(value)
  if (typeof due === "string") throw new Refused(due)
  return due
}

const refuseAnother = async (root: string, reportPath: string, text: string) => {
  const path = join(root, reportPath)
  if (await exists(path) && await readRegular(path) !== text) {
    throw new Refused(`another report is published at ${reportPath}`)
  }
}

/** A reason to leave something alone. */
class Refused extends Error {}

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, RetentionError> =>
  Effect.tryPromise({
    try: run,
    catch: (error) => new RetentionError({ file, detail: error instanceof Error ? error.message : String(error) })
  })

const sweep = (root: string, under: string, decide: (file: string, due: Due) => Promise<Action>) =>
  attempt(join(root, reportsRoot), async () => {
    const actions: Array<Action> = []
    for (const file of await reportFiles(root, `${reportsRoot}/${under}`)) {
      try {
        const due = dueOf(parsed(await readRegular(join(root, file))))
        actions.push(typeof due === "string" ? keep(file, due) : await decide(file, due))
      } catch (error) {
        if (error instanceof Refused) actions.push(keep(file, error.message))
        // Another sweep was faster.
        else if (!await exists(join(root, file))) actions.push(keep(file, "it is gone since"))
        else throw error
      }
    }
    return actions
  })

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refused("no JSON")
  }
}

/** Every regular file below a folder, by name. Links are not followed, and are no files. */
const reportFiles = async (root: string, folder: string): Promise<ReadonlyArray<string>> => {
  if (!await realFolders(root, folder, false)) return []
  const files: Array<string> = []
  const open: Array<string> = [folder]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const entry of await readdir(join(root, next), { withFileTypes: true })) {
      const path = `${next}/${entry.name}`
      if (entry.isDirectory()) open.push(path)
      else if (entry.isFile() && entry.name.endsWith(".json")) files.push(path)
    }
  }
  return files.toSorted()
}

/**
 * Whether every folder on the way, from the root's `.tau` on, is a folder and no link to one. With `make` the missing ones
 * are made. A link is refused: it could lead anywhere.
 */
const realFolders = async (root: string, folder: string, make: boolean): Promise<boolean> => {
  // Nothing would be found in one that is mistyped.
  if (!await stat(root).then((found) => found.isDirectory(), () => false)) {
    throw new Refused(`there is no folder ${root}`)
  }
  let path = root
  for (const name of folder.split("/")) {
    path = join(path, name)
    if (make) await mkdir(path, { mode: 0o755 }).catch(ignoreExisting)
    const found = await lstat(path).catch(absent)
    if (found === undefined) return false
    if (!found.isDirectory()) {
      throw new Refused(`${path} is no folder of its own (a link, perhaps): nothing was touched`)
    }
  }
  return true
}

const ignoreExisting = (error: NodeJS.ErrnoException) => {
  if (error.code !== "EEXIST") throw error
}

const absent = (error: NodeJS.ErrnoException) => {
  if (error.code === "ENOENT") return undefined
  throw error
}

const exists = async (path: string) => (await lstat(path).catch(absent)) !== undefined

const readRegular = async (path: string): Promise<string> => {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile()) throw new Refused("no regular file")
    return await handle.readFile("utf8")
  } finally {
    await handle.close()
  }
}
