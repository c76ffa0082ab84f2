import type { Socket } from "node:net"
import type { Readable } from "node:stream"
import { errors } from "../http/Undici.js"

/** A request's body on its way to the upstream while it still comes, as fast as the upstream takes it. */
export class Upload {
  /** All of it was written. */
  isWhole = false

  /** `failed` is told when it breaks off. */
  constructor(
    private readonly body: Readable,
    private readonly isChunked: boolean,
    private readonly socket: Socket,
    private readonly failed: (error: Error) => void
  ) {
    // It may have been cut off while the connection was made.
    if (body.destroyed) process.nextTick(this.closed)
    body.on("data", this.more).on("end", this.finish).on("error", failed).on("close", this.closed)
    socket.on("drain", this.drained)
  }

  /** The upstream takes it, and more is to come: it is not the upstream that is waited for. */
  get isFlowing(): boolean {
    return !this.isWhole && !this.socket.writableNeedDrain
  }

  /** The connection has nothing to do with it any more. */
  end(): void {
    const { body, socket } = this
    socket.off("drain", this.drained)
    body.off("data", this.more).off("end", this.finish).off("error", this.failed).off("close", this.closed)
  }

  private readonly more = (bytes: Buffer) => {
    const { isChunked, socket } = this
    if (isChunked) {
      socket.cork()
      socket.write(`${bytes.length.toString(16)}\r\n`, "latin1")
    }
    socket.write(bytes)
    if (isChunked) {
      socket.write("\r\n", "latin1")
      socket.uncork()
    }
    if (socket.writableNeedDrain) this.body.pause()
  }

  private readonly finish = () => {
    this.isWhole = true
    if (this.isChunked) this.socket.write("0\r\n\r\n", "latin1")
  }

  private readonly closed = () => {
    if (!this.isWhole) this.failed(new errors.RequestAbortedError())
  }

  private readonly drained = () => {
    this.body.resume()
  }
}
