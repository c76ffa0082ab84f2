import { spawnSync } from "node:child_process"

/** Whether the process runs; one that ended and was not waited for does not. */
export const alive = (pid: number): boolean => {
  const state = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim()
  return state !== "" && !state.startsWith("Z")
}

/** Asks again and again until the answer is there; fails after the deadline. */
export const eventually = async <A>(
  what: string,
  ask: () => A | undefined | false,
  deadlineMs = 10_000
): Promise<A> => {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const answer = ask()
    if (answer !== undefined && answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
}
