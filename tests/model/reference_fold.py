"""The judge of the chaos run: webhook facts to the CallLog's paths, independent of agent/fold*.c.

Written from data-model.md 8.1, 8.2 and 8.4 and contract.md 4. It knows the paths that webhooks decide and
what media parts add to them (open, closed or cut; whether media ran; the parties of `start`; keys; errors).
Quality, speech and what people write are not its business.

  reference_fold(events, parts, options) -> {dotted path: value}
    events   webhook bodies as sent, of one leg, in any order, repeated or not
    parts    objects of metadata.sidetone.media (a list, or the object that holds them)
    options  see OPTIONS
  options_of(document, inbound_is_agent=…) -> options: what the agents made themselves, read from the document
  compare(document, expected) -> ["path: expected …, got …"]"""
import json
import math
from datetime import datetime, timezone
from decimal import Decimal

from reference_facts import (CALL_LOG_ID, CALL_TYPES, KNOWN_KEYS, LEG_LOST, OBJECT_ID, REFERENCES, client_state,
                             date, decimal_of, derived_id, elements_of, escaped, leg_of, text_of, time_ms,
                             without_copies)

OPTIONS = {
    "inbound_is_agent": False,  # calls.party
    "lost": (),  # elements of sidetone.leg_lost, {_id, timestamp ms}: ours, so no body was sent
    "lead_lookup": None,  # metadata.sidetone.leadLookup {leadId, contactId}
    "conflict": None,  # metadata.sidetone.callLogIdConflict: the wanted id is another document's
    "joined": None,  # the callLogId of an application's document that became the leg's
    "lookup_counts": False,  # whether leadLookup is one of the facts that revision counts
}
# Every path that the fold decides: absent in what it returns means absent in the document.
PATHS = tuple("""callLogId leadId contactId campaignId conversationId assignedAgent callId callType direction from to
 status answerState hangupCause hangupSource initiatedAt ringingAt answeredAt bridgedAt endedAt duration events
 dtmfInputs holds recording transcription billing errors outcome.result tags telnyx.callControlId
 telnyx.callSessionId telnyx.callLegId telnyx.connectionId telnyx.clientState telnyx.webhookEvents
 metadata.sidetone.complete metadata.sidetone.partial metadata.sidetone.hangupCause metadata.sidetone.revision
 metadata.sidetone.clientState metadata.sidetone.callLogIdConflict""".split())
SETS = ("tags",)
EMPTY_ARRAYS = ("events", "dtmfInputs", "holds", "errors", "tags", "telnyx.webhookEvents", "transcription.turns",
                "transcription.keywords", "transcription.entities")  # stored empty, not left out (1.1)

PAYLOAD_MAX_BYTES = 32 * 1024  # of one webhook as text, more or less a blank

CAUSES = {  # hangup_cause: hangupCause, status of a call that was never answered
    "normal_clearing": ("normal-clearing", "failed"), "user_busy": ("user-busy", "busy"),
    "no_answer": ("no-answer", "no-answer"), "call_rejected": ("call-rejected", "rejected"),
    "originator_cancel": ("originator-cancel", "cancelled"), "timeout": ("timeout", "no-answer"),
    "time_limit": ("other", "failed"), "not_found": ("invalid-number", "failed")}
VERDICTS = {"human": "human", "machine": "machine", "not_sure": "unknown", "human_residence": "human",
            "human_business": "human", "fax_detected": "fax", "silence": "unknown"}
ROWS = {  # events[]: the types that have a word in its enum
    "call.initiated": "initiated", "call.answered": "answered", "call.bridged": "bridged", "call.hold": "hold",
    "call.unhold": "unhold", "call.dtmf.received": "dtmf", "call.recording.saved": "recording-stopped",
    "call.hangup": "hangup", "streaming.failed": "error", "call.recording.error": "error"}
ERRORS = {"streaming.failed": ("failure_reason", "high"), "call.recording.error": ("reason", "medium")}
OUTCOMES = {"busy": "busy", "no-answer": "no-answer", "rejected": "disconnected", "cancelled": "disconnected",
            "failed": "failed"}
# What Telnyx may send long after a leg has ended: no sign that it is still up.
AFTER_THE_END = (LEG_LOST, "call.cost", "call.recording.saved", "call.recording.error",
                 "call.recording.transcription.saved", "call.conversation.ended",
                 "call.conversation_insights.generated", "call.fork.stopped", "siprec.stopped", "streaming.stopped",
                 "streaming.failed", "conference.participant.left", "conference.ended", "conference.recording.saved")
