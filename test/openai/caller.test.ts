import { assert, describe, it } from "@effect/vitest"
import { callerHeadersOf } from "../../src/openai/CallerHeaders.js"
import { roleOf } from "../../src/openai/CallRole.js"
import { derive } from "../../src/openai/Derive.js"
import { serverOf } from "../../src/openai/Provider.js"
import { sessionOf } from "../../src/openai/Session.js"

const user = (content: unknown) => ({ role: "user", content })
const system = (content: unknown) => ({ role: "system", content })
const path = "/v1/chat/completions"

describe("callerHeadersOf", () => {
  it("takes a session before a thread of it, and tries as the client counts them", () => {
    assert.isNull(callerHeadersOf({ authorization: "Bearer k", "user-agent": "x" }))
    assert.deepStrictEqual(
      callerHeadersOf({ "thread-id": "t", session_id: "s", "x-stainless-retry-count": "2", "idempotency-key": "k-1" }),
      { sessionId: "s", retryCount: 2, idempotencyKey: "k-1" }
    )
    assert.deepStrictEqual(callerHeadersOf({ "thread-id": "t", "x-retry-count": "0" }), {
      sessionId: "t",
      retryCount: 0,
      idempotencyKey: null
    })
  })

  it("believes nothing that is not one short visible text", () => {
    const none = { sessionId: null, retryCount: null, idempotencyKey: null }
    assert.deepStrictEqual(callerHeadersOf({ "session-id": "a b", "x-retry-count": "-1" }), none)
    assert.deepStrictEqual(callerHeadersOf({ "session-id": "x".repeat(201), "idempotency-key": "\u00e9" }), none)
    assert.deepStrictEqual(callerHeadersOf({ "session-id": ["a", "b"], "x-retry-count": "1e9" }), none)
  })
})

describe("sessionOf", () => {
  it("takes the header, else the metadata, else the cache key", () => {
    const metadata = { session_id: "m" }
    assert.deepStrictEqual(sessionOf("h", { metadata }), { id: "h", isConversation: true })
    assert.deepStrictEqual(sessionOf(null, { metadata, prompt_cache_key: "p" }), { id: "m", isConversation: true })
    assert.deepStrictEqual(sessionOf(null, { metadata: { user_id: "user_1_account_2_session_ab-3" } }), {
      id: "ab-3",
      isConversation: true
    })
    assert.deepStrictEqual(
      sessionOf(null, { metadata: { user_id: "{\"device_id\":\"d\",\"session_id\":\"ab-4\"}" } }),
      {
        id: "ab-4",
        isConversation: true
      }
    )
    assert.isNull(sessionOf(null, { metadata: { user_id: "{\"session_id\":4}" } }))
    assert.isNull(sessionOf(null, { metadata: { user_id: "{_session_a" } }))
    assert.deepStrictEqual(sessionOf(null, { prompt_cache_key: "p", metadata: { user_id: "ann" } }), {
      id: "p",
      isConversation: false
    })
    assert.isNull(sessionOf(null, { metadata: "x" }))
    // Millions of beginnings of a session, each of which would be tried to the end.
    assert.isNull(sessionOf(null, { metadata: { user_id: `${"_session_".repeat(1_000_000)}!` } }))
  })

  it("names the conversation of the request before the agent's session, and never makes one up", () => {
    const attributes = (body: object, sessionHeader: string | null = null) =>
      derive({
        method: "POST",
        path: "/v1/responses",
        requestBytes: Buffer.from(JSON.stringify(body)),
        responseBytes: Buffer.from("{}"),
        statusCode: 200,
        sessionHeader
      }).attributes.record
    assert.deepInclude(attributes({ conversation: { id: "conv_1" } }, "s"), {
      "gen_ai.conversation.id": "conv_1",
      "tau.session.id": "s"
    })
    assert.deepInclude(attributes({}, "s"), { "gen_ai.conversation.id": "s", "tau.session.id": "s" })
    const byKey = attributes({ prompt_cache_key: "p", previous_response_id: "resp_0" })
    assert.deepInclude(byKey, { "tau.session.id": "p", "tau.linked_response_id": "resp_0" })
    assert.notProperty(byKey, "gen_ai.conversation.id")
    assert.notProperty(attributes({}), "tau.session.id")
  })
})

