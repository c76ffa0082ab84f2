/** The address of an OpenAI-compatible server, and where a request of the proxy goes below it. Loads nothing. */

export interface UpstreamUrl {
  /** Scheme, host and port, without a closing slash. */
  readonly origin: string
  /** Path of the base URL without a closing slash; empty when it has none. */
  readonly basePath: string
}

const withoutUser = "expected a URL without a user name or password, found one with them"

/** What was given instead of a URL; not where it may hold a password or a key. */
const found = (url: string) =>
  /[@?#]/.test(url)
    ? "a text that may hold a password or a key"
    : JSON.stringify(url.slice(0, 80).replaceAll(/[^ -~]/g, "?"))

/** The URL, or a sentence that says what is wrong with it (and never repeats a password). */
export const parseHttpUrl = (url: string): URL | string => {
  // URL() would silently drop blanks and line breaks, and repair missing slashes.
  if (!/^https?:\/\/[^\s\p{Cc}]+$/iu.test(url)) {
    return `expected a URL that starts with http:// or https://, found ${found(url)}`
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || parsed.hostname === "") return `expected a valid http or https URL, found ${found(url)}`
  if (parsed.username !== "" || parsed.password !== "") return withoutUser
  return url.includes("#") ? "expected a URL without a fragment (#…), found one" : parsed
}

/** The parts of a base URL, or a sentence that says what is wrong with it (and never repeats a password). */
export const parseUpstream = (url: string): UpstreamUrl | string => {
  const parsed = parseHttpUrl(url)
  if (parsed === withoutUser) return `${withoutUser}; keys belong in the provider's key variable`
  if (typeof parsed === "string") return parsed
  if (url.includes("?")) return "expected a URL without a query (?…), found one"
  if (isLinkLocal(parsed.hostname)) return "expected a model server, found a link-local or cloud metadata address"
  return { origin: parsed.origin, basePath: parsed.pathname.replace(/\/+$/, "") }
}

/**
 * Link-local addresses (RFC 3927, RFC 4291 section 2.5.6), where clouds hand out credentials and no model is served. A URL
 * writes decimal, octal and hexadecimal forms of an address out by itself.
 */
const isLinkLocal = (hostname: string): boolean =>
  /^169\.254\.|^\[(?:::(?:ffff:)?a9fe:|fe[89ab][0-9a-f]:|fd00:ec2:)|^metadata\.google\.internal\.?$/.test(hostname)

/**
 * The path to ask the upstream for. `requestPath` starts with a slash and may carry a query.
 *
 * Requests below `/v1` go below the base path, and the `/v1` of the two is never doubled: a base without a path and a base
 * that ends in `/v1` mean the same, any other base takes the place of `/v1`. Other requests (`/health`) go beside `/v1`.
 */
export const upstreamPath = (basePath: string, requestPath: string): string => {
  const versioned = /^\/v1(?=[/?]|$)/.test(requestPath)
  if (basePath === "" || basePath.endsWith("/v1")) return basePath.replace(/\/v1$/, "") + requestPath
  return basePath + (versioned ? requestPath.slice("/v1".length) : requestPath)
}
