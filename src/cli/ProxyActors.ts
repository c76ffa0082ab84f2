/** The parts of a process that are no fibers of the runtime, as `tau inspect tree` shows them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { counted } from "../domain/Figures.js"
import { Proxy } from "../proxy/Proxy.js"
import type { ActorReport } from "../runtime/Actor.js"
import { ActorTree } from "../runtime/ActorTree.js"
import { ControlSocket } from "../runtime/ControlSocket.js"
import { Writer } from "../store/Writer.js"

/** Shows the proxy, its recorder and its watch over the store, and lets the tree be asked for. */
export const proxyActors = Layer.scopedDiscard(Effect.gen(function*() {
  const proxy = yield* Proxy
  const writer = yield* Writer
  const tree = yield* ActorTree
  const socket = yield* ControlSocket
  const startedAtMs = yield* Clock.currentTimeMillis
  const shown = (name: string, detail: string, isWell = true): ActorReport => ({
    name,
    state: isWell ? "running" : "failed",
    startedAtMs,
    restarts: 0,
    lastDeath: null,
    mailbox: null,
    work: null,
    detail
  })
  yield* tree.grow({
    actors: () => {
      const { callsQueued, callsUnderWay, spansCommitted, spansLost, status, storeFailure, storeFreeBytes } = proxy
        .health()
      const { commits, failure, waiting } = writer.health()
      const free = storeFreeBytes === null ? "" : `, ${Math.floor(storeFreeBytes / 1_048_576)} MiB free`
      return [
        shown("proxy", `${proxy.origin}, ${counted(callsUnderWay, "call")} under way, ${callsQueued} queued`),
        shown(
          "span recorder",
          `${waiting} waiting, ${counted(commits, "commit")}, ${
            counted(spansCommitted, "call")
          } recorded, ${spansLost} lost`,
          failure === null
        ),
        shown("store watch", `${status}${free}${storeFailure === null ? "" : `, ${storeFailure}`}`)
      ]
    }
  })
  yield* socket.answers("tree", tree.report)
}))
