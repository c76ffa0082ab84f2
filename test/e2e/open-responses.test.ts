import { describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { Proxy } from "../../src/proxy/Proxy.js"
import { SimulatedModel } from "../../src/testing/index.js"
import { openResponsesSuite } from "../suites/openResponses.js"
import { proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"

const scope = Effect.runSync(Scope.make())
let origin = ""

beforeAll(async () => {
  const starting = Effect.gen(function*() {
    const folder = yield* scratchFolder
    const { url } = yield* SimulatedModel.scoped()
    const context = yield* Layer.build(proxyAt(join(folder, "store.sqlite"), url))
    return Context.get(context, Proxy).origin
  })
  origin = await Effect.runPromise(Scope.extend(starting, scope))
})

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

describe("A server of the Open Responses specification behind the proxy", () => {
  openResponsesSuite(() => `${origin}/v1`, "sim/arithmetic")
})
