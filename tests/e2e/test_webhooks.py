"""Webhooks: who may send them, what is refused, what is kept (contract 3, telnyx-protocol.md 2)."""
import base64
import hashlib
import json
import re
import time

import pytest

from fake_telnyx import Call, event, now
from harness import Signer, call_log_id, event_ids, object_id, shared, sidetone, until
from wire import request

# telnyx-protocol.md, appendix A.
VECTOR_SEED = bytes(range(32))
VECTOR_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
VECTOR_TIME = 1789373742
VECTOR_SIGNATURE = "Y1zd9MXcLh9sFzUPXO2A35vEE0dbxQxaR7/d3disfZlr/TxQWZJZCFdCrcEdz15bF1mcwGvFJpfp3hhgAhXtDA=="
VECTOR_BODY = (
    b'{"data":{"event_type":"call.hangup","id":"5f0c1d2e-3a4b-4c5d-8e6f-708192a3b4c5",'
    b'"occurred_at":"2026-09-14T08:15:41.902117Z","payload":{"call_control_id":"v3:EXAMPLE-leg-A",'
    b'"hangup_cause":"normal_clearing"},"record_type":"event"},'
    b'"meta":{"attempt":1,"delivered_to":"https://edge.example.net/telnyx"}}'
)


def refused(agent, count=1):
    """Everything so far was refused for its signature, counted and said."""
    assert agent.metric("sidetone_webhooks_total", result="unsigned") == count
    assert agent.metric("sidetone_webhooks_total", result="accepted") == 0
    assert len(agent.logged(msg="webhook refused")) == count


# ---- signatures


def test_our_signer_signs_as_telnyx_does():
    assert hashlib.sha256(VECTOR_BODY).hexdigest() == "7833ee06bac88db7bdea938a907cd9a60367e0926c6341032973aae39862a145"
    signer = Signer(VECTOR_SEED)
    assert signer.public_key == VECTOR_KEY
    assert signer.sign(VECTOR_BODY, VECTOR_TIME) == VECTOR_SIGNATURE


def test_the_vector_is_taken_with_a_time_of_today_and_as_it_stands_is_stale(make_agent):
    agent = make_agent(signer=Signer(VECTOR_SEED))
    old = {"telnyx-timestamp": str(VECTOR_TIME), "telnyx-signature-ed25519": VECTOR_SIGNATURE}
    if abs(time.time() - VECTOR_TIME) > 400:
        assert agent.post(VECTOR_BODY, old).status_code == 401
    answer = agent.webhook(VECTOR_BODY)
    assert (answer.status_code, answer.content) == (200, b"")
    assert agent.leg("v3:EXAMPLE-leg-A")["hangupCause"] == "normal-clearing"


def spoilt(how, signer, body, at):
    """Appendix A's list, and what else must not verify: (body, headers)."""
    headers = signer.headers(body, at)
    raw = base64.b64decode(headers["telnyx-signature-ed25519"])

    def signature(text):
        return {**headers, "telnyx-signature-ed25519": text}

    def timestamp(text):
        return {"telnyx-timestamp": text, "telnyx-signature-ed25519": signer.sign(body, text)}

    return {
        "a byte of the body": (body.replace(b"call.hangup", b"call.hangus"), headers),
        "a newline behind the body": (body + b"\n", headers),
        "the same JSON written anew": (json.dumps(json.loads(body)).encode(), headers),
        "another second": (body, {**headers, "telnyx-timestamp": str(at + 1)}),
        "a point as separator": (body, signature(signer.sign(body, at, b"."))),
        "63 bytes of signature": (body, signature(base64.b64encode(raw[:63]).decode())),
        "65 bytes of signature": (body, signature(base64.b64encode(raw + b"\0").decode())),
        "a signature in hex": (body, signature(raw.hex())),
        "an empty signature": (body, signature("")),
        "another key's signature": (body, Signer().headers(body, at)),
        "no signature": (body, {"telnyx-timestamp": str(at)}),
        "no timestamp": (body, {"telnyx-signature-ed25519": headers["telnyx-signature-ed25519"]}),
        "neither": (body, {}),
        "a timestamp with a sign": (body, timestamp(f"+{at}")),
        "a timestamp in hex": (body, timestamp(hex(at))),
        "a timestamp with a fraction": (body, timestamp(f"{at}.0")),
        "a timestamp beyond all time": (body, timestamp("9" * 40)),
        "a timestamp of milliseconds": (body, timestamp(str(at * 1000))),
        "stale": (body, signer.headers(body, at - 303)),
        "from the future": (body, signer.headers(body, at + 360)),
    }[how]


