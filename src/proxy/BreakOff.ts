import type { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"

/** How long a client may leave unread what it had been sent before its connection is broken off all the same. */
const lingerMs = 30_000
/** How long it may take to send what nobody wants any more. */
const hearingMaxMs = 300_000
/** A reset may overtake what the system holds for a client: so long it has to read that. */
const graceMs = 1_000

/**
 * Breaks a connection off once what was written has left, answers before this one among it: Node holds writes back to the end of the
 * turn, and an answer behind others to the end of theirs.
 */
export const breakOff = (outgoing: ServerResponse): void => {
  const leave = (socket: Socket) => {
    const isReset = endsWithClose(outgoing)
    if (isReset) hearNoMore(socket)
    setImmediate(() => {
      if (socket.destroyed) return
      if (isReset) resetLater(socket)
      else {
        socket.setTimeout(lingerMs, () => socket.destroy())
        socket.destroySoon()
      }
    })
  }
  if (outgoing.socket === null) outgoing.once("socket", leave)
  else leave(outgoing.socket)
}

/** Breaks a connection off at once, whatever of it has not left yet. */
export const breakOffNow = (outgoing: ServerResponse): void => {
  const { socket } = outgoing
  if (socket !== null && endsWithClose(outgoing)) socket.resetAndDestroy()
  else outgoing.destroy()
}

/**
 * Has a connection that its client wants closed stay open, behind an answer that came early, until the request is whole. Node closes
 * it at once, and what still comes then resets it: many clients read an answer only once they have sent the rest.
 */
export const closeOnceHeard = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
  if (outgoing.shouldKeepAlive) return
  // Before Node's own listener, which closes.
  outgoing.prependOnceListener("finish", () => {
    const { socket } = incoming
    if (incoming.complete) return
    socket.destroySoon = () => {
      socket.setTimeout(lingerMs, () => socket.destroy())
      const patience = setTimeout(() => socket.destroy(), hearingMaxMs)
      incoming.once("close", () => {
        clearTimeout(patience)
        Socket.prototype.destroySoon.call(socket)
      })
      incoming.resume()
    }
  })
}

/** Connections that a reset ends soon, which a close must not overtake. */
const leaving = new WeakSet<Socket>()

/** Closes a connection: by a reset where a close would make a whole answer of one that is none. */
export const closeNow = (socket: Socket): void => {
  if (leaving.has(socket) || socket.writableLength > 0) socket.resetAndDestroy()
  else socket.destroy()
}

/** To a client of HTTP/1.0 the close of the connection is the end of an answer that names no length: only a reset tells it of a cut. */
const endsWithClose = (outgoing: ServerResponse) => outgoing.req.httpVersionMinor === 0

/** Neither a further request of this connection, nor its end, which Node would answer with an end of ours. */
const hearNoMore = (socket: Socket) => {
  leaving.add(socket)
  socket.pause()
}

const resetLater = (socket: Socket) => {
  let timer: NodeJS.Timeout | undefined
  const linger = (unsent: number) => {
    timer = setTimeout(() => {
      if (socket.writableLength < unsent) linger(socket.writableLength)
      else socket.resetAndDestroy()
    }, lingerMs)
  }
  linger(socket.writableLength)
  socket.write("", () => {
    clearTimeout(timer)
    timer = setTimeout(() => socket.resetAndDestroy(), graceMs)
  })
  socket.once("close", () => clearTimeout(timer))
}
