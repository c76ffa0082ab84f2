import { assert, describe, it } from "@effect/vitest"
import { CallClock, type UnderWay } from "../../src/proxy/CallClock.js"

const never = 3_600_000

/** A call that is over when it is first failed; `sent` is asked at each look for the bytes sent to a client that is waited for. */
const callOf = (sent: (look: number) => number | null, failed: (kind: string, look: number) => void): UnderWay => {
  let looks = 0
  return {
    place: 0,
    startedAt: performance.now(),
    get sentWhilePaused() {
      looks += 1
      return sent(looks)
    },
    heardAt: null,
    fail: (kind) => failed(kind, looks),
    isOn: () => false,
    abandon: () => {}
  }
}

const ended = async (
  limits: Partial<ConstructorParameters<typeof CallClock>[2]>,
  callsOf: (end: () => void) => Array<UnderWay>
) => {
  let clock: CallClock | undefined
  await new Promise<void>((end) => {
    clock = new CallClock(callsOf(end), [], { callMs: never, clientIdleMs: never, uploadIdleMs: never, ...limits })
  })
  clock?.close()
}

describe("CallClock", () => {
  it("ends the call whose client reads nothing, not those whose clients read slowly or are waited for anew", async () => {
    const told: Array<string> = []
    await ended({ clientIdleMs: 100 }, (end) => [
      callOf(() => null, () => told.push("not waited for")),
      callOf((look) => look, () => told.push("slow")),
      callOf((look) => look % 2 === 0 ? 7 : null, () => told.push("anew")),
      callOf(() => 7, (kind) => {
        told.push(kind)
        end()
      })
    ])
    assert.deepStrictEqual(told, ["unread"])
  })

  it("does not count to a client the time in which this process stood still", async () => {
    let failedAt = 0
    await ended({ clientIdleMs: 100 }, (end) => [
      callOf((look) => {
        const until = performance.now() + (look === 2 ? 300 : 0)
        while (performance.now() < until) { /* stands still */ }
        return 7
      }, (_, look) => {
        failedAt = look
        end()
      })
    ])
    assert.isAtLeast(failedAt, 4)
  })
})