SPOILT = ("a byte of the body", "a newline behind the body", "the same JSON written anew", "another second",
          "a point as separator", "63 bytes of signature", "65 bytes of signature", "a signature in hex",
          "an empty signature", "another key's signature", "no signature", "no timestamp", "neither",
          "a timestamp with a sign", "a timestamp in hex", "a timestamp with a fraction",
          "a timestamp beyond all time", "a timestamp of milliseconds", "stale", "from the future")


@pytest.mark.parametrize("how", SPOILT)
def test_must_not_verify(agent, signer, how):
    body, headers = spoilt(how, signer, VECTOR_BODY, int(time.time()))
    assert agent.post(body, headers).status_code == 401
    refused(agent)
    assert agent.leg("v3:EXAMPLE-leg-A") is None


@pytest.mark.parametrize("away_s", (-290, 290))
def test_within_the_window(agent, away_s):
    assert agent.webhook(VECTOR_BODY, int(time.time()) + away_s).status_code == 200


def test_the_window_is_configuration(make_agent, signer):
    agent = make_agent("telnyx.signature_tolerance_s=3600", signer=signer)
    assert agent.webhook(VECTOR_BODY, int(time.time()) - 3500).status_code == 200
    assert agent.webhook(VECTOR_BODY, int(time.time()) - 3605).status_code == 401


@pytest.mark.parametrize("name", ("telnyx-signature-ed25519", "telnyx-timestamp"))
def test_a_signature_header_given_twice(agent, signer, name):
    headers = list(signer.headers(VECTOR_BODY).items())
    twice = headers + [(k, v) for k, v in headers if k == name]
    assert request(agent.public, "POST", "/telnyx/webhooks", headers, VECTOR_BODY).status == 200
    assert request(agent.public, "POST", "/telnyx/webhooks", twice, VECTOR_BODY).status == 401


def test_header_names_in_any_case(agent, signer):
    headers = [(name.title(), value) for name, value in signer.headers(VECTOR_BODY).items()]
    assert request(agent.public, "POST", "/telnyx/webhooks", headers, VECTOR_BODY).status == 200


def test_the_signature_comes_before_everything_else(agent):
    assert agent.post(b"this is not JSON").status_code == 401
    assert agent.post(b"").status_code == 401


def test_rotation_two_keys(make_agent):
    old, new, other = Signer(), Signer(), Signer()
    agent = make_agent(f"telnyx.public_key={old.public_key} {new.public_key}")
    for signer, status in ((old, 200), (new, 200), (other, 401)):
        body = json.dumps(event("call.answered", {"call_control_id": "v3:rotation"})).encode()
        assert agent.post(body, signer.headers(body)).status_code == status


def test_without_a_key_nothing_is_taken(make_agent, signer):
    agent = make_agent()
    assert agent.post(VECTOR_BODY, signer.headers(VECTOR_BODY)).status_code == 401
    refused(agent)
    assert agent.logged(level="warn", msg="no telnyx.public_key: webhooks get 401")


def test_insecure_takes_what_is_not_signed_and_says_so(make_agent):
    agent = make_agent("telnyx.insecure=yes")
    assert agent.post(VECTOR_BODY).status_code == 200
    assert any("INSECURE" in line["msg"] and line["level"] == "warn" for line in agent.log_lines())


def test_a_key_of_31_bytes_stops_the_start():
    short = base64.b64encode(bytes(31)).decode()
    done = sidetone("serve", "-o", f"telnyx.public_key={short}")
    assert done.returncode == 2
    assert "telnyx.public_key" in done.stderr and "32 bytes" in done.stderr


# ---- what is an event