# An event that only an answered leg can have: a higher state implies the lower ones.
ANSWERED = ("call.answered", "call.bridged", "call.hold", "call.unhold", "call.machine.detection.ended",
            "call.machine.greeting.ended", "call.machine.premium.detection.ended",
            "call.machine.premium.greeting.ended")
WAYS = {"incoming": "inbound", "outgoing": "outbound"}
PARTIES = ("lead", "agent")


class Leg:
    """The facts of one leg, in order."""

    def __init__(self, events, parts, options):
        self.options = {**OPTIONS, **options}
        lost = [{"eventType": LEG_LOST, "payload": {}, **one} for one in self.options["lost"]]
        self.stored = elements_of(events, lost)
        self.elements = without_copies(self.stored)
        self.parts = sorted(parts.values() if isinstance(parts, dict) else parts,
                            key=lambda p: (p.get("start_ms", 0), p.get("id", "")))
        self.name = next((leg_of(body) for body in events if leg_of(body)), None) or next(
            (text_of(p.get("call_control_id")) for p in self.parts), None)
        self.states = self._states()

    def all(self, *types):
        return [e for e in self.elements if e["eventType"] in types]

    def first(self, event_type):
        return next(iter(self.all(event_type)), None)

    def last(self, *types):
        return (self.all(*types) or [None])[-1]

    def media_ran(self):
        return any(p.get("first_frame_ms") for p in self.parts)

    def _states(self):
        """client_state of every fact that has one: webhooks in their order, then parts."""
        texts = [e["payload"].get("client_state") for e in self.elements] + [p.get("client_state") for p in self.parts]
        return [(text, client_state(text)) for text in texts if text_of(text)]

    def earliest(self, field):
        """A payload field of the earliest webhook that has it, else of a part."""
        holders = [e["payload"] for e in self.elements] + self.parts
        return next((h[field] for h in holders if text_of(h.get(field))), None)

    def said(self, key, good):
        """What client_state says under a key: the earliest value that is one."""
        return next((s[key] for _, s in self.states if isinstance(s.get(key), str) and good(s[key])), None)


def _put(paths, path, value):
    """An unknown value is absent: never null."""
    if value is not None:
        paths[path] = value


def _unusable(key, value):
    """Whether a key of client_state says nothing that has a path: it is kept for people to read."""
    if value is None or value == "":
        return False
    if key not in KNOWN_KEYS:
        return True
    if key == "kevinAvailable":
        return not isinstance(value, bool)
    good = {"callLogId": CALL_LOG_ID.fullmatch, "callType": CALL_TYPES.__contains__, "party": PARTIES.__contains__,
            **dict.fromkeys(REFERENCES, OBJECT_ID.fullmatch)}.get(key, lambda text: True)
    return not (isinstance(value, str) and good(value))


def _identity(leg, paths):
    wanted = leg.said("callLogId", CALL_LOG_ID.fullmatch)
    joined, conflict = leg.options["joined"], leg.options["conflict"]
    paths["callLogId"] = joined or (wanted if wanted and not conflict else derived_id(leg.name))
    if wanted and (wanted != joined if joined else conflict):
        paths["metadata.sidetone.callLogIdConflict"] = wanted
    found = leg.options["lead_lookup"] or {}
    for key in REFERENCES:
        value = leg.said(key, OBJECT_ID.fullmatch) or (found.get(key) if key in ("leadId", "contactId") else None)
        _put(paths, key, value and value.lower())
    _put(paths, "callType", leg.said("callType", CALL_TYPES.__contains__))
    others = [{k: v for k, v in state.items() if _unusable(k, v)} for _, state in leg.states]
    _put(paths, "metadata.sidetone.clientState", next((escaped(o) for o in others if o), None))
    paths["telnyx.callControlId"] = leg.name
    for path, field in (("callSessionId", "call_session_id"), ("callLegId", "call_leg_id"),
                        ("connectionId", "connection_id"), ("clientState", "client_state")):
        _put(paths, "telnyx." + path, leg.earliest(field))


