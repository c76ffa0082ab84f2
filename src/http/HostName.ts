/** The names under which a server on this machine may be called. Plain functions; loads no Effect. */

/** The name of a `Host` header without its port, or null when it is none. */
export const hostName = (host: string): string | null => {
  const [, name] = /^(\[[0-9a-f:.]+\]|[^\s/\\@:?#[\]]+)(?::\d{1,5})?$/i.exec(host) ?? []
  return name === undefined ? null : plainHost(name)
}

/** Lower case, without brackets, a closing dot and the prefix of an IPv4 address in IPv6. */
export const plainHost = (host: string) =>
  host.toLowerCase().replace(/^\[|\]$|\.$/g, "").replace(/^::ffff:(?=[\d.]+$)/, "")

export const isLoopbackName = (name: string) =>
  name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name)

/** Whether who calls this name on this machine calls a server that listens on that address, ports being equal. */
export const isReachedAs = (bindHost: string, name: string): boolean => {
  const [bound, called] = [plainHost(bindHost), plainHost(name)]
  const isAny = (host: string) => host === "0.0.0.0" || host === "::"
  const isHere = (host: string) => isLoopbackName(host) || isAny(host)
  return bound === called || isHere(bound) && isHere(called)
}

/** Where a client on this machine calls the server of that origin: nobody can call "every interface". */
export const reachable = (origin: string) => origin.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

/** Whether an `Origin` is that of the server called by this `Host`. */
export const isSame = (origin: string, host: string) =>
  origin.replace(/^https?:\/\//i, "").toLowerCase() === host.toLowerCase()

/** Whether only this machine can reach a server that listens there. */
export const isLoopback = (bindHost: string): boolean => isLoopbackName(plainHost(bindHost))
