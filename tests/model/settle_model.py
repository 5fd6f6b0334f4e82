#!/usr/bin/python3
"""Model of data-model.md 8.4 and contract 5: several agents write one leg's document and its queue entries.

  settle_model.py [--runs N] [--seed S] [--break NAME]

Each run is one random world: who gets which webhook (twice, at two agents, sent again), sockets that come and
go, people who write, an application's document, crashes between any two steps, operations of a dead agent that
arrive late, a Redis that loses its tail. When all is quiet the document and the queue are judged. A wrong run
prints its seed; `--seed S --runs 1` repeats it."""
import argparse
import random
import sys

from settle_rules import (BREAKS, CONFLICT, DERIVED, EVENTS, ISSUES, KEY, LEG, LOOKUP, OURS, REFERENCES,
                          RESULT, REVISION, SIDE, TAGS, Steps, facts_of, fold, fold_of, last_sign, revision_of)
from tiny_mongo import DuplicateKey, TinyMongo, get

STEPS_MAX = 20_000  # a world that is not quiet by then never will be
IDLE = object()
PERSON_RESULTS = ("qualified", "not-interested")


class Redis:
    """The queue's stream and the hash <prefix>outbox. One call of add() is one MULTI."""

    def __init__(self):
        self.entries, self.fields, self.past = [], {}, []
        self.loader = None  # a consumer that reads each entry at once: replaces when the revision is greater

    def add(self, document, agent, row, is_late=False):
        """An entry that was under way when its agent died may come after newer ones of that agent."""
        self.past.append((len(self.entries), dict(self.fields)))
        if document is not None:
            self.entries.append((None if is_late else agent, document))
            self.loader = newer(self.loader, document)
        if row is not None:
            self.fields[agent] = row

    def lose_tail(self, rng):
        if self.past:
            kept = rng.randrange(max(0, len(self.past) - 4), len(self.past))
            count, self.fields = self.past[kept]
            self.fields = dict(self.fields)
            del self.entries[count:], self.past[kept:]


def newer(held, document):
    return document if held is None or document[REVISION_KEY] > held[REVISION_KEY] else held


REVISION_KEY = "revision"


class Agent:
    """Outbox, cursors and parts are on its disk; the two workers are its memory."""

    def __init__(self, number, world, lookup):
        self.name, self.world = f"a{number}", world
        self.outbox, self.mongo_cursor, self.queue_cursor, self.sent = [], 0, 0, 0
        self.parts, self.seen = {}, set()
        self.unstored = []  # rows that only memory has: a break of the rules
        self.steps = Steps(self.name, world.mongo, world, world.breaks, lookup)
        self.start()

    def start(self):
        self.check_due = True  # of our field in Redis: at every connect and every 10 s
        self.workers = [[self._mongo(), None], [self._queue(), None]]  # steps, operation under way

    def crash(self, rng):
        """The memory goes; an operation under way may still reach its server, now or later."""
        for worker in self.workers:
            if worker[1] not in (None, IDLE) and rng.random() < 0.5:
                self.world.late.append(worker[1])
        self.unstored.clear()
        if "open_parts_stay" not in self.world.breaks:
            for name, part in self.parts.items():
                if part["state"] == "open":
                    self.put_part(name, {**part, "n": part["n"] + 1, "state": "cut"})
        self.start()

    def take(self, element):
        """A webhook is acknowledged: it is on disk. A repeated one changes nothing."""
        if element["_id"] not in self.seen:
            self.seen.add(element["_id"])
            self.outbox.append({"kind": "event", "element": element, "payload": element["payload"]})

    def put_part(self, name, part):
        self.parts[name] = part
        self.outbox.append({"kind": "part", "id": name, "part": part, "payload": {}})

    def _mongo(self):
        while True:
            if self.unstored:
                row = self.unstored.pop(0)
                yield from self.steps.write_fact(row)
                yield from self.steps.settle()
                continue
            if self.mongo_cursor == len(self.outbox):
                yield IDLE
                continue
            end = min(len(self.outbox), self.mongo_cursor + self.world.rng.randint(1, 3))
            for row in self.outbox[self.mongo_cursor:end]:
                yield from self.steps.write_fact(row)
            if "finish_before_settle" in self.world.breaks:
                self.mongo_cursor = end
            yield from self.steps.settle()
            self.mongo_cursor = end

    def _queue(self):
        redis = self.world.redis
        while True:
            if self.check_due and "no_lost_tail" not in self.world.breaks:
                self.check_due = False
                field = yield lambda: redis.fields.get(self.name, 0)
                if field < self.sent:
                    self.queue_cursor = self.sent = field
            limit = len(self.outbox) if "queue_passes_mongo" in self.world.breaks else self.mongo_cursor
            if self.queue_cursor >= limit:
                yield IDLE
                continue
            row = self.world.rng.randint(self.queue_cursor + 1, limit)  # entries may be coalesced
            yield from self.steps.queue_row(row)
            self.queue_cursor = row
            self.sent = max(self.sent, redis.fields.get(self.name, 0) and row)

    def step(self, worker):
        """One operation of a worker. False: it has nothing to do."""
        generator, operation = worker
        if operation in (None, IDLE):
            worker[1] = next(generator)
            return worker[1] is not IDLE
        error = result = None
        try:
            result = operation()
        except DuplicateKey as refused:
            error = refused
        if self.world.may_crash():  # the server has done it, the agent does not know
            self.crash(self.world.rng)
            return True
        worker[1] = generator.throw(error) if error else generator.send(result)
        return True


