/** What an agent reports of its own safety layer: `{"reason_codes": ["prompt_injection.role_override"], "blocked": true}`. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { SafetyEvent } from "../domain/Reward.js"

const Event = Schema.Struct({
  reason_codes: Schema.optionalWith(Schema.Array(Schema.NonEmptyString), { default: () => [] }),
  blocked: Schema.optionalWith(Schema.Boolean, { default: () => false })
})

const decodeEvents = Schema.decodeUnknownOption(Schema.Array(Event))
const decodeLine = Schema.decodeUnknownOption(Schema.parseJson(Event))

const fromRow = ({ blocked, reason_codes }: typeof Event.Type): SafetyEvent => ({ blocked, reasonCodes: reason_codes })

/** The events in a list; none when any of it is no event, for an unread report must not pass as a clean one. */
export const readEvents = (value: unknown): Option.Option<ReadonlyArray<SafetyEvent>> =>
  Option.map(decodeEvents(value), (events) => events.map(fromRow))

/** The events of a file with one JSON object per line. */
export const readEventLines = (text: string): Option.Option<ReadonlyArray<SafetyEvent>> =>
  Option.map(
    Option.all(text.split("\n").filter((line) => line.trim() !== "").map((line) => decodeLine(line))),
    (events) => events.map(fromRow)
  )
