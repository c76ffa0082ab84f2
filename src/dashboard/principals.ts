/** Who asked, from the gate to the action: the request carries it unseen by anything in between. */
import type { IncomingMessage } from "node:http"

const known = new WeakMap<IncomingMessage, string>()

/** Notes who asked, for as long as the request is there. */
export const remember = (request: IncomingMessage, principal: string): void => void known.set(request, principal)

/** Empty for a request that passed no gate, which a policy denies. */
export const principalOf = (request: IncomingMessage): string => known.get(request) ?? ""
