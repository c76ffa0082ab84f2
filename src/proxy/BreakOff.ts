import type { ServerResponse } from "node:http"
import type { Socket } from "node:net"

/** How long a client may leave unread what it had been sent before its connection is broken off all the same. */
const lingerMs = 30_000

/**
 * Breaks a connection off once what was written has left, answers before this one among it: Node holds writes back to the end of the
 * turn, and an answer behind others to the end of theirs.
 */
export const breakOff = (outgoing: ServerResponse): void => {
  const leave = (socket: Socket) =>
    void setImmediate(() => {
      socket.setTimeout(lingerMs, () => socket.destroy())
      socket.destroySoon()
    })
  if (outgoing.socket === null) outgoing.once("socket", leave)
  else leave(outgoing.socket)
}
