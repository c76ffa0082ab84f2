import { assert, describe, it } from "@effect/vitest"
import type { Socket } from "node:net"
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
  callsOf: (end: () => void) => Array<UnderWay>,
  connections: ConstructorParameters<typeof CallClock>[1] = []
) => {
  let clock: CallClock | undefined
  await new Promise<void>((end) => {
    clock = new CallClock(callsOf(end), connections, {
      callMs: never,
      clientIdleMs: never,
      uploadIdleMs: never,
      ...limits
    })
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

  it("does not count it to a client that is yet to send the rest of its request either", async () => {
    let failedAt = 0
    await ended({ uploadIdleMs: 100 }, (end) => {
      const call = callOf((look) => {
        const until = performance.now() + (look === 1 ? 300 : 0)
        while (performance.now() < until) { /* stands still */ }
        return null
      }, (_, look) => {
        // A look asks for what was sent after it has looked at what came.
        failedAt = look + 1
        end()
      })
      return [Object.defineProperty(call, "heardAt", { value: performance.now() })]
    })
    assert.isAtLeast(failedAt, 3)
  })

  it("closes a connection whose client reads nothing, with the calls on it, and no other", async () => {
    const told: Array<string> = []
    const socketOf = (name: string, unsent: number, closed: () => void) => ({
      writableLength: unsent,
      bytesWritten: 7,
      resetAndDestroy: () => {
        told.push(`${name} closed`)
        closed()
      },
      destroy: () => told.push(`${name} closed`)
    } as unknown as Socket)
    let end = () => {}
    const unread = socketOf("unread", 3, () => end())
    const idle = socketOf("idle", 0, () => {})
    const on = (socket: Socket, name: string) => ({
      ...callOf(() => null, (kind) => told.push(`${name} ${kind}`)),
      isOn: (one: Socket) => one === socket
    })
    await ended({ clientIdleMs: 100 }, (finish) => {
      end = finish
      return [on(idle, "the idle one's call"), on(unread, "the unread one's call")]
    }, [{ socket: idle }, { socket: unread }])
    assert.deepStrictEqual(told, ["the unread one's call unread", "unread closed"])
  })
})
