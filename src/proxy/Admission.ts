/** Who may call, and with which key a call goes on to the upstream. Plain functions over what is in memory. */
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { rolloutOfAttempt } from "../domain/AttemptName.js"
import { isLoopback } from "../http/HostName.js"
import type { CallIdentity } from "./CallIdentity.js"
import type * as Headers from "./Headers.js"
import { holdsOwnKey, isOwnKey, type KeyRing, shownKey, shownKeys } from "./KeyRing.js"
import type { Refusal } from "./ProxyError.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import { keyHeaders, RequestSecrets } from "./RequestSecrets.js"

export class Admission {
  private readonly clientKeyHash: Buffer | null
  /** What the proxy tells of itself is for those who have a key. */
  private readonly isGuarded: boolean
  private readonly secrets: RequestSecrets

  constructor(
    private readonly options: ProxyOptions,
    private readonly upstreamOrigin: string,
    private readonly ring: KeyRing | null
  ) {
    this.clientKeyHash = options.clientKey === null ? null : sha256(options.clientKey)
    this.secrets = new RequestSecrets(options.secretHeaders ?? keyHeaders)
    this.isGuarded = options.keys?.required === true || !isLoopback(options.bind.host)
  }

  /** Which of the caller's keys go up, and which take their place; or why the call is refused. */
  credentialsFor(request: IncomingMessage, identity: CallIdentity): Headers.Credentials | Denial {
    const { clientKey, keys, upstreamKey } = this.options
    const keyHeader = keyHeaderOf(this.upstreamOrigin, identity.path, request)
    if (holdsOwnKey(identity.path) || holdsOwnKey(request.headers.cookie ?? "")) {
      return ["key", "a key of tau in the URL or a cookie would go on to the upstream: show it as a bearer token"]
    }
    if (clientKey !== null) {
      if (this.isRunKey(request)) return { strip: "all", key: upstreamKey, keyHeader }
      return ["key", "this proxy needs the key that was handed out with its base URL"]
    }
    if (keys === undefined || this.ring === null) return { strip: "none", key: upstreamKey, keyHeader }
    const shown = shownKey(request.headers)
    if (shown === null || !isOwnKey(shown)) {
      if (keys.required) return ["key", "this proxy needs a key: tau keys create makes one"]
      // Of two `Authorization` headers, the second may show one of ours.
      return { strip: "own", key: upstreamKey, keyHeader }
    }
    const known = this.ring.goodKey(shown)
    if (known === null) return ["key", "this key is unknown, revoked or expired"]
    const { id, scope } = known
    if (scope !== "capture" && !isOfRun(scope, identity)) {
      return ["keyScope", `this key is good for rollouts of ${scope} only`]
    }
    const key = upstreamKey ?? keys.upstreamKey
    if (key === null && this.upstreamOrigin.startsWith("https:") && !hasOtherKey(request)) {
      return [
        "upstreamKey",
        "a key of tau stops at the proxy, and the proxy was started without the upstream's own key: start it with the variable "
        + "of its provider, or the one that --prompt-optimization-proxy-upstream-key-env names"
      ]
    }
    return { strip: "own", key, keyHeader, clientKeyId: id }
  }

  /** What of a request that may pass is written down nowhere: its keys, and the one that takes their place. */
  secretsOf(
    { rawHeaders }: IncomingMessage,
    { path }: CallIdentity,
    { key }: Headers.Credentials
  ): ReadonlyArray<string> {
    return this.secrets.of(rawHeaders, path, key)
  }

  /** Who may see the metrics and all of the health: everybody on this machine, unless keys are asked for. */
  mayWatch(request: IncomingMessage): boolean {
    if (!this.isGuarded) return true
    if (this.clientKeyHash !== null) return this.isRunKey(request)
    return this.ring !== null && this.ring.goodKey(shownKey(request.headers) ?? "") !== null
  }

  /** Compares hashes in constant time: neither the length nor a prefix of the key can be learnt. */
  private isRunKey({ headers }: IncomingMessage): boolean {
    const shown = shownKey(headers)
    return this.clientKeyHash !== null && shown !== null && timingSafeEqual(sha256(shown), this.clientKeyHash)
  }
}

/** Whether the rollout is the run's, and the attempt no other run's: a span is of the run whose attempt it names. */
const isOfRun = (runId: string, { attribution }: CallIdentity): boolean =>
  attribution !== null &&
  [attribution.rolloutId, rolloutOfAttempt(attribution.attemptId) ?? attribution.rolloutId]
    .every((rolloutId) => rolloutId.startsWith(`${runId}-`))

type Denial = [kind: Refusal, message: string]

/**
 * Azure and Anthropic's own API look for their key elsewhere than everybody else. Behind another name, a gateway's say, the client
 * knows: its key is where that API takes one.
 */
const keyHeaderOf = (origin: string, path: string, { headers }: IncomingMessage): Headers.KeyHeader => {
  if (/\.(?:openai|cognitiveservices|services\.ai)\.azure\.com(?::\d+)?$/.test(origin)) return "api-key"
  const isMessages = /^\/(?:v1\/)?messages(?:$|[/?])/.test(path)
  if (isMessages && (origin === "https://api.anthropic.com" || "x-api-key" in headers)) return "x-api-key"
  return "api-key" in headers && path.startsWith("/openai/") ? "api-key" : "authorization"
}

const hasOtherKey = ({ headers }: IncomingMessage): boolean => shownKeys(headers).some((key) => !isOwnKey(key))

const sha256 = (text: string) => createHash("sha256").update(text).digest()
