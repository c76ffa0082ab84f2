import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { AnswerParser, type Progress } from "../../src/http/AnswerParser.js"

/** Reads answers as a connection does, one after another. Stops behind each piece of a body where `stops` says so. */
const read = (pieces: ReadonlyArray<Buffer>, stops: () => boolean = () => false, method = "POST") => {
  const told: Array<string> = []
  let body = ""
  const parser = new AnswerParser({
    onHead: (status, headers, reason, { isUpgrade, keepsAlive }) => {
      told.push(`${status} ${reason} ${headers.join("|")}${keepsAlive ? "" : " close"}${isUpgrade ? " upgrade" : ""}`)
      return method === "HEAD" ? "none" : "body"
    },
    onBody: (bytes) => {
      body += bytes.toString("latin1")
      return stops()
    },
    onWhole: (trailers) => {
      told.push(`${body} [${trailers.join("|")}]`)
      body = ""
    }
  })
  const goOn = (progress: Progress): Progress => progress === "stopped" ? goOn(parser.resume()) : progress
  try {
    const ways = pieces.map((piece) => goOn(parser.read(piece)))
    return { told, body, last: ways.at(-1), end: () => parser.end() }
  } catch (error) {
    return { told, body, last: (error as { code: string }).code, end: () => parser.end() }
  } finally {
    parser.free()
  }
}

const latin1 = (text: string) => Buffer.from(text, "latin1")
const ok = "HTTP/1.1 200 OK\r\n"
const readText = (text: string, method?: string) => read([latin1(text)], undefined, method)

const answers = [
  `${ok}content-length: 5\r\n\r\nhello`,
  `${ok}Content-Length: 0\r\nX-Empty:\r\nX-Two: 1\r\nX-Two:  2\r\n\r\n`,
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Nicht gef\u00FCnden\r\ncontent-length: 1\r\nx: \u00E9\r\n\r\nx",
  `${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nx-sum: 7\r\n\r\n`,
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n",
  "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}"
]

/** The bytes of some of them, and where these are divided. */
const divided = fc.tuple(
  fc.array(fc.constantFrom(...answers), { minLength: 1, maxLength: 3 }),
  fc.array(fc.nat(400), { maxLength: 12 }),
  fc.infiniteStream(fc.boolean())
)

describe("The parser of answers", () => {
  it.prop(
    "tells the same of answers however their bytes come, and wherever it is stopped",
    [divided],
    ([[texts, cuts, stops]]) => {
      const wanted = texts.flatMap((text) => readText(text).told)
      const pieces = texts.flatMap((text) => {
        const bytes = latin1(text)
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
        return places.slice(1).map((end, index) => bytes.subarray(places[index], end)).filter(({ length }) =>
          length > 0
        )
      })
      const { body, last, told } = read(pieces, () => stops.next().value)
      assert.deepStrictEqual({ body, last, told }, { body: "", last: "whole", told: wanted })
    }
  )

  it("tells names, values, reasons and trailers as Latin-1, informational answers among them", () => {
    assert.deepStrictEqual(readText(answers[2]!).told, [
      "103 Early Hints Link|</a>",
      "100 Continue ",
      "404 Nicht gef\u00FCnden content-length|1|x|\u00E9",
      "x []"
    ])
    assert.deepStrictEqual(readText(answers[3]!).told, [
      "200 OK transfer-encoding|chunked",
      "hello world [x-sum|7]"
    ])
    assert.deepStrictEqual(readText(answers[1]!).told[0], "200 OK Content-Length|0|X-Empty||X-Two|1|X-Two|2")
  })

  it("reads pieces longer than its memory", () => {
    const body = "x".repeat(200_000)
    assert.deepStrictEqual(readText(`${ok}content-length: 200000\r\n\r\n${body}`).told[1], `${body} []`)
    let isFirst = true
    const stopsOnce = () => isFirst && !(isFirst = false)
    const { last, told } = read([latin1(`${ok}content-length: 200000\r\n\r\n${body}`)], stopsOnce)
    assert.deepStrictEqual([last, told[1]], ["whole", `${body} []`])
  })

  it("says of what comes behind an answer that it answers nothing", () => {
    assert.strictEqual(readText(`${answers[0]}x`).last, "before")
    assert.strictEqual(readText(`${answers[0]}${answers[0]}`).last, "before")
    const long = `${ok}content-length: 65515\r\n\r\n`
    assert.strictEqual(readText(long + "x".repeat(65_515) + "y".repeat(70_000)).last, "before")
  })

  it("reads no body where there is none: behind HEAD, 204, 304 and informational answers", () => {
    assert.deepStrictEqual(readText(`${ok}content-length: 5\r\n\r\n`, "HEAD").last, "whole")
    assert.deepStrictEqual(readText("HTTP/1.1 204 x\r\ncontent-length: 5\r\n\r\n").last, "whole")
  })

  it("ends a body of unknown length with its connection, and no other", () => {
    const untilClose = readText(`${ok}\r\nall of it`)
    assert.deepStrictEqual([untilClose.last, untilClose.told, untilClose.body], [
      "read",
      ["200 OK  close"],
      "all of it"
    ])
    const ends = (text: string) => {
      const told: Array<string> = []
      const parser = new AnswerParser({
        onHead: () => "body",
        onBody: (bytes) => (told.push(bytes.toString()), false),
        onWhole: () => void told.push("whole")
      })
      parser.read(latin1(text))
      try {
        return `${parser.end()} ${told.join(" ")}`
      } catch (error) {
        return (error as { code: string }).code
      } finally {
        parser.free()
      }
    }
    assert.strictEqual(ends(`${ok}\r\nall`), "whole all whole")
    assert.strictEqual(ends(`${ok}content-length: 5\r\n\r\nall`), "HPE_INVALID_EOF_STATE")
    assert.strictEqual(ends(`${ok}transfer-encoding: chunked\r\n\r\n3\r\nall\r\n`), "HPE_INVALID_EOF_STATE")
  })

  it("refuses what two readers could understand in two ways", () => {
    const codes = [
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
      "HTTP/1.1 200 OK\r\nx : 1\r\n\r\n",
      "HTTP/1.1 200 OK\nx: 1\n\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/3.1 200 OK\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n"
    ].map((text) => readText(text).last)
    for (const code of codes) assert.match(code ?? "", /^HPE_/)
  })

  it("reads heads of up to 64 kB, and reasons of any length up to a kilobyte of them", () => {
    const head = (bytes: number) => `${ok}x: ${"v".repeat(bytes)}\r\ncontent-length: 0\r\n\r\n`
    assert.strictEqual(readText(head(65_000)).last, "whole")
    assert.strictEqual(readText(head(66_000)).last, "UND_ERR_HEADERS_OVERFLOW")
    const { last, told } = readText(`HTTP/1.1 200 ${"r".repeat(200_000)}\r\ncontent-length: 0\r\n\r\n`)
    assert.deepStrictEqual([last, told[0]], ["whole", `200 ${"r".repeat(1024)} content-length|0`])
  })

  it("lets through what its reader throws, and reads on with another one", () => {
    const parser = new AnswerParser({
      onHead: () => "body",
      onBody: () => {
        throw new Error("of the reader")
      },
      onWhole: () => {}
    })
    assert.throws(() => parser.read(latin1(answers[0]!)), "of the reader")
    parser.free()
    assert.strictEqual(readText(answers[0]!).last, "whole")
  })
})
