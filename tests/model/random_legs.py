"""Random legs as fixtures: webhooks in any order, twice, with odd values; sockets with few frames."""
import base64
import json
from datetime import timedelta

from reference_facts import EPOCH, date

START_MS = 1_789_464_600_000  # the epoch of the fixture; a whole second
AT_THE_END = ("call.hangup", "call.cost", "call.recording.saved")
SOCKETS_MAX = 64  # of one fixture
OID = "66f0a1b2c3d4e5f6012345%02x"


def moment(rng, ms):
    """One instant in one of the ways RFC 3339 has for it."""
    digits = rng.choice((3, 6, 6, 6, 9)) if ms % 1000 else rng.choice((0, 3, 6))
    shift_h = rng.choice((0, 0, 0, 2, -5))
    at = date(ms) + timedelta(hours=shift_h)
    fraction = f"{ms % 1000:03d}" + "".join(rng.choice("0123456789") for _ in range(6))
    zone = "Z" if not shift_h else f"{'+' if shift_h > 0 else '-'}{abs(shift_h):02d}:00"
    return at.strftime("%Y-%m-%dT%H:%M:%S") + ("." + fraction[:digits] if digits else "") + zone


def state(rng, leg):
    """client_state: base64, raw, nested, nonsense, absent."""
    kind = rng.randrange(8)
    if kind < 2:
        return rng.choice((None, ""))
    if kind == 2:
        return rng.choice(("ZWRnZS03", "not base64 at all", "[]", "7"))
    keys = {"callLogId": rng.choice((f"CALL_1_{leg}", f"x:{leg}.-", "not a log id", "", "y" * 129, 7)),
            "leadId": rng.choice((OID % rng.randrange(4), "66F0A1B2C3D4E5F601234567", "short", None)),
            "contactId": OID % rng.randrange(4), "campaignId": OID % rng.randrange(4),
            "conversationId": OID % rng.randrange(4), "assignedAgent": OID % 7,
            "callType": rng.choice(("demo", "closing", "nonsense")), "party": rng.choice(("lead", "agent", "x")),
            "kevinAvailable": True, "wave": rng.randrange(3), "deep": {"a": [1, None]}, "transferType": "hot"}
    chosen = {k: keys[k] for k in rng.sample(sorted(keys), rng.randrange(len(keys)))}
    text = json.dumps(chosen)
    if kind == 3:
        return text
    coded = base64.b64encode(text.encode()).decode()
    return base64.b64encode(json.dumps({"client_state": coded, "wave": 9}).encode()).decode() if kind == 4 else coded


def fields(rng, kind, at):
    """Payload of one event; some of it missing or of a wrong type."""
    t = lambda back=0: moment(rng, max(START_MS, at - back))
    some = lambda *values: rng.choice(values)
    made = {
        "call.initiated": {"direction": some("incoming", "outgoing", "sideways", None),
                           "start_time": some(t(500), None, "x"),
                           "caller_id_name": some("Ada Example", "+15550100101", "", None)},
        "call.answered": {"start_time": t(4000), "codec": "PCMU"},
        "call.machine.detection.ended": {"result": some("human", "machine", "not_sure", "new", None)},
        "call.machine.premium.detection.ended": {
            "result": some("human_residence", "human_business", "machine", "silence", "fax_detected", "not_sure")},
        "call.dtmf.received": {"digit": some(*"0123456789*#AD")},
        "call.hangup": {"hangup_cause": some("normal_clearing", "user_busy", "no_answer", "call_rejected",
                                             "originator_cancel", "timeout", "time_limit", "not_found", "unspecified",
                                             "subscriber_absent", None), "start_time": some(t(9000), None),
                        "end_time": some(t(), t(300), None),
                        "hangup_source": some("caller", "callee", "unknown", None)},
        "call.recording.saved": {"format": some("mp3", "wav", None), "recording_started_at": t(5000),
                                 "recording_ended_at": some(t(700), t(7000), None),
                                 "recording_urls": some({"mp3": "https://r.example.net/1.mp3"}, None,
                                                        {"mp3": None, "wav": "https://r.example.net/1.wav"})},
        "call.recording.error": {"reason": some("Internal server error", None)},
        "streaming.failed": {"failure_reason": some("connection_failed", ""), "stream_type": "websocket"},
        "call.transcription": {"transcription_data": some(None, {
            "confidence": some(0.5, 0.93, "0.75", None), "is_final": some(True, True, False),
            "transcript": some("Hello.", "Bye.", ""), "transcription_track": some("inbound", "outbound", None)})},
        "call.cost": {"status": some("success", "success", "error"),
                      "total_cost": some("0.0105", "0.1234567", None, "x", 0.5),
                      "billed_duration_secs": some(90, "60", 61, None)},
        "call.payment.progress": {"card": "4111"},
        "call.speak.started": {"a.b": {"$set": 1, ".": [None, {"$": 2}]}},
    }.get(kind, {})
    return {k: v for k, v in made.items() if rng.random() < 0.9}