describe("roleOf", () => {
  it.each([
    ["compaction", "/v1/responses/compact?x=1", { input: [] }],
    ["compaction", "/v1/responses", {
      tools: [{}],
      input: [
        user("a"),
        user([{ type: "input_text", text: "You are performing a CONTEXT CHECKPOINT COMPACTION. Create" }])
      ]
    }],
    ["compaction", path, {
      messages: [system("You are a helpful AI assistant tasked with summarizing conversations."), user("…")]
    }],
    ["compaction", path, { messages: [system("You are a context summarization agent. You are given"), user("…")] }],
    ["compaction", path, {
      messages: [system("You are the component that summarizes internal chat history into a structure."), user("…")]
    }],
    ["compaction", "/v1/messages", {
      tools: [{}],
      messages: [user("Your task is to create a detailed summary of the RECENT portion of the conversation")]
    }],
    ["compaction", path, {
      messages: [user("<role>\nContext Extraction Assistant\n</role>\n\n<primary_objective>\nYour sole objective")]
    }],
    ["main", path, { messages: [user("I need a context extraction assistant: what is its <role>?")] }],
    ["compaction", "/v1/messages?beta=true", {
      compaction: { type: "summarize" },
      tools: [{}],
      messages: [user("Hi")]
    }],
    ["main", "/v1/messages", { compaction: null, messages: [user("Hi")] }],
    ["main", path, { messages: [user("Create a detailed summary of this article.")] }],
    ["warm_up", "/v1/responses", { generate: false, input: [] }],
    ["ping", "/v1/messages", { max_tokens: 1, messages: [user("quota")] }],
    ["main", path, { max_tokens: 1, logprobs: true, messages: [user("A or B?")] }],
    ["main", path, { max_tokens: 1, messages: [user("Which of the two answers is better? Say A or B.")] }],
    ["title", path, { messages: [system("You are a title generator. You output ONLY a thread title."), user("Hi")] }],
    ["title", "/v1/messages", {
      system: [{ type: "text", text: "Generate a concise, sentence-case title (3-7 words)" }],
      messages: [user("Hi")]
    }],
    ["title", "/v1/responses", { instructions: "You are a title generator.", input: "Hi" }],
    ["main", path, { tools: [{}], messages: [system("You generate a title for each book."), user("Hi")] }],
    ["main", path, { messages: [system("You are helpful."), user("What does a title generator do?")] }],
    ["main", path, { messages: [user(null), null, 3] }],
    ["main", path, undefined]
  ])("%s: %s %j", (role, url, request) => {
    assert.strictEqual(roleOf(url, request), role)
  })
})

describe("serverOf", () => {
  it.each([
    ["https://api.openai.com/v1", "openai", 443],
    ["https://eu.api.openai.com", "openai", 443],
    ["https://mine.openai.azure.com/openai/v1", "azure.ai.openai", 443],
    ["https://generativelanguage.googleapis.com/v1beta/openai", "gcp.gemini", 443],
    ["https://europe-west4-aiplatform.googleapis.com", "gcp.vertex_ai", 443],
    ["https://api.anthropic.com", "anthropic", 443],
    ["https://api.deepseek.com", "deepseek", 443],
    ["https://api.groq.com/openai/v1", "groq", 443],
    ["https://api.mistral.ai", "mistral_ai", 443],
    ["https://api.x.ai/v1", "x_ai", 443],
    ["https://api.perplexity.ai", "perplexity", 443],
    ["https://bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock", 443],
    ["https://openai.com.evil.example", null, 443],
    ["https://notopenai.com", null, 443],
    ["http://[::1]:8000/v1", null, 8000],
    ["http://localhost", null, 80]
  ])("%s is served by %s", (url, provider, port) => {
    assert.deepInclude(serverOf(url), { provider, port })
  })

  it("says nothing of what is no URL", () => {
    assert.isNull(serverOf(""))
    assert.isNull(serverOf("http://%"))
    assert.strictEqual(serverOf("http://[::1]:8000")?.address, "::1")
  })
})
