import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { request } from "node:http"
import { dirname, join } from "node:path"
import { operatorOf } from "../../src/cli/Operator.js"
import { Dashboard, type DashboardOptions } from "../../src/dashboard/Dashboard.js"
import { DashboardServer } from "../../src/dashboard/DashboardServer.js"
import { DashboardStore } from "../../src/dashboard/DashboardStore.js"

/** The dashboard of a store on a free port, as `tau dashboard` serves it. */
export const dashboardAt = (storePath: string, options: Partial<DashboardOptions> = {}) =>
  Effect.map(
    Layer.build(
      DashboardServer.layer({ host: "127.0.0.1", port: 0 }).pipe(
        Layer.provide(
          Dashboard.layer({ bindHost: "127.0.0.1", token: null, localPrincipal: "local:tester", ...options })
        ),
        Layer.provide(
          operatorOf({
            storePath,
            stateDir: dirname(storePath),
            rbacPolicyPath: join(dirname(storePath), "rbac.json")
          })
        ),
        Layer.provide(DashboardStore.atRest(storePath))
      )
    ),
    (context) => asking(Effect.runSync(Effect.provide(DashboardServer, context)).origin)
  )

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
  readonly json: Body
}

// oxlint-disable-next-line typescript/no-explicit-any -- what a test reads of an answer, it asserts
export type Body = any

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Sends the path exactly as it is written: `fetch` would tidy it up. */
export const asking = (origin: string) => ({
  origin,
  ask: (path: string, { body, headers = {}, method = "GET" }: Asked = {}) =>
    Effect.async<Answer>((resume) => {
      const { hostname, port } = new URL(origin)
      const sent = request({ hostname, port, path, method, headers: { ...headers }, agent: false }, (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString()
          const isJson = response.headers["content-type"]?.startsWith("application/json") === true
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              json: isJson && text !== "" ? JSON.parse(text) as Body : null
            })
          )
        })
      })
      sent.on("error", (error) => resume(Effect.die(error)))
      sent.end(body)
    }),
  act: (action: string, reason = "a test", headers: Readonly<Record<string, string>> = {}) => {
    const body = JSON.stringify({ action, reason })
    return asking(origin).ask("/dashboard/actions", {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": String(body.length), ...headers },
      body
    })
  }
})

export interface Heard {
  readonly events: () => ReadonlyArray<{ readonly id: string; readonly event: string; readonly data: Body }>
  readonly isOver: () => boolean
  /** It ended as a stream ends, and was not broken off. */
  readonly isWhole: () => boolean
  readonly close: () => void
}

/** Listens to the stream of events until the scope ends. */
export const listening = (origin: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.async<Heard>((resume) => {
      const sent = request(`${origin}/dashboard/stream`, { headers: { ...headers }, agent: false }, (response) => {
        let text = ""
        let over = response.statusCode !== 200
        response.on("data", (chunk: Buffer) => text += chunk.toString())
        response.on("error", () => {})
        let whole = false
        response.on("end", () => whole = true)
        response.on("close", () => over = true)
        resume(
          Effect.succeed({
            events: () =>
              text.split("\n\n").slice(0, -1).filter((block) => !block.startsWith(":")).map((block) => {
                const [, id = "", event = "", data = ""] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? []
                return { id, event, data: JSON.parse(data) as Body }
              }),
            isOver: () => over,
            isWhole: () => whole,
            close: () => sent.destroy()
          })
        )
      })
      sent.on("error", () => {})
      sent.end()
    }),
    ({ close }) => Effect.sync(close)
  )
