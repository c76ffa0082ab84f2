#!/usr/bin/env python3
"""An agent in plain Python 3, without a client library: one question on standard input, the answer on standard output.

With --stream it reads server-sent events. OPENAI_BASE_URL may carry the attribution in its path, as tau writes it; with a
plain base URL the attribution goes into headers, when TAU_ROLLOUT_ID and TAU_ATTEMPT_ID are set.
"""
import json
import os
import sys
import urllib.error
import urllib.request


def example():
    path = os.environ.get("TAU_EXAMPLE_FILE")
    if path and sys.stdin.isatty():
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    return json.loads(sys.stdin.buffer.read().decode("utf-8"))


def request(question, stream):
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none"),
    }
    rollout, attempt = os.environ.get("TAU_ROLLOUT_ID"), os.environ.get("TAU_ATTEMPT_ID")
    if rollout and attempt and "/rollout/" not in base:
        headers["x-rollout-id"] = rollout
        headers["x-attempt-id"] = attempt
    body = {
        "model": os.environ.get("TAU_MODEL") or os.environ.get("OPENAI_MODEL") or "gpt-4o-mini",
        "temperature": 0,
        "stream": stream,
        "messages": [
            {"role": "system", "content": os.environ.get("TAU_RESOURCE_SYSTEM_PROMPT", "You solve word problems.")},
            {"role": "user", "content": question},
        ],
    }
    return urllib.request.Request(base + "/chat/completions", json.dumps(body).encode("utf-8"), headers)


def streamed(response):
    """The pieces of the answer; a stream that ends without [DONE] was cut."""
    for line in response:
        data = line.decode("utf-8").strip()
        if not data.startswith("data:"):
            continue
        data = data[len("data:"):].strip()
        if data == "[DONE]":
            return
        chunk = json.loads(data)
        if chunk.get("error"):
            raise RuntimeError(chunk["error"].get("message", "the stream reported an error"))
        for choice in chunk.get("choices", []):
            yield choice.get("delta", {}).get("content") or ""
    raise RuntimeError("the stream ended before [DONE]")


def main():
    stream = "--stream" in sys.argv[1:]
    given = example()
    question = given.get("prompt") or given.get("input")
    if not isinstance(question, str):
        sys.exit("the example has neither a prompt nor an input")
    try:
        with urllib.request.urlopen(request(question, stream), timeout=120) as response:
            if stream:
                answer = "".join(streamed(response))
            else:
                answer = json.load(response)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        sys.exit("the model answered %d: %s" % (error.code, error.read(2000).decode("utf-8", "replace")))
    except (urllib.error.URLError, RuntimeError) as error:
        sys.exit("the model could not be reached: %s" % error)
    output = os.environ.get("TAU_OUTPUT_FILE")
    if output and "--output-file" in sys.argv[1:]:
        with open(output, "w", encoding="utf-8") as file:
            file.write(answer)
    else:
        print(answer)


main()
