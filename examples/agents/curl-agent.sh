#!/usr/bin/env bash
# An agent made of curl: one question on standard input, the answer on standard output. Node makes and reads the JSON, since
# it is there wherever tau is; jq would do as well.
set -euo pipefail

base=${OPENAI_BASE_URL:-https://api.openai.com/v1}
export MODEL=${TAU_MODEL:-${OPENAI_MODEL:-gpt-4o-mini}}
export SYSTEM_PROMPT=${TAU_RESOURCE_SYSTEM_PROMPT:-You solve word problems.}

node -e '
  const example = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
  const messages = [
    { role: "system", content: process.env.SYSTEM_PROMPT },
    { role: "user", content: example.prompt ?? example.input }
  ]
  console.log(JSON.stringify({ model: process.env.MODEL, temperature: 0, messages }))' |
  curl --silent --show-error --fail-with-body --max-time 120 "$base/chat/completions" \
    --header 'content-type: application/json' --header "authorization: Bearer ${OPENAI_API_KEY:-none}" \
    --data-binary @- |
  node -e '
  const text = require("node:fs").readFileSync(0, "utf8")
  const { choices } = text.startsWith("{") ? JSON.parse(text) : {}
  if (choices === undefined) {
    console.error(`no answer: ${text}`)
    process.exit(1)
  }
  console.log(choices[0].message.content)'
