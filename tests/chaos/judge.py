"""Whether what stands in MongoDB and in the queue is what the acknowledged events say, by a model that shares no code
with the agent (tests/model/reference_fold.py). Looks at all legs of a group, through links that nobody broke.

lost       an event answered 200 is no element of its leg's document; a media part that ended well is missing
twice      two documents of a leg, an element twice, a document of a leg that nobody had
differing  a path is not the fold of the facts
queue      the entry that a consumer would hold is not the document; or an agent's revisions fell"""
import copy
import json
from collections import Counter, defaultdict

from bson import json_util

import paths  # noqa: F401
from reference_facts import LEG_LOST, element_id, is_event
from reference_fold import compare, plain, reference_fold

KINDS = ("lost", "twice", "differing", "queue")
# contract.md 5: what the queue's document leaves out.
LEFT_OUT = (("telnyx", "webhookEvents"), ("telnyx", "apiResponse"), ("metadata", "sidetone", "media"),
            ("metadata", "sidetone", "speech", "events"), ("transcription", "fullText"), ("transcription", "turns"))


class Findings(list):
    """(kind, leg, text)"""

    def add(self, kind, leg, text):
        self.append((kind, leg, text))

    def count(self, kind):
        return len({leg for k, leg, _ in self if k == kind})


def sidetone_of(document):
    return document.get("metadata", {}).get("sidetone", {})


def lost_elements(document):
    """The agent's own facts: nobody sent them."""
    return [{"_id": str(e["_id"]), "eventType": e["eventType"], "payload": plain(e.get("payload", {})),
             "timestamp": round(plain(e["timestamp"]).timestamp() * 1000)}
            for e in elements(document) if e["eventType"] == LEG_LOST]


def elements(document):
    return document.get("telnyx", {}).get("webhookEvents", [])


# ---- MongoDB


def judge_facts(leg, document, sent, acknowledged, findings):
    """Everything acknowledged is there, once, and nothing that nobody sent."""
    there = Counter(str(e["_id"]) for e in elements(document))
    for one in sorted(acknowledged):
        if element_id(one) not in there:
            findings.add("lost", leg, f"event {one} was answered 200 and is no element of the document")
    for one, count in there.items():
        if count > 1:
            findings.add("twice", leg, f"element {one} {count} times")
    known = {element_id(body["data"]["id"]) for body in sent if is_event(body)}
    strange = [e for e in elements(document) if str(e["_id"]) not in known and e["eventType"] != LEG_LOST]
    for one in strange:
        findings.add("differing", leg, f"element {one['_id']} of an event that nobody sent")


def judge_fold(leg, document, sent, findings):
    """The model folds the facts that are there: all acknowledged ones, and those of a try without an answer."""
    there = {str(e["_id"]) for e in elements(document)}
    facts = [body for body in sent if element_id(body["data"]["id"]) in there]
    media = plain(sidetone_of(document).get("media", {}))
    options = {"lost": lost_elements(document), "conflict": sidetone_of(document).get("callLogIdConflict")}
    for line in compare(document, reference_fold(facts, media, options)):
        findings.add("differing", leg, line)


def judge_parts(leg, document, sockets, findings):
    """`sockets`: (agent id, frames) of those that ended well at an agent that nobody ended afterwards."""
    left = list(sidetone_of(document).get("media", {}).items())
    for agent, frames in sockets:
        found = next((one for one in left if one[0].rsplit("_", 1)[0] == agent and one[1].get("state") == "closed" and
                      received(one[1]) == frames), None)
        if found:
            left.remove(found)
        else:
            findings.add("lost", leg, f"no closed part of {agent} with {frames} frames")
    for name, part in left:
        if part.get("state") not in ("closed", "cut"):
            findings.add("differing", leg, f"part {name} is {part.get('state')!r} long after its socket went")


def received(part):
    """Frames that a part took in, all tracks."""
    tracks = (part.get(name, {}) for name in ("inbound", "outbound"))
    return sum(track.get("delivery", {}).get("received_frames", 0) for track in tracks)


