/**
 * The dashboard's API over HTTP, read this first: `Access` decides who may ask, the routes here whether there is an answer, and
 * the endpoints of `DashboardApi` what it is.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiError from "@effect/platform/HttpApiError"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Access, type AccessOptions, answerHeaders, bodyProblem, type Refused } from "./Access.js"
import { DashboardApi, idLengthMax } from "./DashboardApi.js"
import { dashboardHandlers } from "./DashboardHandlers.js"
import { Live } from "./Live.js"
import type { LiveStreamLimits } from "./LiveStream.js"
import { remember } from "./principals.js"
import { type Problem, problemOf, statusOf } from "./Problem.js"
import { storeHandlers } from "./StoreHandlers.js"

export interface DashboardOptions extends AccessOptions {
  readonly stream?: LiveStreamLimits
}

/** The dashboard as a handler of requests, for the port of a proxy or one of its own. */
export class Dashboard extends Context.Tag("tau/dashboard/Dashboard")<Dashboard, {
  /** Answers a request whose path begins with `/dashboard/`; everything else is not found. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Ends the streams, and begins no more: the server is about to stop. */
  readonly close: () => void
}>() {
  static readonly layer = (options: DashboardOptions) =>
    Layer.scoped(
      Dashboard,
      Effect.gen(function*() {
        // Unless told, the router knows no page of an id with more than 100 characters.
        const app = yield* HttpRouter.withRouterConfig(HttpApiBuilder.httpApp, { maxParamLength: idLengthMax })
        const answer = yield* NodeHttpServer.makeHandler(app)
        const access = new Access(options)
        const { stream } = yield* Live
        return Dashboard.of({
          close: () => stream.close(),
          handle: (request, response) => {
            for (const [name, value] of answerHeaders) response.setHeader(name, value)
            const admitted = access.admit(request)
            const problem = "kind" in admitted ? admitted : routeProblem(request, response)
            if (problem !== null) refuse(request, response, problem)
            else if ("principal" in admitted) {
              remember(request, admitted.principal)
              answer(request, response)
            }
          }
        })
      })
    ).pipe(
      Layer.provide(HttpApiBuilder.api(DashboardApi)),
      Layer.provide(dashboardHandlers),
      Layer.provide(storeHandlers),
      Layer.provide(ownErrors),
      Layer.provide(HttpApiBuilder.Router.Live),
      Layer.provide(HttpApiBuilder.Middleware.layer),
      Layer.provide(Live.layer(options.stream)),
      Layer.provide(NodeHttpServer.layerContext)
    )
}

/** Effect's own errors in the shape of ours. */
const ownErrors = HttpApiBuilder.middleware(DashboardApi, (app) => Effect.catchAllCause(app, (cause) => inShape(cause)))

type Common = "badRequest" | "notFound" | "failed"

/** What is wrong with which parameter, on one line: of one that may be several things, all that it may be. */
const complaint = ({ issues }: HttpApiError.HttpApiDecodeError): string => {
  const messages = new Map<string, ReadonlyArray<string>>()
  for (const { message, path } of issues) {
    const name = path.map(String).join(".") || "the request"
    messages.set(name, [...messages.get(name) ?? [], message.replace("Struct (Encoded side)", "a JSON object")])
  }
  return Array.from(messages, ([name, about]) => {
    const expected = about.flatMap((message) => /^Expected (.*), actual /s.exec(message)?.[1] ?? [])
    const [first = ""] = about
    return `${name}: ${first.replace(expected[0] ?? "", expected.filter((text) => text !== "undefined").join(" or "))}`
  }).join("; ").replaceAll(/\s+/g, " ")
}

const noSuchPage = "there is no such page; /dashboard/api/openapi.json names those that there are"

const inShape = (cause: Cause.Cause<unknown>): Effect.Effect<never, Problem<Common>> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  if (error instanceof HttpApiError.HttpApiDecodeError) {
    return Effect.fail(problemOf("badRequest", complaint(error).slice(0, 1_000)))
  }
  if (isTagged(error, "RouteNotFound")) return Effect.fail(problemOf("notFound", noSuchPage))
  if (isTagged(error, "RequestError")) return Effect.fail(problemOf("badRequest", "the body is not JSON"))
  // An endpoint's own problem, which is in shape already.
  if (Cause.isFailure(cause)) return Effect.fail(error as Problem<Common>)
  return Effect.zipRight(
    Effect.logError("the dashboard failed over a request", cause),
    Effect.fail(problemOf("failed", "the dashboard failed over this request; its log says why"))
  )
}

const isTagged = (error: unknown, tag: string): error is { readonly message: unknown } =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag

interface Route {
  readonly pattern: RegExp
  readonly methods: Array<string>
}

const routes: ReadonlyArray<Route> = (() => {
  const found = new Map<string, Route>()
  HttpApi.reflect(DashboardApi, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const pattern = new RegExp(`^${endpoint.path.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}$`)
      const route = found.get(endpoint.path) ?? { pattern, methods: [] }
      route.methods.push(endpoint.method)
      // The router answers it with the head of the other. The stream has no end, and so no head that says how long it is.
      if (endpoint.method === "GET" && endpoint.name !== "stream") route.methods.push("HEAD")
      found.set(endpoint.path, route)
    }
  })
  return [...found.values()]
})()

/** Whether the path, exactly as it was sent, is one of ours and means one thing only. */
const routeProblem = (request: IncomingMessage, response: ServerResponse): Refused | null => {
  const [path = ""] = (request.url ?? "").split("?", 1)
  const route = isPlain(path) ? routes.find(({ pattern }) => pattern.test(path)) : undefined
  if (route === undefined) return { kind: "notFound", message: noSuchPage }
  if (!route.methods.includes(request.method ?? "")) {
    response.setHeader("allow", route.methods.join(", "))
    return { kind: "methodNotAllowed", message: `this page answers ${route.methods.join(" and ")}` }
  }
  const wrong = parameterProblem(request)
  if (wrong !== null) return { kind: "badRequest", message: wrong }
  return request.method === "POST" ? bodyProblem(request) : null
}

/** What no parser that puts parameters into an object tells well, if at all. */
const parameterProblem = (request: IncomingMessage): string | null => {
  const parameters = parametersOf(request)
  if (parameters.has("__proto__")) return "__proto__: is unexpected"
  const doubled = [...parameters.keys()].find((name) => parameters.getAll(name).length > 1)
  return doubled === undefined ? null : `${doubled.slice(0, 100)}: is given more than once`
}

const parametersOf = ({ url = "" }: IncomingMessage) =>
  new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?")) : "")

/** An id may have slashes of either kind, percent-encoded: they part nothing, neither here nor for the router. */
const isPlain = (path: string): boolean => {
  try {
    const parts = path.split("/").map(decodeURIComponent)
    return !path.includes("\\") &&
      // oxlint-disable-next-line no-control-regex -- no id has them, and a path with them is an attempt at something
      parts.every((part) => part !== "." && part !== ".." && !/[\u0000-\u001F]/.test(part))
  } catch {
    return false
  }
}

const refuse = (request: IncomingMessage, response: ServerResponse, { kind, message }: Refused) => {
  // The body of a refused request is not read: the connection ends with the answer.
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) {
    response.setHeader("connection", "close")
  }
  if (kind === "unauthorized") response.setHeader("www-authenticate", "Bearer")
  const body = Buffer.from(JSON.stringify(problemOf(kind, message)))
  response.writeHead(statusOf(kind), { "content-type": "application/json", "content-length": body.length })
  response.end(body)
}
