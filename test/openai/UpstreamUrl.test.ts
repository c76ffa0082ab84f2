import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { parseUpstream, upstreamPath } from "../../src/openai/UpstreamUrl.js"

describe("parseUpstream", () => {
  it.each([
    ["https://api.openai.com", "https://api.openai.com", ""],
    ["https://api.openai.com/", "https://api.openai.com", ""],
    ["https://api.openai.com/v1", "https://api.openai.com", "/v1"],
    ["https://api.openai.com/v1//", "https://api.openai.com", "/v1"],
    ["HTTP://127.0.0.1:11434/v1", "http://127.0.0.1:11434", "/v1"],
    ["http://[::1]:8000", "http://[::1]:8000", ""],
    ["https://openrouter.ai/api/v1/", "https://openrouter.ai", "/api/v1"],
    [
      "https://generativelanguage.googleapis.com/v1beta/openai/",
      "https://generativelanguage.googleapis.com",
      "/v1beta/openai"
    ]
  ])("takes %s apart", (url, origin, basePath) => {
    expect(parseUpstream(url)).toEqual({ origin, basePath })
  })

  it.each([
    ["ftp://example.com", "http:// or https://"],
    ["example.com/v1", "http:// or https://"],
    ["http:/example.com", "http:// or https://"],
    ["", "http:// or https://"],
    ["http://", "http:// or https://"],
    [" http://example.com", "http:// or https://"],
    ["http://exa\nmple.com", "http:// or https://"],
    ["http://example.com:99999", "valid"],
    ["http://user:secret@example.com", "without a user name"],
    ["http://secret@example.com", "without a user name"],
    ["http://example.com/#", "fragment"],
    ["http://example.com/v1?key=secret", "query"],
    ["file:///etc/passwd", "http:// or https://"],
    ["http://169.254.169.254/latest", "link-local"],
    ["http://2852039166", "link-local"],
    ["http://0xa9fea9fe/", "link-local"],
    ["http://0251.0376.0251.0376", "link-local"],
    ["http://[::ffff:169.254.169.254]", "link-local"],
    ["http://[::ffff:a9fe:1]:80", "link-local"],
    ["http://[fe80::1]", "link-local"],
    ["http://[febf::1]", "link-local"],
    ["http://[fd00:ec2::254]", "link-local"],
    ["http://metadata.google.internal", "link-local"]
  ])("refuses %j and says why", (url, reason) => {
    expect(parseUpstream(url)).toContain(reason)
    expect(parseUpstream(url)).not.toContain("secret")
  })

  it.prop("never throws", [FastCheck.oneof(FastCheck.string(), FastCheck.webUrl())], ([url]) => {
    const parsed = parseUpstream(url)
    expect(typeof parsed === "string" || !parsed.basePath.endsWith("/")).toBe(true)
  })
})

describe("upstreamPath", () => {
  it.each([
    ["", "/v1/chat/completions", "/v1/chat/completions"],
    ["/v1", "/v1/chat/completions?a=1", "/v1/chat/completions?a=1"],
    ["/openai/v1", "/v1/models", "/openai/v1/models"],
    ["/api/v1", "/v1", "/api/v1"],
    ["/v1beta/openai", "/v1/chat/completions", "/v1beta/openai/chat/completions"],
    ["/v1beta/openai", "/v1?a=1", "/v1beta/openai?a=1"],
    ["", "/health", "/health"],
    ["/v1", "/health", "/health"],
    ["/v1", "/v10/x", "/v10/x"],
    ["/custom", "/v1beta/x", "/custom/v1beta/x"],
    ["/custom/v1", "/tokenize", "/custom/tokenize"]
  ])("below %j sends %s to %s", (basePath, requestPath, sent) => {
    expect(upstreamPath(basePath, requestPath)).toBe(sent)
  })

  it.prop(
    "treats a base with and without its closing /v1 alike",
    [FastCheck.stringMatching(/^\/v1\/[a-z/]{0,20}$/)],
    ([request]) => {
      expect(upstreamPath("/v1", request)).toBe(upstreamPath("", request))
    }
  )
})