# ---- queue


def projected(document):
    """The queue's document, from the one in MongoDB, in relaxed Extended JSON."""
    left = copy.deepcopy(document)
    for *above, last in LEFT_OUT:
        inner = left
        for key in above:
            inner = inner.get(key, {})
        inner.pop(last, None)
    _without_windows(sidetone_of(left).get("quality"))
    return json.loads(json_util.dumps(left, json_options=json_util.RELAXED_JSON_OPTIONS))


def _without_windows(value):
    if isinstance(value, dict):
        value.pop("windows", None)
        for inner in value.values():
            _without_windows(inner)


def flat(value, path=""):
    """{dotted path: value}; an empty object counts as nothing, since the projection may leave one."""
    if isinstance(value, dict):
        out = {}
        for key, inner in value.items():
            out.update(flat(inner, f"{path}.{key}" if path else key))
        return out
    return {path: value}


NOT_COMPARED = ("updatedAt", "createdAt", "__v", "metadata.sidetone.agents")


def unlike(queued, document):
    """Paths on which an entry's document is not the projection."""
    got, wanted = flat(plain(queued)), flat(plain(projected(document)))
    return [f"{path}: document {wanted.get(path)!r}, entry {got.get(path)!r}" for path in sorted(got.keys() | wanted.keys())
            if path not in NOT_COMPARED and got.get(path) != wanted.get(path)]


def held_by_a_consumer(entries):
    """{leg: entry}: greater revisions replace, others do nothing (contract.md 5)."""
    held = {}
    for one in entries:
        before = held.get(one["callControlId"])
        if before is None or int(one["revision"]) > int(before["revision"]):
            held[one["callControlId"]] = one
    return held


def judge_queue(documents, entries, one_agent, findings):
    held = held_by_a_consumer(entries)
    for leg, document in documents.items():
        entry = held.pop(leg, None)
        ended = "endedAt" in document
        if entry is None:
            if ended:
                findings.add("queue", leg, "ended, and no entry")
            continue
        meant = {"callLogId": document["callLogId"], "id": str(document["_id"]),
                 "revision": str(sidetone_of(document).get("revision"))}
        for name, value in meant.items():
            if entry.get(name) != value:
                findings.add("queue", leg, f"{name}: document {value}, entry {entry.get(name)}")
        for line in unlike(json.loads(entry["document"]), document):
            findings.add("queue", leg, line)
    for leg in held:
        findings.add("queue", leg, "an entry of a leg that has no document")
    if one_agent:
        judge_order(entries, findings)


def judge_order(entries, findings):
    """One agent's entries for a leg never fall."""
    newest = defaultdict(int)
    for one in entries:
        leg, revision = one["callControlId"], int(one["revision"])
        if revision < newest[leg]:
            findings.add("queue", leg, f"revision {revision} after {newest[leg]}")
        newest[leg] = max(newest[leg], revision)


# ---- all


def judge(documents, entries, legs, one_agent):
    """documents: all of the collection; entries: the fields of the whole stream, in order; legs: {leg: (bodies sent, ids
    acknowledged, sockets)}."""
    findings, by_leg = Findings(), {}
    for document in documents:
        leg = document.get("telnyx", {}).get("callControlId")
        if leg in by_leg:
            findings.add("twice", leg, "two documents")
        elif leg not in legs:
            findings.add("twice", leg, "a document of a leg that nobody had")
        by_leg[leg] = document
    for leg, (sent, acknowledged, sockets) in legs.items():
        if leg not in by_leg:
            if acknowledged or sockets:
                findings.add("lost", leg, "no document")
            continue
        judge_facts(leg, by_leg[leg], sent, acknowledged, findings)
        judge_fold(leg, by_leg[leg], sent, findings)
        judge_parts(leg, by_leg[leg], sockets, findings)
    judge_queue(by_leg, entries, one_agent, findings)
    return findings
