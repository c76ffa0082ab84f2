/** Asks a live process something about itself. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { connect } from "node:net"
import { Answer, type Question, replyBytesMax } from "./ControlSocket.js"
import type { SocketFile } from "./ControlSocketFiles.js"

const patience = "5 seconds"

/** `gone`: nobody listens there. `silent`: somebody does and says nothing. `refused`: it does not answer this question. `unclear`: it does not speak our language. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  pid: Schema.Int,
  reason: Schema.Literal("gone", "silent", "refused", "unclear"),
  detail: Schema.String
}) {
  override get message() {
    return `process ${this.pid} did not answer: ${this.detail}`
  }
}

/** One question to one process; the answer is checked against the schema. Waits a few seconds at most. */
export const ask = <A, I>(
  { pid, target }: SocketFile,
  question: string,
  schema: Schema.Schema<A, I>
): Effect.Effect<A, NoAnswer> =>
  Effect.gen(function*() {
    const failed = (reason: NoAnswer["reason"], detail: string) => new NoAnswer({ pid, reason, detail })
    const line = yield* Effect.async<string, NoAnswer>((resume) => {
      let text = ""
      const socket = connect(target)
      const end = (effect: Effect.Effect<string, NoAnswer>) => {
        socket.destroy()
        resume(effect)
      }
      socket.setEncoding("utf8")
      socket.on("connect", () =>
        socket.write(`${JSON.stringify({ version: 1, ask: question } satisfies typeof Question.Type)}\n`))
      socket.on("data", (chunk: string) => {
        text += chunk
        const at = text.indexOf("\n")
        if (at >= 0) {
          end(Effect.succeed(text.slice(0, at)))
        } else if (text.length > replyBytesMax) {
          end(failed("unclear", "its answer is too long"))
        }
      })
      socket.on("error", (error) =>
        end(failed("gone", error.message)))
      socket.on("close", () => end(failed("gone", "it ended before it answered")))
      return Effect.sync(() => socket.destroy())
    }).pipe(Effect.timeoutFail({
      duration: patience,
      onTimeout: () => failed("silent", "it said nothing in time; it may be stopped by a signal, or stuck")
    }))

    const unclear = Effect.mapError(() => failed("unclear", "its answer cannot be read; is it another version of tau?"))
    const answer = yield* Schema.decodeUnknown(Schema.parseJson(Answer))(line).pipe(unclear)
    if (!answer.ok) return yield* failed("refused", answer.error)
    return yield* Schema.decodeUnknown(schema)(answer.answer).pipe(unclear)
  })
