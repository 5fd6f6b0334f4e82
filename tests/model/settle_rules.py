"""data-model.md 8.4 step by step: what one agent does with MongoDB and the queue for the rows of its outbox.

Each generator yields one operation at a time (a callable, atomic at its server) and is sent its result; whoever
drives it may stop it between any two. BREAKS are rules left out on purpose; those marked L are the letter of
8.4, or what it leaves open, where the model had to mend it."""
from tiny_mongo import DuplicateKey, get

LEG = "v3:leg"
DERIVED = "CALL_0_leg"
KEY = "telnyx.callControlId"
EVENTS = "telnyx.webhookEvents"
SIDE = "metadata.sidetone."
REVISION, SETTLED, LOOKUP = SIDE + "revision", SIDE + "settled", SIDE + "leadLookup"
CONFLICT, WROTE_ID = SIDE + "callLogIdConflict", SIDE + "wrote.callLogId"
RESULT, WROTE_RESULT = "outcome.result", SIDE + "wrote.result"
TAGS, WROTE_TAGS = "tags", SIDE + "wrote.tags"
ISSUES, WROTE_ISSUES = "quality.issues", SIDE + "wrote.issues"
REFERENCES = ("leadId", "contactId")
# Every folded path that one more fact may take away. References are not among them: they only ever come.
OURS = ("status", "initiatedAt", "answeredAt", "endedAt", "hangupCause", "answerState", "duration.total", "events",
        "quality.frames", SIDE + "complete", SIDE + "partial")
ENDS = ("call.hangup", "sidetone.leg_lost")
TRAILING = ("call.cost", "sidetone.leg_lost")

BREAKS = {
    "push_without_ne": "an event is pushed without the filter on its _id",
    "no_read_back": "E11000 on an event counts as done without looking",
    "part_without_n": "a part is set without the filter on n",
    "part_n_from_memory": "a part goes to MongoDB with an n that the local store does not have yet",
    "open_parts_stay": "a restarted agent does not mark its open parts cut",
    "settle_without_r": "the settle is not filtered on its revision",
    "finish_before_settle": "the row is finished before its settle",
    "no_unset": "paths that the fold leaves out stay",
    "equal_is_done": "a revision equal to R ends the settle before the second updates",
    "second_without_r": "the second updates of people's paths are not filtered on R",
    "second_without_value": "the second update is not filtered on the value just read",
    "tags_without_r": "tags are not filtered on R",
    "queue_passes_mongo": "the queue's cursor passes MongoDB's",
    "field_before_entry": "the field of <prefix>outbox is not in the entry's MULTI",
    "no_lost_tail": "the field of <prefix>outbox is never read back",
    "lookup_overwrites": "leadLookup is set without the filter that it is absent",
    "unset_only_seen": "L: only those paths are unset that the document had when it was read",
    "second_from_first_read": "L: the second updates use the values read before the first, and are tried once",
    "issues_without_r": "L: issues rows are pushed and pulled without the filter on R",
    "queue_ended_only": "L: no entry tells that a leg given up is up after all",
    "queue_unsettled": "L: an entry is added while the second updates of its revision are under way",
    "lookup_not_in_r": "L: leadLookup does not count in R",
    "unset_references": "L: references of an application's document are unset when no client_state has them",
    "foreign_id_replaced": "L: a document that the application made loses its callLogId to the derived one",
    "derived_from_outside": "L: another leg may take this leg's derived id from its client_state",
}


def facts_of(document):
    return get(document, EVENTS, []), get(document, SIDE + "media", {})


def revision_of(document, breaks=()):
    """R: names the state of the facts."""
    events, parts = facts_of(document)
    looked = get(document, LOOKUP) is not None and "lookup_not_in_r" not in breaks
    return len(events) + sum(part["n"] for part in parts.values()) + looked


def _end(events, parts):
    """The time at which the leg ended, None: it is up."""
    hangups = [e["timestamp"] for e in events if e["eventType"] == "call.hangup"]
    lost = [e["timestamp"] for e in events if e["eventType"] == "sidetone.leg_lost"]
    if hangups:
        return hangups[0]
    return lost[-1] if lost and last_sign(events, parts) <= lost[-1] else None


def last_sign(events, parts):
    signs = [e["timestamp"] for e in events if e["eventType"] not in TRAILING]
    return max(signs + [part["last_frame"] for part in parts.values()], default=0)


