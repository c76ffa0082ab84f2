import { resolve } from "node:path"

/**
 * Variables that a child inherits: how to find programs, who and where it runs, how to reach the network. Nothing that
 * carries a secret by convention, so no `*_API_KEY`, and nothing that changes how a program runs (`NODE_OPTIONS`,
 * `LD_PRELOAD`).
 */
const inheritedNames = new Set([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "VIRTUAL_ENV",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY"
])

/** The part of our environment that a child may see. */
export const inheritedEnvironment = (
  own: Readonly<Record<string, string | undefined>> = process.env
): Record<string, string> => {
  const entries = Object.entries(own).filter((entry): entry is [string, string] =>
    entry[1] !== undefined &&
    (inheritedNames.has(entry[0]) || entry[0].startsWith("LC_") ||
      (entry[0].endsWith("_proxy") && inheritedNames.has(entry[0].toUpperCase())))
  )
  return Object.fromEntries(entries)
}

/** Working directory of a configured command: relative to the config's folder, which is also the default. */
export const workingDirectory = (baseDir: string, cwd: string | undefined): string => resolve(baseDir, cwd ?? ".")