KINDS = ("call.answered", "call.bridged", "call.hold", "call.unhold", "call.dtmf.received",
         "call.machine.detection.ended", "call.machine.premium.detection.ended", "call.recording.saved",
         "call.recording.error", "streaming.failed", "call.transcription", "call.cost", "call.payment.progress",
         "call.speak.started", "call.refer.started", "call.news")


def body(rng, leg, number, kind, at):
    payload = {"call_control_id": leg, "client_state": state(rng, number), "connection_id": some_id(rng, 1),
               "call_leg_id": some_id(rng, 2), "call_session_id": some_id(rng, 3),
               "from": rng.choice(("+15550100101", "+15550100101", "sip:a@example.net", None)),
               "to": rng.choice(("+15550100002", ""))}
    payload = {k: v for k, v in payload.items() if k == "call_control_id" or rng.random() < 0.9}
    return {"data": {"event_type": kind, "id": f"{rng.getrandbits(64):016x}", "occurred_at": moment(rng, at),
                     "record_type": "event", "payload": {**payload, **fields(rng, kind, at)}},
            "meta": {"attempt": 1}}


def some_id(rng, kind):
    return f"290000000000000000{kind}" if rng.random() < 0.8 else f"29000000000000001{kind}{kind}"


def webhooks(rng, leg, number):
    """[(delivery ms, body)]: times on a coarse grid, so that many are equal."""
    kinds = ["call.initiated"] * rng.choice((0, 1, 1, 1, 2)) + ["call.hangup"] * rng.choice((0, 1, 1, 1, 1, 2))
    kinds += [rng.choice(KINDS) for _ in range(rng.randrange(9))]
    sent = []
    for kind in kinds:
        at = START_MS + rng.choice((0, 3, 250, 1250, 1999, 2000)) + 1000 * rng.randrange(8)
        made = body(rng, leg, number, kind, at)
        sent.append(made)
        if rng.random() < 0.2:  # sent again, as it was; or by the failover with a new id
            again = json.loads(json.dumps(made))
            again["meta"]["attempt"] = 2
            if rng.random() < 0.5:
                again["data"]["id"] += "b"
            sent.append(again)
    rng.shuffle(sent)
    # A hang-up that is here ends the sockets within 5 s, so it comes after them: what they measure is certain.
    return [((rng.randrange(14_000, 20_000) if b["data"]["event_type"] == "call.hangup" else rng.randrange(20_000)), b)
            for b in sent]


def socket(rng, leg, number, name, at):
    """The lines of one socket, closed after at most 3 s."""
    start = {"call_control_id": leg, "client_state": state(rng, number), "call_session_id": some_id(rng, 3),
             "from": rng.choice(("+15550100101", None)), "to": "+15550100002",
             "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}
    frames = [{"event": "start", "sequence_number": "1", "stream_id": name, "start": start}]
    sound = base64.b64encode(b"\xff" * 160).decode()
    for i in range(rng.choice((0, 0, 1, 30))):
        frames.append({"event": "media", "stream_id": name, "sequence_number": str(i + 2), "media": {
            "track": "inbound", "chunk": str(i + 1), "timestamp": str(20 * i), "payload": sound}})
    for _ in range(rng.choice((0, 0, 2))):
        frames.append({"event": "dtmf", "stream_id": name, "dtmf": {"digit": rng.choice("123#")},
                       "occurred_at": moment(rng, START_MS + at + rng.randrange(4) * 250)})
    if rng.random() < 0.2:
        frames.append({"event": "error", "stream_id": name,
                       "payload": {"code": 100002, "title": "unknown_error", "detail": "x"}})
    yield at, {"ws": name, "open": {"path": "/telnyx/media", "headers": {}}}
    for i, frame in enumerate(frames):
        yield at + 50 + 20 * i, {"ws": name, "text": json.dumps(frame)}
    yield at + 2500, {"ws": name, "close": rng.choice((1005, 1006))}


def write_fixture(rng, folder, legs):
    """A folder with one events.jsonl of `legs` random legs."""
    lines, sockets = [], 0
    for number in range(legs):
        leg = f"v3:RANDOM-{number}"
        for at, made in webhooks(rng, leg, number):
            lines.append((at, {"http": {"path": "/telnyx/webhooks", "body": made}}))
        for k in range(min(rng.choice((0, 0, 1, 2)), SOCKETS_MAX - sockets)):
            sockets += 1
            lines += socket(rng, leg, number, f"{number}-{k}", 1000 + 4000 * k + rng.randrange(1000))
    lines.sort(key=lambda line: line[0])
    epoch = (EPOCH + timedelta(milliseconds=START_MS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"sidetone_fixture": 1, "about": "random legs", "source": "random_legs.py", "licence": "CC0-1.0",
            "epoch": epoch}
    folder.mkdir(parents=True, exist_ok=True)
    text = [json.dumps(head)] + [json.dumps({"t": at / 1000, **line}) for at, line in lines]
    (folder / "events.jsonl").write_text("\n".join(text) + "\n")
