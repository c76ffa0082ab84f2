/** What Node hands over apart from plain requests: offers to change the protocol, expectations, and tunnels asked for. */
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Offer } from "./Offer.js"
import type { Refusal } from "./ProxyError.js"

export interface Handler {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  readonly refuse: (response: ServerResponse, kind: Refusal, message: string) => void
}

/** Node 26 reads the body of an offer itself, and what is pipelined behind an offer it loses; 25 is taken to be like it. */
const readsBodies = Number.parseInt(process.versions.node, 10) >= 25

/**
 * Which offers are to be taken, where Node has to be told: any other request is a plain one there. Before, once a server listens for
 * upgrades, Node gives it every request that offers one, whatever the protocol.
 */
export const takenOffers = readsBodies
  ? { shouldUpgradeCallback: (request: IncomingMessage): boolean => offersWebSocket(request) }
  : {}

/** Who gets what is no plain request. */
export const listenForUpgrades = (server: Server, handler: Handler): void => {
  server.on("upgrade", (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
    const socket = duplex as Socket
    whenAnswered(socket, () => {
      // The time that an idle connection may stay open is not that of this one.
      socket.setTimeout(0)
      if (offersWebSocket(request)) handler.handle(request, new Offer(request, socket, head))
      else declineOffer(server, request, socket, head)
    })
  })
  server.on("connect", (request: IncomingMessage, duplex: Duplex) => {
    const socket = duplex as Socket
    whenAnswered(socket, () =>
      handler.refuse(
        new Offer(request, socket, Buffer.alloc(0)),
        "connect",
        "CONNECT is for forward proxies: use this proxy's address as the base URL"
      ))
  })
  // The 100 goes out when the call is forwarded: a client that is refused need not send its body.
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => handler.handle(request, response))
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    handler.refuse(response, "expectation", "the only expectation that can be met is 100-continue")
  })
}

/** One without a body: with one, the body's bytes would be taken for frames. */
const offersWebSocket = ({ headers, httpVersionMinor, method }: IncomingMessage): boolean =>
  method === "GET" && httpVersionMinor === 1 && tokensOf(headers.upgrade).includes("websocket") &&
  headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0

const tokensOf = (value: string | undefined) => (value ?? "").split(",").map((token) => token.trim().toLowerCase())

/**
 * A server may ignore an offer (RFC 9110, section 7.8). Node has left the connection after the request's head, so the head
 * is put back without the offer, and the connection given to the server as if it were new.
 */
const declineOffer = (server: Server, request: IncomingMessage, socket: Socket, rest: Buffer) => {
  const { httpVersion, method, rawHeaders, url } = request
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name, value] = [rawHeaders[index]!, rawHeaders[index + 1]!]
    const lower = name.toLowerCase()
    if (lower === "upgrade") continue
    if (lower !== "connection") {
      head += `${name}: ${value}\r\n`
      continue
    }
    const tokens = tokensOf(value).filter((token) => token !== "" && token !== "upgrade")
    if (tokens.length > 0) head += `${name}: ${tokens.join(", ")}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${head}\r\n`, "latin1"), rest]))
  server.emit("connection", socket)
}

/** A client may have sent its offer behind requests that are still being answered, on the same connection. */
const whenAnswered = (socket: Answering, then: () => void) => {
  // Node has left the connection: an error that nobody listens for would end the process, answers wait for word of room, and
  // nobody closes what a client has left.
  const left = () => void socket.destroy()
  const drained = () => {
    if (socket._httpMessage?.writableNeedDrain === true) socket._httpMessage.emit("drain")
  }
  socket.on("error", left).on("end", left).on("drain", drained)
  const wait = () => {
    if (socket.destroyed || socket.writableEnded) return
    const answer = socket._httpMessage
    if (answer === undefined || answer === null) {
      socket.off("error", left).off("end", left).off("drain", drained)
      then()
    } else {
      // Node itself goes on to the next answer when one has ended: this listener comes after its own.
      answer.once("close", () => setImmediate(wait))
    }
  }
  wait()
}

/** A connection, and the answer that has its turn on it. */
type Answering = Socket & { readonly _httpMessage?: ServerResponse | null }

/**
 * Asks for the body that a client holds back. Behind answers that are still under way Node would put this between the head and the
 * body of the call's own answer: it waits for its turn.
 */
export const askForBody = (response: ServerResponse): void => {
  if (response.socket !== null) response.writeContinue()
  else response.once("socket", () => response.headersSent || response.writeContinue())
}