def _parties(leg, paths):
    words = [WAYS[e["payload"]["direction"]] for e in leg.elements
             if text_of(e["payload"].get("direction")) and e["payload"]["direction"] in WAYS]
    _put(paths, "direction", words[0] if words else None)
    for side in ("from", "to"):
        _put(paths, side + ".number", leg.earliest(side))
    started = leg.last("call.initiated")
    name = text_of(started["payload"].get("caller_id_name")) if started else None
    _put(paths, "from.displayName", name if name != paths.get("from.number") else None)  # a number is no name
    paths["tags"] = ([] if "leadId" in paths else ["no-lead"]) + ([] if words else ["no-direction"])


def _end(leg):
    """(the element that ended the leg, its time); (None, None) while it is up."""
    hangup = leg.first("call.hangup")
    if hangup:
        end = time_ms(hangup["payload"].get("end_time"))
        return hangup, hangup["timestamp"] if end is None else end
    lost = leg.last(LEG_LOST)
    signs = [e["timestamp"] or 0 for e in leg.elements if e["eventType"] not in AFTER_THE_END]
    signs += [p.get("last_frame_ms", 0) for p in leg.parts]
    if lost and all(sign <= lost["timestamp"] for sign in signs):
        return lost, lost["timestamp"]
    return None, None


def _start(leg):
    for one in (leg.first("call.hangup"), leg.last("call.initiated")):
        start = time_ms(one["payload"].get("start_time")) if one else None
        if start is not None:
            return start
    times = [e["timestamp"] for e in leg.elements if e["timestamp"] is not None and e["eventType"] != LEG_LOST]
    return min(times + [p["start_ms"] for p in leg.parts if p.get("start_ms")], default=None)


def _holds(leg, ended_at):
    """Intervals from a hold to the next unhold; a hold within a hold says nothing new."""
    rows, open_since = [], None
    for one in leg.all("call.hold", "call.unhold"):
        if ended_at is not None and one["timestamp"] > ended_at:
            continue
        if one["eventType"] == "call.hold":
            open_since = one["timestamp"] if open_since is None else open_since
        elif open_since is not None:
            rows.append((open_since, one["timestamp"]))
            open_since = None
    if open_since is not None:
        rows.append((open_since, ended_at))
    return rows


