#!/usr/bin/env python3
"""An agent that books meeting rooms, in plain Python 3: a loop of model calls with a tool, until the model gives its answer.

The request is JSON on standard input. The system prompt and the tool's description come from the environment; without them the
agent has its own.
"""
import json
import os
import sys
import urllib.error
import urllib.request

TOOL = "get_rooms_and_availability"
STEPS_MAX = 8

SYSTEM_PROMPT = os.environ.get("TAU_RESOURCE_SYSTEM_PROMPT", "You book meeting rooms. Answer with the room.")
TOOL_DESCRIPTION = os.environ.get("TAU_RESOURCE_ROOMS_TOOL", "Lists rooms.")


def rooms_file():
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "rooms.tool.json")


def minutes(time):
    hours, rest = str(time).split(":")
    return int(hours) * 60 + int(rest)


def is_free(room, date, time, duration):
    start, end = minutes(time), minutes(time) + int(duration)
    return all(
        day != date or end <= minutes(begins) or start >= minutes(begins) + length
        for day, begins, length in room["booked"]
    )


def call_tool(name, arguments):
    """What the tool answers, as text; a call that makes no sense is answered with what is wrong about it."""
    if name != TOOL:
        return json.dumps({"error": "there is no tool %s" % name})
    try:
        wanted = json.loads(arguments)
        date, time, duration = wanted["date"], wanted["time"], wanted["duration_min"]
        with open(rooms_file(), encoding="utf-8") as file:
            rooms = json.load(file)
        return json.dumps({
            "rooms": [
                {
                    "id": room["id"],
                    "capacity": room["capacity"],
                    "equipment": room["equipment"],
                    "accessible": room["accessible"],
                    "distance_m": room["distance_m"],
                    "free": is_free(room, date, time, duration),
                }
                for room in rooms
            ]
        })
    except (KeyError, TypeError, ValueError) as error:
        return json.dumps({"error": "date, time (HH:MM) and duration_min are needed: %r" % error})


def tools():
    text, number = {"type": "string"}, {"type": "integer"}
    return [{
        "type": "function",
        "function": {
            "name": TOOL,
            "description": TOOL_DESCRIPTION,
            "parameters": {
                "type": "object",
                "properties": {"date": text, "time": text, "duration_min": number},
                "required": ["date", "time", "duration_min"],
            },
        },
    }]


def complete(messages):
    base = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    body = {
        "model": os.environ.get("TAU_MODEL") or os.environ.get("OPENAI_MODEL") or "gpt-4o-mini",
        "temperature": 0,
        "messages": messages,
        "tools": tools(),
    }
    headers = {
        "content-type": "application/json",
        "authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none"),
    }
    request = urllib.request.Request(base + "/chat/completions", json.dumps(body).encode("utf-8"), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]


def asked(wanted):
    """The request in words."""
    return "\n".join([
        "Date: %s, %s, for %s minutes" % (wanted["date"], wanted["time"], wanted["duration_min"]),
        "Attendees: %s" % wanted["attendees"],
        "Equipment: %s" % (", ".join(wanted["needs"]) or "none"),
        "Wheelchair access: %s" % ("needed" if wanted["accessible_required"] else "not needed"),
        "Which of the rooms?",
    ])


def main():
    example = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    messages = [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": asked(example["input"])},
    ]
    for _ in range(STEPS_MAX):
        message = complete(messages)
        calls = message.get("tool_calls") or []
        if not calls:
            print((message.get("content") or "").strip())
            return
        messages.append({"role": "assistant", "content": message.get("content"), "tool_calls": calls})
        for call in calls:
            function = call["function"]
            answer = call_tool(function["name"], function["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": answer})
    sys.exit("the model still wants tools after %d steps" % STEPS_MAX)


try:
    main()
except urllib.error.HTTPError as error:
    sys.exit("the model answered %d: %s" % (error.code, error.read(2000).decode("utf-8", "replace")))
except urllib.error.URLError as error:
    sys.exit("the model could not be reached: %s" % error)