NO_EVENT = {
    "nothing": b"",
    "no JSON": b"hello",
    "half an object": VECTOR_BODY[:-1],
    "two objects": VECTOR_BODY + b"{}",
    "NaN": VECTOR_BODY.replace(b'"attempt":1', b'"attempt":NaN'),
    "not UTF-8": VECTOR_BODY.replace(b"EXAMPLE", b"EX\xff\xfeLE"),
    "an array": b"[]",
    "a number": b"7",
    "no data": b'{"meta":{"attempt":1}}',
    "data null": b'{"data":null}',
    "no event_type": b'{"data":{"id":"a","payload":{}}}',
    "an event_type that is none": b'{"data":{"id":"a","event_type":7,"payload":{}}}',
    "no id": b'{"data":{"event_type":"call.answered","payload":{}}}',
    "an empty id": b'{"data":{"event_type":"call.answered","id":"","payload":{}}}',
    "the old v1 envelope": b'{"record_type":"event","id":"e1","event_type":"call_initiated",'
                           b'"created_at":"2026-09-14T08:14:58Z","payload":{"call_control_id":"v3:v1"}}',
    "a word of ours": b'{"data":{"event_type":"sidetone.leg_lost","id":"x","payload":{"call_control_id":"v3:x"}}}',
}


@pytest.mark.parametrize("kind", NO_EVENT)
def test_no_event_is_400(shared_agent, kind):
    before = shared_agent.metric("sidetone_webhooks_total", result="bad_request")
    lines = len(shared_agent.logged(msg="webhook refused"))
    answer = shared_agent.webhook(NO_EVENT[kind])
    assert (answer.status_code, answer.content) == (400, b"")
    assert shared_agent.metric("sidetone_webhooks_total", result="bad_request") == before + 1
    assert len(shared_agent.logged(msg="webhook refused")) == lines + 1


def test_the_old_envelope_is_named_in_the_log(agent):
    agent.webhook(NO_EVENT["the old v1 envelope"])
    assert any("version 1" in line.get("why", "") for line in agent.log_lines())


HARD_JSON = {
    "an integer over 64 bits": (b"123456789012345678901234567890", "123456789012345678901234567890"),
    "a negative one": (b"-99999999999999999999", "-99999999999999999999"),
    "1e999": (b"1e999", "1e999"),
    "a NUL in a text": (rb'"a\u0000b"', None),
    "a surrogate pair": (rb'"\ud83d\ude00"', "\U0001F600"),
    "400 digits": (b"1" * 400, "1" * 400),
    "nested 50 deep": (b"[" * 50 + b"]" * 50, None),
}


@pytest.mark.parametrize("kind", HARD_JSON)
def test_valid_json_is_never_lost(shared_agent, kind):
    text, kept = HARD_JSON[kind]
    leg = f"v3:hard {kind}"
    body = (b'{"data":{"event_type":"call.answered","id":"hard-%s","occurred_at":"2026-09-14T08:15:41Z",'
            b'"payload":{"call_control_id":"%s","odd":%s}}}' % (kind.encode(), leg.encode(), text))
    assert shared_agent.webhook(body).status_code == 200
    document = shared_agent.leg(leg)
    payload = document["telnyx"]["webhookEvents"][0]["payload"]
    assert "odd" in payload and (kept is None or payload["odd"] == kept)
    assert document["status"] == "answered"


def test_what_is_nested_too_deep_for_a_document_is_cut_not_lost(agent):
    deep = b"[" * 400 + b"]" * 400
    body = b'{"data":{"event_type":"call.answered","id":"deep","payload":{"call_control_id":"v3:deep","odd":%s}}}' % deep
    assert agent.webhook(body).status_code == 200
    document = agent.leg("v3:deep")
    assert document["status"] == "answered" and document["telnyx"]["webhookEvents"][0]["payload"]["truncated"]


def test_a_number_as_id_is_its_text(agent):
    body = b'{"data":{"event_type":"call.answered","id":%s,"payload":{"call_control_id":"v3:n"}}}'
    big = b"99999999999999999999999"
    assert agent.webhook(body % big).status_code == 200
    assert agent.webhook(body % (b'"%s"' % big)).status_code == 200
    assert event_ids(agent.leg("v3:n")) == [object_id(big.decode())]


