import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"

/** How long a client may leave unread what it had been sent before its connection is broken off all the same. */
const lingerMs = 30_000
/** A reset may overtake what the system holds for a client: so long it has to read that. */
const graceMs = 1_000

/**
 * Breaks a connection off once what was written has left, answers before this one among it: Node holds writes back to the end of the
 * turn, and an answer behind others to the end of theirs.
 */
export const breakOff = (outgoing: ServerResponse): void => {
  const leave = (socket: Socket) =>
    void setImmediate(() => {
      socket.setTimeout(lingerMs, () => cut(outgoing, socket))
      if (!endsWithClose(outgoing)) {
        socket.destroySoon()
        return
      }
      socket.write("", () => {
        const timer = setTimeout(() => socket.resetAndDestroy(), graceMs)
        socket.once("close", () => clearTimeout(timer))
      })
    })
  if (outgoing.socket === null) outgoing.once("socket", leave)
  else leave(outgoing.socket)
}

/** Breaks a connection off at once, whatever of it has not left yet. */
export const breakOffNow = (outgoing: ServerResponse): void => {
  if (outgoing.socket === null) outgoing.destroy()
  else cut(outgoing, outgoing.socket)
}

const cut = (outgoing: ServerResponse, socket: Socket) => {
  if (endsWithClose(outgoing)) socket.resetAndDestroy()
  else socket.destroy()
}

/** To a client of HTTP/1.0 the close of the connection is the end of an answer that names no length: only a reset tells it of a cut. */
const endsWithClose = (outgoing: ServerResponse) => outgoing.req.httpVersionMinor === 0
