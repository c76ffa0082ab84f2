import { assert, describe, it } from "@effect/vitest"
import { endpointOf } from "../../src/openai/Endpoint.js"

const apiOf = (path: string) => endpointOf("POST", path).api

describe("endpointOf", () => {
  it("goes by the end of the path, whatever stands before it, slashes behind it and its query", () => {
    for (
      const path of [
        "/v1/chat/completions",
        "/x/y/chat/completions//",
        "/chat/completions?a=/responses",
        "chat/completions"
      ]
    ) {
      assert.strictEqual(apiOf(path), "chat_completions", path)
      assert.strictEqual(apiOf(path), "chat_completions", path)
    }
    assert.strictEqual(apiOf("/v1/messages"), "messages")
    assert.strictEqual(apiOf("/v1/threads/t/messages"), "other")
    assert.strictEqual(endpointOf("post", "/v1/responses").api, "responses")
    assert.strictEqual(endpointOf("GET", "/v1/responses").api, "other")
    for (const path of ["", "/", "?", "//"]) assert.strictEqual(apiOf(path), "other")
  })

  it("takes no time that grows faster than the path", () => {
    for (const part of ["/", "/messages", "/threads/", "a", "?", "#"]) {
      assert.strictEqual(apiOf(`/v1${part.repeat(1_000_000)}x`), "other")
    }
  })

  it("knows paths anew that were forgotten", () => {
    for (let n = 0; n < 1_000; n++) assert.strictEqual(apiOf(`/${n}/embeddings`), "embeddings")
    assert.strictEqual(apiOf("/0/embeddings"), "embeddings")
  })
})
