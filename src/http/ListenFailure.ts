/** Why a server could not listen, in the same words for all of them. */
export const listenFailure = (
  { host, port }: { readonly host: string; readonly port: number },
  { code = "", message }: NodeJS.ErrnoException
): string => `cannot listen on ${host}:${port}: ${reasons[code] ?? message}`

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use by another process",
  EACCES: "not allowed to use this port",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "no such host"
}
