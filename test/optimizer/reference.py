"""Writes reference.json: the parents and minibatches that GEPA's rules draw with CPython's own random numbers, dicts and sets.

    python3 test/optimizer/reference.py > test/optimizer/reference.json

A world that needs no model: the n-th reflection answers `t<n>`, and the score of a text on an example is a formula of both.
"""

import json
import random

TRAIN, SELECTION, MINIBATCH, ITERATIONS = 10, 12, 3, 60


def score(text, example):
    n = int(text[1:])
    return ((n * 7 + example * 13 + n * example % 11) % 8) / 8


def undominated(fronts, means):
    members = []
    for front in fronts.values():
        for member in front:
            if member not in members:
                members.append(member)
    gone = set()
    found = True
    while found:
        found = False
        for member in sorted(members, key=lambda m: means[m]):
            if member in gone:
                continue
            if all(any(o != member and o not in gone for o in f) for f in fronts.values() if member in f):
                gone.add(member)
                found = True
                break
    return {example: {m for m in front if m not in gone} for example, front in fronts.items()}


def run(seed):
    rng = random.Random(seed)
    pool, fronts, best = ["t0"], {}, {}

    def join(text, index):
        for example in range(SELECTION):
            value = score(text, 100 + example)
            if example not in best or value > best[example]:
                best[example], fronts[example] = value, {index}
            elif value == best[example]:
                fronts[example].add(index)

    join("t0", 0)
    shuffled, epoch, steps, answers = [], -1, [], 0
    for i in range(ITERATIONS):
        means = [sum(score(t, 100 + e) for e in range(SELECTION)) / SELECTION for t in pool]
        counts = {}
        for front in undominated(fronts, means).values():
            for member in front:
                counts[member] = counts.get(member, 0) + 1
        parent = rng.choice([member for member, count in counts.items() for _ in range(count)])
        current = 0 if epoch == -1 else i * MINIBATCH // len(shuffled)
        if current > epoch:
            epoch = current
            shuffled = list(range(TRAIN))
            rng.shuffle(shuffled)
            uses = {example: 1 for example in shuffled}
            while len(shuffled) % MINIBATCH:
                least = min(reversed(list(uses)), key=lambda example: uses[example])
                shuffled.append(least)
                uses[least] += 1
        start = i * MINIBATCH % len(shuffled)
        batch = shuffled[start : start + MINIBATCH]
        before = [score(pool[parent], example) for example in batch]
        answers += 1
        child = "t%d" % answers
        accepted = sum(score(child, example) for example in batch) > sum(before)
        steps.append({"parent": pool[parent], "examples": batch, "accepted": accepted})
        if accepted:
            join(child, len(pool))
            pool.append(child)
    return {"seed": seed, "steps": steps}


print(json.dumps([run(seed) for seed in (0, 1, 7)]))