# ---- every event

SECTION = shared("telnyx-protocol.md").read_text().split("### 2.5 All voice events")[1].split("#### Expected sequence")[0]


def voice_events():
    """The names in the first cells of the tables, with their short forms (`.left`, `started/ended`) written out."""
    names = []
    for line in SECTION.splitlines():
        cell = line.split("|")[1] if line.startswith("| `") else ""
        for word in re.findall(r"`([^`]+)`", cell):
            if word.startswith("."):
                word = names[-1].rsplit(".", 1)[0] + word
            head, _, tail = word.rpartition(".")
            names += [f"{head}.{last}" for last in tail.split("/")]
    return names


def test_every_voice_event_is_known(agent):
    names = voice_events()
    assert len(names) == len(set(names)) >= 58, names
    for name in ("call.hangup", "call.refer.failed", "conference.participant.left", "conference.speak.ended"):
        assert name in names
    for name in names:
        assert agent.webhook(event(name, {"call_control_id": "v3:all of them"})).status_code == 200, name
    assert agent.metric("sidetone_webhooks_total", result="unknown_event") == 0
    assert agent.metric("sidetone_webhooks_total", result="accepted") == len(names)
    kept = [row["eventType"] for row in agent.leg("v3:all of them")["telnyx"]["webhookEvents"]]
    assert sorted(kept) == sorted(names)


def test_an_unknown_event_is_taken_kept_and_counted(agent):
    call = Call(agent)
    call.tell("call.teleported", destination="moon")
    assert agent.metric("sidetone_webhooks_total", result="unknown_event") == 1
    assert agent.metric("sidetone_webhooks_total", result="accepted") == 1
    assert agent.logged(msg="unknown event kept", event="call.teleported")
    row = agent.leg(call.leg)["telnyx"]["webhookEvents"][0]
    assert row["eventType"] == "call.teleported" and row["payload"]["destination"] == "moon"


def test_an_event_without_a_leg_is_kept(agent):
    told = event("conference.playback.started", {"connection_id": "29", "conference_id": "c1"})
    assert agent.webhook(told).status_code == 200
    assert agent.metric("sidetone_webhooks_legless_total") == 1
    agent.stop()
    agent.start()
    assert agent.webhook(told).status_code == 200
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 1, "it was not on disk"


def test_floor_changed_without_data(agent):
    body = {"record_type": "event", "event_type": "conference.floor.changed",
            "payload": {"call_control_id": "v3:floor", "conference_id": "c1", "occurred_at": now()}}
    assert agent.webhook(body).status_code == 200
    assert agent.webhook(body).status_code == 200
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 1
    assert len(agent.leg("v3:floor")["telnyx"]["webhookEvents"]) == 1


def test_payment_payloads_are_never_kept_nor_logged(agent):
    call = Call(agent)
    call.tell("call.payment.progress", routing_number="021000021", expiry="11/29")
    assert "021000021" not in json.dumps(agent.leg(call.leg)) + agent.log_text()
    agent.stop()
    for file in agent.store.iterdir():
        assert b"021000021" not in file.read_bytes(), file.name


# ---- duplicates


def test_a_repeated_event_is_answered_200_and_changes_nothing(agent):
    call = Call(agent)
    first = call.initiated()
    before = agent.leg(call.leg)
    assert agent.webhook({**first, "meta": {"attempt": 2}}).status_code == 200
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 1
    assert agent.leg(call.leg) == before


def test_a_repeated_event_is_known_after_a_restart(agent):
    call = Call(agent)
    first, last = call.initiated(), call.hangup()
    agent.stop()
    agent.start()
    for told in (first, last):
        assert agent.webhook(told).status_code == 200
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 2
    assert agent.metric("sidetone_webhooks_total", result="accepted") == 0
    assert len(event_ids(agent.leg(call.leg))) == 2


def test_no_phone_number_in_the_log_unless_wanted(make_agent, signer):
    agent = make_agent(signer=signer)
    call = Call(agent)
    call.initiated()
    call.hangup()
    until("the end in the log", lambda: agent.logged(msg="call ended", call=call_log_id(call.leg)))
    assert "5550100001" not in agent.log_text()
