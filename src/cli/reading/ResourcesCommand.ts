import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { defaultStore, storeHint } from "../../domain/CommandText.js"
import { counted } from "../../domain/Figures.js"
import { type Resources, resourceText } from "../../domain/Resources.js"
import { visible } from "../../domain/TerminalText.js"
import { ResourceReader } from "../../store/ResourceReader.js"
import { snake } from "../../store/RowJson.js"
import { CommandFailed } from "../CliError.js"
import type { Paging, Place } from "../ReadingFlags.js"
import { run as discover } from "../traffic/DiscoverCommand.js"
import { block, fact } from "./facts.js"
import { again, filled, printJson, printPage, reading } from "./reading.js"
import { type Column, table } from "./Table.js"
import { paint, print, write } from "./Terminal.js"
import { ago } from "./text.js"
import { versionNamed } from "./versionNamed.js"
import { scoresJson, scoresOf, scoreText } from "./versionScores.js"

export interface ResourcesMode extends Place, Paging {
  readonly version: number | "latest" | "discover" | null
  /** Name of the text that alone is written; null for all of the version. */
  readonly text: string | null
}

export const run = (mode: ResourcesMode) =>
  mode.version === "discover"
    ? discover(mode)
    : reading(mode.storePath, mode.version === null ? list(mode) : show(mode, mode.version))

const list = (mode: ResourcesMode) =>
  Effect.gen(function*() {
    const resources = yield* ResourceReader
    const nowMs = yield* Clock.currentTimeMillis
    const page = yield* filled(mode, resources.page)
    if (mode.json) {
      return yield* printJson({ store_path: mode.storePath, resources: page.items.map(snake), next: page.next })
    }
    const latest = Option.getOrUndefined(yield* resources.latest)
    return yield* printPage(page, mode, table(page.items, columnsAt(nowMs)), {
      more: again("resources", { store: mode.storePath === defaultStore ? null : mode.storePath, limit: mode.limit }),
      next: latest === undefined ? [] : hints(latest, page.items[0], storeHint(mode.storePath)),
      empty: [`No resources in ${visible(mode.storePath)}: a run of a config publishes those that it names.`]
    })
  })

/** Of the version that counts: the newest may be a candidate that came to nothing. */
const hints = (
  { parentVersion, version }: Resources,
  newest: Resources | undefined,
  store: string
): ReadonlyArray<string> => {
  const older = parentVersion ?? version
  const newer = parentVersion === null ? newest?.version ?? version : version
  return [
    `In full: tau resources ${version}${store}`,
    ...(older === newer ? [] : [`Compare: tau diff ${older} ${newer}${store}`])
  ]
}

const show = (mode: ResourcesMode, wanted: number | "latest") =>
  Effect.gen(function*() {
    const nowMs = yield* Clock.currentTimeMillis
    const shown = yield* versionNamed(wanted, mode.storePath)
    const { version } = shown
    if (mode.text !== null) return yield* writeText(shown, mode.text)
    const scores = yield* scoresOf(version)
    if (mode.json) {
      return yield* printJson({ store_path: mode.storePath, resources: snake(shown), scores: scoresJson(scores) })
    }
    return yield* print([
      `${paint("strong", `version ${version}`)}${shown.isLatest ? "  the latest" : ""}`,
      ...fact("parent", shown.parentVersion === null ? "" : `version ${shown.parentVersion}`),
      ...fact("author", visible(shown.author)),
      ...fact("made", ago(shown.createdTime, nowMs)),
      ...Object.entries(shown.resources).flatMap(([name, value]) => [
        "",
        paint("strong", visible(name)),
        ...block(resourceText(value))
      ]),
      "",
      ...scoreText(version, scores)
    ])
  })

/** The text as it is, to be put where the agent has its own. */
const writeText = ({ resources, version }: Resources, name: string) =>
  Object.hasOwn(resources, name)
    ? Effect.as(write(resourceText(resources[name]!)), 0)
    : new CommandFailed({
      detail: `version ${version} has no ${visible(name)}, only ${Object.keys(resources).map(visible).join(", ")}`
    })

const columnsAt = (nowMs: number): ReadonlyArray<Column<Resources>> => [
  { title: "version", align: "right", cell: ({ version }) => String(version) },
  { title: "", cell: ({ isLatest }) => isLatest ? "latest" : "" },
  { title: "parent", align: "right", cell: ({ parentVersion }) => parentVersion === null ? "" : String(parentVersion) },
  { title: "author", least: 8, cell: ({ author }) => visible(author) },
  {
    title: "resources",
    least: 20,
    cell: ({ resources }) =>
      Object.entries(resources).map(([name, value]) =>
        `${visible(name)} (${counted(resourceText(value).length, "character")})`
      )
        .join(", ")
  },
  { title: "made", align: "right", cell: ({ createdTime }) => ago(createdTime, nowMs) }
]
