import * as Effect from "effect/Effect"
import { storeHint } from "../../domain/CommandText.js"
import { ResourceReader } from "../../store/ResourceReader.js"
import { found } from "./reading.js"

/** The version of the resources with this number, or the latest; fails where there is none. */
export const versionNamed = (wanted: number | "latest", storePath: string) =>
  Effect.gen(function*() {
    const resources = yield* ResourceReader
    return yield* found(
      wanted === "latest" ? resources.latest : resources.get(wanted),
      wanted === "latest"
        ? `there are no resources in ${storePath}: a run of a config publishes those that it names`
        : `there is no version ${wanted} of the resources in ${storePath}; tau resources${
          storeHint(storePath)
        } lists them`
    )
  })
