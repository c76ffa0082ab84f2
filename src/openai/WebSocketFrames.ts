/** The frames of one direction of a WebSocket (RFC 6455, section 5), read from a copy of its bytes as they pass. */

/** Text, binary; then what controls the connection: close, ping, pong. */
export type MessageOpcode = 1 | 2
export type ControlOpcode = 8 | 9 | 10

/** What a reader tells, in the order of the wire. Offsets are places in the chunk being read. */
export interface FrameSink {
  readonly begin: (opcode: MessageOpcode) => void
  /** A piece of the message under way, unmasked; it may be the chunk's own memory. */
  readonly part: (bytes: Uint8Array) => void
  /** The message is whole. Its first byte of this chunk is at `start`: 0 when it began in an earlier one. */
  readonly end: (start: number) => void
  readonly control: (opcode: ControlOpcode, payload: Uint8Array) => void
}

const continuation = 0
const controlBytesMax = 125
/** Two bytes, eight of length, four of mask. */
const headerBytesMax = 14

/**
 * Reads frames however the bytes are cut, and holds nothing back but a header and a control frame: what becomes of the
 * payloads is the sink's affair. Masks are undone whoever sent them. Stops for good at the first byte that is not of a
 * WebSocket without extensions.
 */
export class FrameReader {
  /** Why reading has stopped; null while it goes on. */
  failure: string | null = null
  frames = 0
  private readonly header = new Uint8Array(headerBytesMax)
  private headerBytes = 0
  private headerBytesNeeded = 2
  private isInPayload = false
  private isFinal = false
  private opcode = 0
  /** Payload bytes of the frame that are still to come. */
  private remaining = 0
  private isMasked = false
  private maskFrom = 0
  /** Opcode of the message under way; 0 between messages. */
  private message = 0
  private messageStart = 0
  private control = new Uint8Array(controlBytesMax)
  private controlBytes = 0

  constructor(private readonly sink: FrameSink) {}

  /** Whether the bytes read so far end with a frame: only here may one be added. */
  get isBetweenFrames(): boolean {
    return this.failure === null && !this.isInPayload && this.headerBytes === 0
  }

  read(chunk: Uint8Array): void {
    this.messageStart = 0
    for (let offset = 0; offset < chunk.length && this.failure === null;) {
      offset = this.isInPayload ? this.readPayload(chunk, offset) : this.readHeader(chunk, offset)
    }
  }

  private readHeader(chunk: Uint8Array, from: number): number {
    let offset = from
    while (this.headerBytes < this.headerBytesNeeded) {
      if (offset === chunk.length) return offset
      this.header[this.headerBytes++] = chunk[offset++]!
      if (this.headerBytes === 2) {
        const length = this.header[1]! & 127
        this.headerBytesNeeded = 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (this.header[1]! & 128 ? 4 : 0)
      }
    }
    // What began in an earlier chunk begins, for this one, at its first byte.
    this.beginFrame(Math.max(0, offset - this.headerBytesNeeded))
    this.headerBytes = 0
    this.headerBytesNeeded = 2
    if (this.failure === null && this.remaining === 0) this.endFrame()
    return offset
  }

  private beginFrame(start: number) {
    const [first, second] = [this.header[0]!, this.header[1]!]
    this.isFinal = (first & 128) !== 0
    this.opcode = first & 15
    this.isMasked = (second & 128) !== 0
    this.maskFrom = 0
    const length = this.lengthOf(second & 127)
    this.failure = this.faultOf(first, length)
    if (this.failure !== null) return
    this.frames += 1
    this.remaining = length
    this.isInPayload = true
    this.controlBytes = 0
    if (this.opcode !== 1 && this.opcode !== 2) return
    this.message = this.opcode
    this.messageStart = start
    this.sink.begin(this.opcode)
  }

  private lengthOf(short: number): number {
    if (short < 126) return short
    const view = new DataView(this.header.buffer, this.header.byteOffset)
    return short === 126 ? view.getUint16(2) : view.getUint32(2) * 2 ** 32 + view.getUint32(6)
  }

  private faultOf(first: number, length: number): string | null {
    if ((first & 112) !== 0) return "a frame uses an extension"
    if (!Number.isSafeInteger(length)) return "a frame claims an impossible length"
    if (this.opcode >= 8) {
      if (this.opcode > 10) return `a frame has the unknown opcode ${this.opcode}`
      return this.isFinal && length <= controlBytesMax ? null : "a control frame is longer than 125 bytes or in pieces"
    }
    if (this.opcode === continuation) return this.message === 0 ? "a continuation continues nothing" : null
    if (this.opcode > 2) return `a frame has the unknown opcode ${this.opcode}`
    return this.message === 0 ? null : "a message begins inside another one"
  }

  private readPayload(chunk: Uint8Array, from: number): number {
    const to = Math.min(chunk.length, from + this.remaining)
    const bytes = this.unmasked(chunk.subarray(from, to))
    this.remaining -= bytes.length
    if (this.opcode < 8) {
      this.sink.part(bytes)
    } else {
      this.control.set(bytes, this.controlBytes)
      this.controlBytes += bytes.length
    }
    if (this.remaining === 0) this.endFrame()
    return to
  }

  private unmasked(bytes: Uint8Array): Uint8Array {
    if (!this.isMasked) return bytes
    const plain = new Uint8Array(bytes.length)
    const { header, maskFrom } = this
    const place = this.maskPlace
    for (let index = 0; index < bytes.length; index++) {
      plain[index] = bytes[index]! ^ header[place + ((maskFrom + index) & 3)]!
    }
    this.maskFrom = (maskFrom + bytes.length) & 3
    return plain
  }

  /** The mask is the header's end, which stays where it is until the next frame. */
  private get maskPlace(): number {
    const length = this.header[1]! & 127
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0)
  }

  private endFrame() {
    this.isInPayload = false
    if (this.opcode >= 8) {
      this.sink.control(this.opcode as ControlOpcode, this.control.slice(0, this.controlBytes))
    } else if (this.isFinal) {
      this.message = 0
      this.sink.end(this.messageStart)
    }
  }
}

/** A whole frame as a server sends it. */
export const closeFrame = (code: number): Uint8Array => Uint8Array.of(0x88, 2, code >> 8, code & 255)

/** A whole control frame as a server sends it; its payload has 125 bytes at most. */
export const controlFrame = (opcode: ControlOpcode, payload: Uint8Array): Uint8Array =>
  Uint8Array.of(0x80 | opcode, payload.length, ...payload)

/** A whole message in one frame as a server sends it. */
export const textFrame = (text: string): Uint8Array => {
  const bytes = Buffer.from(text)
  const { length } = bytes
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = 0x81
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, bytes])
}

/** The code that a close frame gives; 1005, as RFC 6455 has it, where it gives none. */
export const closeCodeOf = (payload: Uint8Array): number => payload.length < 2 ? 1005 : payload[0]! << 8 | payload[1]!