def _whole_s(start, end):
    return max(0, (end - start) // 1000)


def _times(leg, paths):
    end, ended_at = _end(leg)
    answer, bridge = leg.last("call.answered"), leg.last("call.bridged")
    for path, at in (("initiatedAt", _start(leg)), ("answeredAt", answer and answer["timestamp"]),
                     ("bridgedAt", bridge and bridge["timestamp"]), ("endedAt", ended_at)):
        _put(paths, path, at)
    held, rows = None, []
    for start, stop in _holds(leg, ended_at):
        row = {"startedAt": date(start)}
        if stop is not None:
            row.update(endedAt=date(stop), duration=_whole_s(start, stop))
            held = (held or 0) + row["duration"]
        rows.append(row)
    paths["holds"] = rows
    _put(paths, "duration.hold", held)
    if ended_at is not None:
        if "initiatedAt" in paths:
            paths["duration.total"] = _whole_s(paths["initiatedAt"], ended_at)
        if answer:
            paths["duration.talking"] = max(0, _whole_s(answer["timestamp"], ended_at) - (held or 0))
    for path in ("initiatedAt", "answeredAt", "bridgedAt", "endedAt"):
        if path in paths:
            paths[path] = date(paths[path])
    return end


def _state(leg, paths, end):
    told = bool(leg.all(*ANSWERED))
    answered = told or leg.media_ran() or all(e["eventType"] == LEG_LOST for e in leg.elements)
    results = [e["payload"].get("result") for e in leg.all("call.machine.detection.ended",
                                                           "call.machine.premium.detection.ended")]
    _put(paths, "answerState", next((VERDICTS[r] for r in reversed(results) if text_of(r) and r in VERDICTS), None))
    if end is None:
        on_hold = paths["holds"] and "endedAt" not in paths["holds"][-1]
        paths["status"] = ("held" if on_hold else "bridged" if leg.all("call.bridged") else
                           "answered" if told else "active" if answered else "initiated")
        return
    word = text_of(end["payload"].get("hangup_cause"))
    cause, unanswered = CAUSES.get(word, ("other", "failed"))
    paths["status"] = "completed" if answered else unanswered
    if end["eventType"] == "call.hangup":
        if not answered:
            paths["answerState"] = "no-answer"
        if word:
            paths["hangupCause"], paths["metadata.sidetone.hangupCause"] = cause, word
        source = end["payload"].get("hangup_source")
        _put(paths, "hangupSource", source if source in ("caller", "callee") else None)
    if answered:
        paths["outcome.result"] = "voicemail" if paths.get("answerState") == "machine" else "connected"
    else:
        paths["outcome.result"] = "wrong-number" if cause == "invalid-number" else OUTCOMES[unanswered]


def _recording(leg, paths):
    saved = leg.last("call.recording.saved")
    if not saved:
        return
    payload = saved["payload"]
    urls = payload.get("recording_urls") if isinstance(payload.get("recording_urls"), dict) else {}
    word = text_of(payload.get("format")) or next((f for f in ("mp3", "wav") if text_of(urls.get(f))), None)
    paths.update({"recording.enabled": True, "recording.status": "available"})
    _put(paths, "recording.recordingUrl", text_of(urls.get(word)))
    _put(paths, "recording.recordingFormat", word)
    start, stop = time_ms(payload.get("recording_started_at")), time_ms(payload.get("recording_ended_at"))
    if start is not None and stop is not None:
        paths["recording.recordingDuration"] = _whole_s(start, stop)


def _inbound_is_agent(leg):
    party = leg.said("party", PARTIES.__contains__)
    return party == "agent" if party else leg.options["inbound_is_agent"]


def _transcription(leg, paths, end):
    turns, sure = [], []
    inbound = "agent" if _inbound_is_agent(leg) else "lead"
    speakers = {"inbound": inbound, "outbound": "lead" if inbound == "agent" else "agent"}
    for one in leg.all("call.transcription"):
        data = one["payload"].get("transcription_data")
        if not isinstance(data, dict) or data.get("is_final") is not True or not text_of(data.get("transcript")):
            continue
        turn = {"speaker": speakers.get(data.get("transcription_track"), "unknown"), "text": data["transcript"]}
        confidence = decimal_of(data.get("confidence"))
        if confidence is not None:
            turn["confidence"] = float(confidence)
            sure.append(float(confidence))
        turns.append(turn)
    paths["transcription.turns"] = turns
    if leg.all("call.transcription"):
        paths.update({"transcription.enabled": True, "transcription.provider": "telnyx",
                      "transcription.status": "completed" if end else "processing"})
        _put(paths, "transcription.fullText", "\n".join(t["text"] for t in turns) or None)
        _put(paths, "transcription.confidence", round(sum(sure) / len(sure), 4) if sure else None)


def _billing(leg, paths):
    cost = leg.last("call.cost")
    if not cost:
        return
    payload = cost["payload"]
    if text_of(payload.get("status")):
        paths["billing.billingStatus"] = "billed" if payload["status"] == "success" else "error"
    dollars, seconds = decimal_of(payload.get("total_cost")), decimal_of(payload.get("billed_duration_secs"))
    if dollars is not None:
        paths.update({"billing.cost": float(dollars * 100), "billing.currency": "USD"})
    if seconds is not None:
        paths["billing.billingDuration"] = float(seconds / Decimal(60))


def _rows(leg, paths):
    paths["events"] = [{"eventType": ROWS[e["eventType"]], "timestamp": date(e["timestamp"]),
                        "description": e["eventType"]} for e in leg.elements if e["eventType"] in ROWS]
    keys = [(e["timestamp"], text_of(e["payload"].get("digit"))) for e in leg.all("call.dtmf.received")]
    if not keys:
        keys = sorted(((d["at_ms"], d["digit"]) for p in leg.parts for d in p.get("dtmf", ())), key=lambda k: k[0])
    paths["dtmfInputs"] = [{"digit": digit, "timestamp": date(at)} for at, digit in keys if digit]
    errors = []
    for one in leg.all(*ERRORS):
        field, severity = ERRORS[one["eventType"]]
        row = {"errorType": one["eventType"], "errorMessage": text_of(one["payload"].get(field)),
               "severity": severity, "timestamp": date(one["timestamp"])}
        errors.append({k: v for k, v in row.items() if v is not None})
    for one in (e for p in leg.parts for e in p.get("errors", ())):
        errors.append({"errorType": "stream.error", "errorCode": str(one["code"]), "severity": "medium",
                       "errorMessage": f"{one['title']}: {one['detail']}", "timestamp": date(one["at_ms"])})
    paths["errors"] = sorted(errors, key=lambda row: row["timestamp"])


def _stored(one):
    """The element as the document has it; call.payment.* has no payload there."""
    kept = {**one, "timestamp": date(one["timestamp"])}
    if one["eventType"].startswith("call.payment."):
        del kept["payload"]
    return kept


def reference_fold(events, parts=(), options=None):
    """The paths of the leg's document; an absent path of PATHS must be absent there."""
    leg = Leg(events, parts, options or {})
    paths = {}
    _identity(leg, paths)
    _parties(leg, paths)
    end = _times(leg, paths)
    _state(leg, paths, end)
    _recording(leg, paths)
    _transcription(leg, paths, end)
    _billing(leg, paths)
    _rows(leg, paths)
    lost = end is not None and end["eventType"] == LEG_LOST
    states = [p.get("state") for p in leg.parts]
    paths["metadata.sidetone.complete"] = end is not None and "open" not in states
    paths["metadata.sidetone.partial"] = lost or "open" in states or "cut" in states
    looked = leg.options["lookup_counts"] and leg.options["lead_lookup"] is not None
    paths["metadata.sidetone.revision"] = len(leg.stored) + sum(p.get("n", 0) for p in leg.parts) + looked
    paths["telnyx.webhookEvents"] = [_stored(e) for e in leg.stored]
    return paths


def plain(value):
    """pymongo's types and Extended JSON to the judge's: aware datetimes, hex text, numbers."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        if value.keys() == {"$date"}:
            inner = value["$date"]
            return date(time_ms(inner) if isinstance(inner, str) else int(plain(inner)))
        if value.keys() == {"$oid"}:
            return value["$oid"]
        if len(value) == 1 and next(iter(value)) in ("$numberInt", "$numberLong"):
            return int(next(iter(value.values())))
        if value.keys() == {"$numberDouble"}:
            return float(value["$numberDouble"])
        return {k: plain(v) for k, v in value.items()}
    return str(value) if type(value).__name__ == "ObjectId" else value


def options_of(document, **more):
    """What only the document can tell: the facts that the agents made themselves, and whose the id is."""
    found = plain(document)
    side = found.get("metadata", {}).get("sidetone", {})
    lost = [{**e, "timestamp": round(e["timestamp"].timestamp() * 1000)}
            for e in found.get("telnyx", {}).get("webhookEvents", []) if e["eventType"] == LEG_LOST]
    return {"lost": lost, "lead_lookup": side.get("leadLookup"), "conflict": side.get("callLogIdConflict"), **more}


def _leaves(value, path=""):
    """Dotted paths of what is no object; a list is one leaf."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _as_cut(elements, stored):
    """Payloads above 32 KiB as the document keeps them: some of the fields, and `truncated`. Which fields is
    not judged here, only that each has its value and that the payload was too large."""
    for one, got in zip(elements, stored):
        payload, kept = one.get("payload", {}), got.get("payload", {})
        if kept.get("truncated") is True and len(json.dumps(payload, ensure_ascii=False)) > PAYLOAD_MAX_BYTES:
            one = {**one, "payload": {**{k: v for k, v in payload.items() if k in kept}, "truncated": True}}
        yield one


def _equal(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    return a == b


def compare(document, expected, ignore=()):
    """Differences on PATHS, but for those that are, or lie under, a path in `ignore`. Arrays in order."""
    def judged(path):
        below = lambda roots: any(path == root or path.startswith(root + ".") for root in roots)
        return below(PATHS) and not below(ignore)

    flat = {}
    for path, value in expected.items():
        flat.update(_leaves(plain(value), path))
    wanted = {p: v for p, v in flat.items() if judged(p)}
    got = {p: v for p, v in _leaves(plain(document)) if judged(p)}
    events = "telnyx.webhookEvents"
    wanted[events] = list(_as_cut(wanted.get(events, []), got.get(events, [])))
    differences = []
    for path in sorted(wanted.keys() | got.keys()):
        a, b = wanted.get(path), got.get(path)
        if path in SETS and isinstance(a, list) and isinstance(b, list):
            a, b = sorted(a), sorted(b)
        if path in EMPTY_ARRAYS and not a and not b:
            continue
        if not _equal(a, b):
            differences.append(f"{path}: expected {a!r}, got {b!r}")
    return differences