def fold(events, parts, lookup):
    """A small CallLog: enough to have paths that come, change and go again."""
    types = [e["eventType"] for e in events]
    end, media = _end(events, parts), any(part["frames"] for part in parts.values())
    answered = "call.answered" in types or media
    said = lambda key: next((e["payload"][key] for e in events if key in e["payload"]), None)
    states = [part["state"] for part in parts.values()]
    hung_up = "call.hangup" in types
    status = ("initiated", "answered", "failed", "completed")[2 * (end is not None) + answered]
    paths = {
        "status": status,
        "initiatedAt": events[0]["timestamp"] if events else None,
        "answeredAt": next((e["timestamp"] for e in events if e["eventType"] == "call.answered"), None),
        "endedAt": end, "hangupCause": "normal-clearing" if hung_up else None,
        "answerState": "no-answer" if hung_up and not answered else None,
        "duration.total": end - events[0]["timestamp"] if end is not None else None,
        "events": types, "quality.frames": sum(p["frames"] for p in parts.values()) if media else None,
        SIDE + "complete": end is not None and "open" not in states,
        SIDE + "partial": end is not None and not hung_up or "open" in states or "cut" in states,
        "leadId": said("leadId") or (lookup or {}).get("leadId"), "contactId": said("contactId")}
    return {
        "paths": {path: value for path, value in paths.items() if value is not None},
        "ended": end is not None, "wanted": said("callLogId"),
        "result": ("connected" if answered else "failed") if end is not None else None,
        "tags": ([] if paths["leadId"] else ["no-lead"]) + ([] if "call.initiated" in types else ["no-direction"]),
        # Findings that a further fact takes back: of a running part by a later count of it.
        "issues": sorted([row for part in parts.values() for row in part["findings"]]
                         + (["silent"] if hung_up and not answered else []))}


def fold_of(document):
    return fold(*facts_of(document), get(document, LOOKUP))


