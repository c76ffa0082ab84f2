import { TypeScan } from "../openai/TypeScan.js"
import { closeCodeOf, FrameReader } from "../openai/WebSocketFrames.js"
import { Recording } from "./Recording.js"
import type { RecordingBudget } from "./RecordingBudget.js"

/** A message that has passed whole. */
export interface Message {
  /** What is kept of it. */
  readonly bytes: Uint8Array
  /** Bytes of all of it, which may be more. */
  readonly length: number
  readonly isText: boolean
  /** Of one that is not kept whole, the `type` of the JSON that it is; null where it has none, and of any other. */
  readonly type: string | null
  /** Where in the chunk just read its first byte is; 0 when it began in an earlier one. */
  readonly start: number
}

/** Reads the messages of one direction of a WebSocket from a copy, each in bounded memory. */
export class MessageReader {
  bytes = 0
  /** Code of the first close frame; null while there was none. */
  closeCode: number | null = null
  private readonly frames: FrameReader
  private current: Recording | null = null
  /** Reads on in a message that is kept no further. */
  private scan: TypeScan | null = null
  private isText = false
  private ended: Array<Message> = []

  /** `readsTypes` where somebody asks what a message is. */
  constructor(
    private readonly bytesMax: number,
    private readonly budget: RecordingBudget,
    private readonly readsTypes: boolean
  ) {
    this.frames = new FrameReader({
      begin: (opcode) => {
        this.isText = opcode === 1
        this.current = new Recording(this.bytesMax, this.budget)
      },
      part: (part) => this.add(part),
      end: (start) => this.end(start),
      control: (opcode, payload) => {
        if (opcode === 8) this.closeCode ??= closeCodeOf(payload)
      }
    })
  }

  get failure(): string | null {
    return this.frames.failure
  }

  get framesRead(): number {
    return this.frames.frames
  }

  get isBetweenFrames(): boolean {
    return this.frames.isBetweenFrames
  }

  /** The messages that this chunk ends. */
  read(chunk: Uint8Array): ReadonlyArray<Message> {
    this.bytes += chunk.length
    this.ended = []
    this.frames.read(chunk)
    if (this.frames.failure !== null) this.release()
    return this.ended
  }

  /** What has come of an unfinished message is no longer held. */
  release(): void {
    this.current?.release()
    this.current = this.scan = null
  }

  private add(part: Uint8Array) {
    const { current } = this
    if (current === null) return
    const before = current.bytes
    current.add(part)
    if (!this.readsTypes || !current.isTruncated) return
    if (this.scan !== null) {
      this.scan.read(part)
      return
    }
    const { content } = current
    this.scan = new TypeScan()
    this.scan.read(content)
    this.scan.read(part.subarray(content.length - before))
  }

  private end(start: number) {
    const message = this.current
    if (message === null) return
    const type = this.scan?.type ?? null
    this.current = this.scan = null
    this.ended.push({ bytes: message.content, length: message.bytes, isText: this.isText, type, start })
    message.release()
  }
}
