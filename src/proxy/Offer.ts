import { type IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"

/** A client speaks only once its offer is taken; what it sends before is kept up to this size, and then left unread. */
const earlyBytesMax = 64 * 1024

/**
 * The answer to a client that offers to speak WebSocket, while nobody knows whether the upstream takes the offer: refusals
 * and answers of plain HTTP go out as on any connection, which ends with them.
 */
export class Offer extends ServerResponse {
  private early: Array<Uint8Array>
  private earlyBytes: number

  constructor(request: IncomingMessage, readonly client: Socket, head: Uint8Array) {
    super(request)
    this.early = head.length === 0 ? [] : [head]
    this.earlyBytes = head.length
    this.shouldKeepAlive = false
    this.assignSocket(client)
    // A server answers no more on a connection that it has given away: what it did for answers is done here.
    client.on("drain", this.drained).on("data", this.cameEarly).on("end", this.left).on("error", this.left)
    this.on("finish", () => {
      this.detachSocket(client)
      client.destroySoon()
    })
  }

  /** The connection and what has come on it so far; nothing is listened for any more. */
  taken(): { readonly client: Socket; readonly early: ReadonlyArray<Uint8Array> } {
    const { client, early } = this
    client.pause()
    client.off("drain", this.drained).off("data", this.cameEarly).off("end", this.left)
    // Its errors are for whoever takes it over, who also gets its close: until then one must not end the process.
    this.detachSocket(client)
    this.early = []
    return { client, early }
  }

  private readonly drained = () => {
    this.emit("drain")
  }

  private readonly cameEarly = (chunk: Uint8Array) => {
    this.early.push(chunk)
    this.earlyBytes += chunk.length
    if (this.earlyBytes > earlyBytesMax) this.client.pause()
  }

  private readonly left = () => {
    this.client.destroy()
  }
}