class Steps:
    """The operations of one agent. `mongo` and `redis` are the servers; `lookup` is what `leads` answers."""

    def __init__(self, name, mongo, redis, breaks, lookup):
        self.name, self.mongo, self.redis, self.breaks, self.lookup = name, mongo, redis, breaks, lookup

    def _update(self, query, update):
        return lambda: self.mongo.update(query, update)

    def _read(self):
        return lambda: self.mongo.find({KEY: LEG}) or {}

    # ---- facts ----

    def write_fact(self, row):
        yield from self._join(row["payload"])
        if row["kind"] == "event":
            element = row["element"]
            query = {KEY: LEG, EVENTS + "._id": {"$ne": element["_id"]}}
            if "push_without_ne" in self.breaks:
                query = {KEY: LEG}
            update = {"$push": {EVENTS: {"$each": [element], "$sort": {"timestamp": 1, "_id": 1}}}}
            there = lambda d: any(e["_id"] == element["_id"] for e in get(d, EVENTS, []))
        else:
            path, part = f"{SIDE}media.{row['id']}", row["part"]
            query = {KEY: LEG, path + ".n": {"$not": {"$gte": part["n"]}}}
            if "part_without_n" in self.breaks:
                query = {KEY: LEG}
            update = {"$set": {path: part}}
            there = lambda d: get(d, path + ".n", 0) >= part["n"]
        yield from self._upsert(query, update, there)

    def _upsert(self, query, update, there):
        update = {**update, "$setOnInsert": {"callLogId": DERIVED, WROTE_ID: DERIVED, "isActive": True}}
        while True:
            if (yield self._update(query, update)):
                return
            try:
                yield lambda: self.mongo.insert(query, update)
                return
            except DuplicateKey:
                if "no_read_back" in self.breaks or there((yield self._read())):
                    return

    def _join(self, payload):
        """An application's document that waits for this leg is taken before a new one is made."""
        joined = {"$set": {KEY: LEG}}
        for key, path in (("callLogId", "callLogId"), ("callId", "_id")):
            if key in payload:
                try:
                    yield self._update({path: payload[key], KEY: {"$exists": False}}, joined)
                except DuplicateKey:
                    pass  # the leg has a document: the application's is left alone

    # ---- settle ----

    def settle(self):
        while True:
            document = yield self._read()
            result = fold_of(document)
            if self.lookup and "leadId" not in result["paths"] and get(document, LOOKUP) is None:
                found = {"leadId": self.lookup()}
                absent = {} if "lookup_overwrites" in self.breaks else {LOOKUP: {"$exists": False}}
                yield self._update({KEY: LEG, **absent}, {"$set": {LOOKUP: found}})
                continue  # another agent's answer may be the one that is stored
            revision = revision_of(document, self.breaks)
            if not (yield from self._first(document, result, revision)):
                now = get((yield self._read()), REVISION, 0)
                if now > revision or (now == revision and "equal_is_done" in self.breaks):
                    return
                if now < revision:
                    continue
            yield from self._second(document, result, revision)
            return

    def _first(self, document, result, revision):
        """All folded paths at once. True: it matched."""
        query = {KEY: LEG, REVISION: {"$not": {"$gte": revision}}}
        if "settle_without_r" in self.breaks:
            query = {KEY: LEG}
        gone = [path for path in OURS if path not in result["paths"]]
        if "unset_references" in self.breaks:
            gone += [path for path in REFERENCES if path not in result["paths"]]
        if "unset_only_seen" in self.breaks:
            gone = [path for path in gone if get(document, path) is not None]
        paths = {**result["paths"], REVISION: revision}
        unset = {} if "no_unset" in self.breaks else dict.fromkeys(gone, "")
        wanted, name = result["wanted"], document["callLogId"]
        if name != get(document, WROTE_ID) and "foreign_id_replaced" not in self.breaks:
            # Somebody else named this document: it keeps the name.
            other = wanted not in (None, name)
            change = {"$set": {**paths, CONFLICT: wanted}, "$unset": unset} if other else {
                "$set": paths, "$unset": {**unset, CONFLICT: ""}}
            return (yield self._update(query, change))
        called = lambda new: {"callLogId": new, WROTE_ID: new}
        try:
            return (yield self._update(query, {"$set": {**paths, **called(wanted or DERIVED)},
                                               "$unset": {**unset, CONFLICT: ""}}))
        except DuplicateKey:
            return (yield self._update(query, {"$set": {**paths, **called(DERIVED), CONFLICT: wanted},
                                               "$unset": unset}))

    def _second(self, document, result, revision):
        """What people write too, one update after the other, each on what was read just before it."""
        if "second_from_first_read" in self.breaks:
            for change in list(self._changes(document, result, revision)):
                yield self._update(*change)
        while "second_from_first_read" not in self.breaks:
            document = yield self._read()
            if get(document, REVISION) != revision and "second_without_r" not in self.breaks:
                return
            change = next(self._changes(document, result, revision), None)
            if change is None:
                break
            yield self._update(*change)
        if get(document, SETTLED) != revision:
            yield self._update({KEY: LEG, REVISION: revision}, {"$set": {SETTLED: revision}})

    def _changes(self, document, result, revision):
        """(filter, update) of everything that is not yet as the fold has it."""
        at = lambda flag: {KEY: LEG} if flag in self.breaks else {KEY: LEG, REVISION: revision}
        value, own, new = get(document, RESULT), get(document, WROTE_RESULT), result["result"]
        if "second_without_value" in self.breaks:
            if value != new:
                yield at("second_without_r"), _result(new)
        elif value != new and value in (None, own) or value is None and own != new:
            same = {RESULT: {"$exists": False} if value is None else value}
            yield {**at("second_without_r"), **same}, _result(new)
        tags, own = get(document, TAGS, []), get(document, WROTE_TAGS, [])
        for tag in result["tags"]:
            if tag not in tags:
                yield at("tags_without_r"), {"$addToSet": {TAGS: tag, WROTE_TAGS: tag}}
        for tag in own:
            if tag not in result["tags"]:
                yield at("tags_without_r"), {"$pull": {TAGS: tag, WROTE_TAGS: tag}}
        there, own = [row["_id"] for row in get(document, ISSUES, [])], get(document, WROTE_ISSUES, [])
        for row in result["issues"]:
            if row not in there:
                yield ({**at("issues_without_r"), ISSUES + "._id": {"$ne": row}},
                       {"$push": {ISSUES: {"$each": [{"_id": row}]}}, "$addToSet": {WROTE_ISSUES: row}})
        for row in own:
            if row not in result["issues"]:
                yield at("issues_without_r"), {"$pull": {ISSUES: {"_id": row}, WROTE_ISSUES: row}}

    # ---- queue ----

    def queue_row(self, row_number):
        """One row of the outbox for the loader: the document as it is now, if its leg has ended once. A later
        fact may show that a leg given up is up after all: the loader must hear of it."""
        document = yield self._read()
        if "queue_ended_only" in self.breaks:
            if get(document, "endedAt") is None:
                return
        elif not any(e["eventType"] in ENDS for e in get(document, EVENTS, [])):
            return
        if get(document, SETTLED) != get(document, REVISION) and "queue_unsettled" not in self.breaks:
            return  # whoever raised the revision has an unfinished row, and adds the entry
        if "field_before_entry" in self.breaks:
            yield lambda: self.redis.add(None, self.name, row_number)
            yield lambda: self.redis.add(document, self.name, None)
        else:
            yield lambda: self.redis.add(document, self.name, row_number)


def _result(new):
    if new is None:
        return {"$unset": {RESULT: "", WROTE_RESULT: ""}}
    return {"$set": {RESULT: new, WROTE_RESULT: new}}
