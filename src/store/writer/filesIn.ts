import { readdirSync } from "node:fs"

/** The names in a folder; none where it cannot be read. */
export const filesIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
