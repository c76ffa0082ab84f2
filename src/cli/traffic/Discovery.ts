/** Finds an agent's stable texts in its recorded calls, and writes the part of a config that makes them components. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RewriteRule } from "../../domain/Rewrite.js"
import type { Span } from "../../domain/Span.js"
import { decodeBody, recordedCodings } from "../../openai/Decode.js"
import { endpointOf, socketEndpointOf } from "../../openai/Endpoint.js"
import { GenAi } from "../../openai/GenAi.js"
import { type RequestText, requestTexts } from "../../openai/RequestTexts.js"
import { type SpanFilter, SpanStore } from "../../store/SpanStore.js"
import { each, everyPage } from "../reading/reading.js"
import { originalOf } from "../reading/SpanCommand.js"
import { type StableText, StableTexts } from "./StableTexts.js"

/** A text, and the name it has as a resource; null when no rule is offered for it. */
export interface Component extends StableText {
  readonly component: string | null
}

export interface Discovery {
  /** Calls whose texts could be read. */
  readonly calls: number
  /** Of these, calls whose bodies were compressed: those are not rewritten. */
  readonly compressed: number
  readonly texts: ReadonlyArray<Component>
  readonly resources: Readonly<Record<string, string>>
  readonly rewrite: ReadonlyArray<RewriteRule>
}

/** The newest calls that are looked at. */
const discoveredCallsMax = 1_000
/** What fewer calls hold is listed, and no rule is offered for it. */
const ruleShareMin = 0.05

/** What the agent's own work held, side calls apart; of a call that was rewritten, what the agent had. */
export const discover = (filter: SpanFilter, textsMax: number, isWanted: (span: Span) => boolean = () => true) =>
  Effect.gen(function*() {
    const spans = yield* SpanStore
    const stable = new StableTexts()
    let looked = 0
    let compressed = 0
    const look = (span: Span) =>
      Effect.map(textsOf(span), (read) => {
        if (read !== null) stable.add(read.texts)
        if (read?.isCompressed === true) compressed += 1
      })
    yield* everyPage(
      ({ after, limit }) =>
        spans.list(
          { ...filter, kind: "llm", role: "main" },
          { after, limit: Math.min(limit, discoveredCallsMax - looked), order: "newest" }
        ),
      (items) => {
        looked += items.length
        return Effect.as(each(look)(items.filter(isWanted)), looked < discoveredCallsMax)
      }
    )
    return { calls: stable.calls, compressed, ...componentsOf(stable.found().slice(0, textsMax)) } satisfies Discovery
  })

const textsOf = (span: Span) =>
  Effect.gen(function*() {
    const sha256 = originalOf(span)
    if (sha256 === null || span.attributes[GenAi.requestTruncated] === true) return null
    const body = Option.getOrNull(yield* (yield* SpanStore).payload(sha256))
    const isSocket = span.attributes[GenAi.wire] === "ws"
    const { api } = isSocket ? socketEndpointOf(span.path) : endpointOf(span.method, span.path)
    if (body === null) return null
    for (const coding of recordedCodings) {
      const decoded = decodeBody(body, coding)
      const texts = "bytes" in decoded ? requestTexts(api, Buffer.from(decoded.bytes)) : null
      if (texts !== null) return { texts: texts.filter(isSaid), isCompressed: coding !== "identity" }
    }
    return null
  })

const isSaid = ({ text }: RequestText) => text.trim() !== ""

const componentsOf = (texts: ReadonlyArray<StableText>): Pick<Discovery, "texts" | "resources" | "rewrite"> => {
  const taken = new Set<string>()
  const resources: Record<string, string> = {}
  const rewrite: Array<RewriteRule> = []
  const named = texts.map((text): Component => {
    if (text.share < ruleShareMin || text.stable === null) return { ...text, component: null }
    const component = freeName(nameOf(text), taken)
    resources[component] = text.stable
    rewrite.push({ component, where: whereOf(text, text.stable) })
    return { ...text, component }
  })
  return { texts: named, resources, rewrite }
}

const whereOf = ({ forms, isRedacted, place, tool }: StableText, stable: string): RewriteRule["where"] => {
  if (place === "tool_description") return { kind: place, tool: tool ?? "" }
  return forms === 1 && !isRedacted ? { kind: place, equal: stable } : { kind: place, containing: stable }
}

/** A name that is the same for a file and for a variable. */
const nameOf = ({ place, tool }: StableText): string => {
  if (place === "system") return "system_prompt"
  if (place === "instructions") return "instructions"
  return `${(tool ?? "").replaceAll(/\W+/g, "_").slice(0, 64)}_description`
}

/** `name`, or `name_2`: resources whose names differ only in case and underscores share a variable. */
const freeName = (name: string, taken: Set<string>): string => {
  for (let n = 1;; n++) {
    const candidate = n === 1 ? name : `${name}_${n}`
    const key = candidate.toLowerCase().replaceAll("_", "")
    if (taken.has(key)) continue
    taken.add(key)
    return candidate
  }
}
