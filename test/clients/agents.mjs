// Coding agents from npm, each with what points it at a base URL and makes it answer one question without asking back.
// docs/agents.md tells people the same.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const write = (folder, name, content) => {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content, null, 2))
}
const model = "sim/arithmetic"

/** Over HTTP, or with its model calls over a WebSocket. */
const codex = (name, supportsWebsockets) => ({
  name,
  folder: "codex",
  package: "@openai/codex",
  version: "0.171.0",
  bin: "codex",
  path: "/responses",
  wire: supportsWebsockets ? "ws" : "sse",
  status: supportsWebsockets ? 101 : 200,
  configure: ({ base, home }) =>
    write(
      join(home, ".codex"),
      "config.toml",
      [
        `model = "${model}"`,
        `model_provider = "tau"`,
        "",
        "[model_providers.tau]",
        `name = "tau"`,
        `base_url = "${base}"`,
        `env_key = "OPENAI_API_KEY"`,
        `wire_api = "responses"`,
        `supports_websockets = ${supportsWebsockets}`
      ].join("\n")
    ),
  args: ({ question }) => ["exec", "--skip-git-repo-check", "--json", "-C", ".", question]
})

export const agents = [
  {
    name: "pi",
    package: "@mariozechner/pi-coding-agent",
    version: "0.73.1",
    bin: "pi",
    path: "/chat/completions",
    configure: ({ base, home }) =>
      write(join(home, ".pi/agent"), "models.json", {
        providers: {
          tau: { baseUrl: base, api: "openai-completions", apiKey: "OPENAI_API_KEY", models: [{ id: model }] }
        }
      }),
    args: ({ question }) => ["--provider", "tau", "--model", model, "-p", "--no-session", question]
  },
  {
    name: "qwen",
    package: "@qwen-code/qwen-code",
    version: "0.24.4",
    bin: "qwen",
    path: "/chat/completions",
    env: (base) => ({ OPENAI_BASE_URL: base, OPENAI_MODEL: model }),
    args: ({ question }) => ["--auth-type", "openai", "-y", "-o", "text", question]
  },
  {
    name: "opencode",
    package: "opencode-ai",
    version: "1.18.33",
    bin: "opencode",
    path: "/chat/completions",
    configure: ({ base, work }) =>
      write(work, "opencode.json", {
        model: `tau/${model}`,
        provider: {
          tau: {
            npm: "@ai-sdk/openai-compatible",
            options: { baseURL: base, apiKey: "{env:OPENAI_API_KEY}" },
            models: { [model]: {} }
          }
        }
      }),
    args: ({ question }) => ["run", "--format", "json", question]
  },
  {
    name: "cline",
    package: "cline",
    version: "3.0.65",
    bin: "cline",
    path: "/chat/completions",
    before: ({ base, home }) => [
      ["auth", "openai-compatible", "--data-dir", join(home, "data"), "-k", "sk-agent-key", "-m", model, "-b", base]
    ],
    args: ({ home, question }) => [
      "--data-dir",
      join(home, "data"),
      "-P",
      "openai-compatible",
      "-m",
      model,
      "--json",
      question
    ]
  },
  {
    name: "claude",
    package: "@anthropic-ai/claude-code",
    version: "2.1.197",
    bin: "claude",
    path: "/messages",
    env: (base) => ({
      ANTHROPIC_BASE_URL: base.slice(0, -"/v1".length),
      ANTHROPIC_API_KEY: "sk-agent-key",
      ANTHROPIC_MODEL: model
    }),
    // It tells the day before the question, and the simulated model calculates the first thing that looks like a sum.
    answer: () => {
      const now = new Date()
      return String(now.getFullYear() - (now.getMonth() + 1) - now.getDate())
    },
    args: ({ question }) => ["-p", question]
  },
  codex("codex", false),
  codex("codex-websocket", true),
  {
    name: "cn",
    package: "@continuedev/cli",
    version: "1.5.47",
    bin: "cn",
    path: "/chat/completions",
    configure: ({ base, work }) =>
      write(
        work,
        "tau.yaml",
        [
          "name: tau",
          "version: 0.0.1",
          "schema: v1",
          "models:",
          "  - name: tau",
          "    provider: openai",
          `    model: ${model}`,
          `    apiBase: ${base}`,
          "    apiKey: sk-agent-key",
          "    roles: [chat]"
        ].join("\n")
      ),
    args: ({ question }) => ["--config", "tau.yaml", "--auto", "-p", question]
  }
]
