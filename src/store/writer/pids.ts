/** What the system tells of the process of a pid. */
import { readFileSync } from "node:fs"

/** A process that has died keeps its pid until its parent asks how: in a container whose first process never does, for ever. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false
  }
  return !/^[ZXx]$/.test(statOf(pid)?.[0] ?? "")
}

/** When the process of a pid began, in the system's own words (Linux: field 22 of /proc/<pid>/stat), or null. */
export const pidStarted = (pid: number): string | null => statOf(pid)?.[19] ?? null

/** The fields of /proc/<pid>/stat from the third on: what comes before may hold any character. */
export const statOf = (pid: number): ReadonlyArray<string> | null => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return null
  }
}
