#!/usr/bin/env python3
"""Books meeting rooms: a small agent with one tool, on nothing but Python's standard library.

It has its system prompt and its tool's description in its own code, and knows where its model is from OPENAI_BASE_URL and
OPENAI_API_KEY, as any agent does. It reads one task from standard input, plain or as JSON with a "prompt", and prints its answer.
"""
import json
import os
import sys
import urllib.error
import urllib.request

SYSTEM = """You book meeting rooms.
Look rooms up before you answer, and name the smallest that fits."""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_rooms",
            "description": "Lists rooms – with at least so many seats.",
            "parameters": {
                "type": "object",
                "properties": {"seats": {"type": "integer", "description": "How many people come."}},
                "required": ["seats"],
            },
        },
    }
]

ROOMS = {"Ada": 4, "Grace": 8, "Alan": 16}


def find_rooms(seats):
    return [{"room": room, "seats": has} for room, has in ROOMS.items() if has >= seats]


def task():
    text = sys.stdin.buffer.read().decode("utf-8")
    try:
        return json.loads(text)["prompt"]
    except (ValueError, TypeError, KeyError):
        return text.strip()


def ask(messages):
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    body = {"model": os.environ.get("OPENAI_MODEL", "gpt-4o-mini"), "temperature": 0, "messages": messages, "tools": TOOLS}
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none"),
    }
    request = urllib.request.Request(base + "/chat/completions", json.dumps(body).encode("utf-8"), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]


def main():
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": task()}]
    for _ in range(8):
        message = ask(messages)
        messages.append(message)
        if not message.get("tool_calls"):
            print(message.get("content") or "")
            return
        for call in message["tool_calls"]:
            seats = json.loads(call["function"]["arguments"])["seats"]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(find_rooms(seats))})
    sys.exit("no answer after eight calls")


try:
    main()
except urllib.error.HTTPError as error:
    sys.exit("the model answered %d: %s" % (error.code, error.read(2000).decode("utf-8", "replace")))
except urllib.error.URLError as error:
    sys.exit("the model could not be reached: %s" % error)