class World:
    def __init__(self, seed, breaks=()):
        self.rng, self.breaks = random.Random(seed), frozenset(breaks)
        self.mongo, self.redis = TinyMongo(), Redis()
        self.late, self.is_late = [], False  # operations whose agent has died
        self.crashes = self.rng.choice((0, 0, 2, 4))
        # A wrong rule is often mended by the next settle: only a world of two or three facts shows it.
        self.small = self.rng.random() < 0.6
        self.pace = self.rng.choice((0.03, 0.1, 0.4))
        self.hold_share = self.rng.choice((0, 0.05, 0.1, 0.2))
        self.crash_share = self.rng.choice((0.01, 0.05))
        self.acknowledged, self.person_result, self.person_tag, self.faults = {}, None, False, []
        looks, self.has_lead = self.rng.random() < 0.6, self.rng.random() < 0.3
        self.agents = [Agent(n, self, self._lookup() if looks and self.rng.random() < 0.6 else None)
                       for n in range(2 if self.small else self.rng.choice((1, 2, 3, 3)))]
        self.application = self._application()
        self.script = self._script()

    # ---- what happens in this world ----

    def _lookup(self):
        """`leads` may change while agents ask."""
        return lambda: self.rng.choice(("L-one", "L-two"))

    def _application(self):
        """A document that somebody else made: waits for this leg, or belongs to another."""
        kind = self.rng.choice((None, None, "waits", "waits by id", "has the control id", "another leg's"))
        document = {"_id": "app", "callLogId": "X", "callType": "qualification", "contactId": "C-app", TAGS: ["sales"]}
        if kind in ("waits by id", "has the control id"):
            document["callLogId"] = "Y"
        if kind == "has the control id":
            document["telnyx"] = {"callControlId": LEG}
        if kind == "another leg's":
            document["telnyx"] = {"callControlId": "v3:another"}
        if "derived_from_outside" in self.breaks:
            document.update(callLogId=DERIVED, telnyx={"callControlId": "v3:another"})
            kind = "another leg's"
        self.named = {"waits by id": {"callId": "app"}, "has the control id": {"callId": "app"},
                      None: {"callLogId": "W"}}.get(kind, {"callLogId": "X"})
        return document if kind else None

    def _events(self):
        rng = self.rng
        types = ["call.initiated", "call.answered", "call.hangup", "call.cost", "call.hold"]
        chosen = [kind for kind in types if rng.random() < 0.7] or ["call.initiated"]
        if self.small:
            chosen = ["call.hangup", rng.choice(types[:2])]
        for number, kind in enumerate(chosen):
            payload = dict(self.named) if rng.random() < 0.6 else {}
            if rng.random() < 0.05:
                payload = {"callLogId": "V"}  # an earlier or later state with another id
            if self.has_lead and rng.random() < 0.5:
                payload["leadId"] = "L-state"
            yield {"_id": f"e{number}", "eventType": kind, "timestamp": rng.randrange(10), "payload": payload}

    def _script(self):
        rng, script = self.rng, []
        for number, element in enumerate(self._events()):
            # At two agents, or once more at the same.
            for _ in range(1 if self.small else rng.choice((1, 1, 2, 3))):
                turn = number if self.small else rng.randrange(3)
                script.append(lambda e=element, n=turn: self._deliver(self.agents[n % len(self.agents)], e))
        for _ in range(rng.choice((0, 3)) if self.small else rng.choice((0, 1, 3, 6))):
            script.append(lambda: self._media(rng.choice(self.agents)))
        for _ in range(rng.choice((0, 0, 0, 1))):
            script.append(self._give_up)
        for _ in range(rng.choice((0, 0, 1, 2))):
            script.append(self._person)
        for _ in range(rng.choice((0, 0, 1, 2))):
            script.append(self._lose_tail)
        if self.application:
            script.append(self._insert_application)
        rng.shuffle(script)
        if self.application and rng.random() < 0.6:  # mostly it was there before the call
            script.append(self._insert_application)
        return script

    def _insert_application(self):
        if not any(d.get("_id") == "app" for d in self.mongo.documents):
            try:
                self.mongo._check_unique(self.application)
                self.mongo.documents.append(self.application)
            except DuplicateKey:
                pass  # the id is taken: the application's fault

    def _lose_tail(self):
        self.redis.lose_tail(self.rng)
        for agent in self.agents:
            agent.check_due = True

    def _deliver(self, agent, element):
        agent.take(element)
        self.acknowledged[element["_id"]] = element

    def _media(self, agent):
        """A socket of the agent opens, is measured further, or ends."""
        rng = self.rng
        live = [name for name, part in agent.parts.items() if part["state"] == "open"]
        if not live:
            name = f"{agent.name}_{len(agent.parts)}"
            agent.put_part(name, {"n": 1, "state": "open", "frames": 0, "last_frame": 0, "findings": []})
            return
        part = agent.parts[live[0]]
        findings = [f"{live[0]}:{k}" for k in range(3) if rng.random() < 0.4]
        grown = {"n": part["n"] + rng.randint(1, 2), "state": rng.choice(("open", "open", "closed")),
                 "findings": findings, "frames": part["frames"] + 50,
                 "last_frame": max(part["last_frame"], rng.randrange(10))}
        if "part_n_from_memory" in self.breaks and grown["state"] == "open":
            grown["n"] += 1
            agent.unstored.append({"kind": "part", "id": live[0], "part": grown, "payload": {}})
            return
        agent.put_part(live[0], grown)

    def _person(self):
        if not self.mongo.find({KEY: LEG}):
            return
        if self.rng.random() < 0.5:
            self.person_result = self.rng.choice(PERSON_RESULTS)
            self.mongo.update({KEY: LEG}, {"$set": {RESULT: self.person_result}})
        else:
            self.person_tag = True
            self.mongo.update({KEY: LEG}, {"$addToSet": {TAGS: "vip"},
                                           "$push": {ISSUES: {"$each": [{"_id": "human"}]}}})

    def may_crash(self):
        if self.crashes and self.rng.random() < self.crash_share:
            self.crashes -= 1
            return True
        return False

    def add(self, document, agent, row):
        """The queue as agents see it: an entry is a view of the document."""
        self.redis.add(document and view(document), agent, row, self.is_late)

    # ---- running ----

    def run(self):
        if not self._until_quiet():
            return ["it never comes to rest"]
        self._judge_queue(self.mongo.find({KEY: LEG}) or {}, must=False)
        for agent in self.agents:  # every socket ends some day
            for name, part in agent.parts.items():
                if part["state"] == "open" and "open_parts_stay" not in self.breaks:
                    agent.put_part(name, {**part, "n": part["n"] + 1, "state": "closed"})
        self._until_quiet()
        document = self.mongo.find({KEY: LEG}) or {}
        if not fold_of(document)["ended"]:
            self._give_up()
            self._until_quiet()
        if self.rng.random() < 0.3:
            self._lose_tail()
            self._until_quiet()
        return self._judge() + self.faults

    def _give_up(self):
        """An agent that sees no hang-up takes the leg for lost at the last sign that the document has."""
        document = self.mongo.find({KEY: LEG})
        if not document:
            return
        at = last_sign(*facts_of(document))
        lost = {"_id": f"lost{at}", "eventType": "sidetone.leg_lost", "timestamp": at, "payload": {}}
        self._deliver(self.rng.choice(self.agents), lost)

    def _until_quiet(self):
        rng, quiet, held, until = self.rng, 0, None, 0
        for step in range(STEPS_MAX):
            if self.script and rng.random() < self.pace:
                self.script.pop()()
            if self.late and rng.random() < 0.02:
                self._late()
            agent, worker = rng.choice(self.workers())
            if held is None and worker[1] not in (None, IDLE) and rng.random() < self.hold_share:
                held, until = worker, step + rng.choice((10, 20, 40, STEPS_MAX))
            if held is worker and quiet < 12 and step < until:
                continue  # a slow network: others do much, or all they can, between two of its steps
            held = None if held is worker else held
            quiet = 0 if agent.step(worker) else quiet + 1
            for one in self.agents:
                if one.queue_cursor > one.mongo_cursor and "passed" not in self.faults:
                    self.faults.append("passed")
            if quiet > 12 and not self.script and self._all_idle():
                if not self.late:
                    return True
                self._late()
        return False

    def workers(self):
        return [(agent, worker) for agent in self.agents for worker in agent.workers]

    def _late(self):
        self.is_late = True
        try:
            self.late.pop(self.rng.randrange(len(self.late)))()
        except DuplicateKey:
            pass
        self.is_late = False

    def _all_idle(self):
        return not any(agent.step(worker) for agent, worker in self.workers())

    # ---- judging ----

    def _judge(self):
        documents = [d for d in self.mongo.documents if get(d, KEY) == LEG]
        if len(documents) != 1:
            return [f"{len(documents)} documents of the leg"]
        document, faults = documents[0], []
        events = sorted(self.acknowledged.values(), key=lambda e: (e["timestamp"], e["_id"]))
        parts = {name: part for agent in self.agents for name, part in agent.parts.items()}
        wrong = lambda what, expected, got: faults.append(f"{what}: expected {expected!r}, got {got!r}")
        if get(document, EVENTS) != events:
            wrong("events", [e["_id"] for e in events], [e["_id"] for e in get(document, EVENTS, [])])
        if get(document, SIDE + "media", {}) != parts:
            wrong("parts", parts, get(document, SIDE + "media"))
        if any(part["state"] == "open" for part in parts.values()):
            faults.append("a part stays open")
        result = fold(events, parts, get(document, LOOKUP))
        for path in OURS:
            if get(document, path) != result["paths"].get(path):
                wrong(path, result["paths"].get(path), get(document, path))
        if get(document, REVISION) != revision_of(document, self.breaks):
            wrong("revision", revision_of(document, self.breaks), get(document, REVISION))
        self._judge_names(document, result, wrong)
        self._judge_people(document, result, wrong)
        self._judge_queue(document)
        return faults

    def _judge_names(self, document, result, wrong):
        wanted = result["wanted"]
        others = [d["callLogId"] for d in self.mongo.documents if d is not document]
        if document.get("_id") == "app":
            name = self.application["callLogId"]
            conflict = wanted if wanted not in (None, name) else None
        else:
            taken = wanted in others
            name, conflict = (DERIVED if wanted is None or taken else wanted), (wanted if taken else None)
        if (document["callLogId"], get(document, CONFLICT)) != (name, conflict):
            wrong("callLogId and conflict", (name, conflict), (document["callLogId"], get(document, CONFLICT)))
        own = self.application if document.get("_id") == "app" else {}
        for path in REFERENCES + ("callType",):
            value = result["paths"].get(path, own.get(path))
            if document.get(path) != value:
                wrong(path, value, document.get(path))

    def _judge_people(self, document, result, wrong):
        value = result["result"] if self.person_result is None else self.person_result
        if get(document, RESULT) != value:
            wrong("outcome.result", value, get(document, RESULT))
        tags = set(result["tags"]) | ({"vip"} if self.person_tag else set())
        tags |= set(self.application[TAGS]) if document.get("_id") == "app" else set()
        if sorted(get(document, TAGS, [])) != sorted(tags):
            wrong("tags", sorted(tags), sorted(get(document, TAGS, [])))
        rows = [row["_id"] for row in get(document, ISSUES, []) if row["_id"] != "human"]
        if sorted(rows) != result["issues"]:
            wrong("issues", result["issues"], sorted(rows))

    def _judge_queue(self, document, must=True):
        own, held, last, faults = view(document), None, {}, self.faults
        for agent, entry in self.redis.entries:
            held = newer(held, entry)
            if agent and entry[REVISION_KEY] < last.get(agent, 0):
                faults.append(f"entries of {agent} fall")
            last[agent] = entry[REVISION_KEY]
        for what, entry in (("queue", held), ("loader", self.redis.loader)):
            if entry is None:
                if must:
                    faults.append(f"{what}: no entry of an ended leg")
                continue
            for path, value in own.items():
                people = path == RESULT and self.person_result is not None
                if entry[path] != value and not people:
                    faults.append(f"{what}: {path}: expected {value!r}, got {entry[path]!r}")


def view(document):
    """What an entry has of the document: our paths; of tags and issues what is not a person's."""
    entry = {path: get(document, path) for path in OURS + REFERENCES + ("callLogId", CONFLICT, RESULT)}
    entry[REVISION_KEY] = get(document, REVISION)
    entry[TAGS] = sorted(tag for tag in get(document, TAGS, []) if tag != "vip")
    entry[ISSUES] = sorted(row["_id"] for row in get(document, ISSUES, []) if row["_id"] != "human")
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    parser.add_argument("--break", dest="breaks", action="append", default=[], choices=sorted(BREAKS))
    arguments = parser.parse_args()
    wrong = 0
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        faults = World(seed, arguments.breaks).run()
        if faults:
            wrong += 1
            print(f"seed {seed}: " + "; ".join(faults))
    print(f"{arguments.runs} runs from seed {arguments.seed}: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
