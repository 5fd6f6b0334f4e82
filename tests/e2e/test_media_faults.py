"""Bad input on a media socket: counted, said once with the call's id, survived (contract 3, issue: bad input never
ends the process)."""
import base64
import json
import random

import pytest

from fake_telnyx import Call
from harness import delivery_of, until
from wire import PING, TEXT, UPGRADE, Socket, Wire, frame, head


def media(**changes):
    inside = {"track": "inbound", "chunk": "9", "timestamp": "160", "payload": base64.b64encode(b"\xff" * 160).decode()}
    inside.update(changes)
    return {"event": "media", "sequence_number": "9", "stream_id": "s",
            "media": {k: v for k, v in inside.items() if v is not None}}


# kind of sidetone_media_parse_errors_total: what is sent
BAD = {
    "binary": [b"\x80\x00\x00\x01 an RTP packet perhaps"],
    "not_json": ["", "hello", '{"event":"media"', json.dumps(media())[:-20], '{"event":NaN}', "{} {}", "\x00"],
    "not_object": ["[]", "7", '"media"', "null"],
    "no_track": [media(track=None), media(track="sideways"), media(track=1), {"event": "media"},
                 {"event": "media", "media": []}],
    "no_payload": [media(payload=None), media(payload=""), media(payload=7)],
    "bad_number": [media(chunk="two"), media(chunk=-1), media(chunk=1.5), media(timestamp=[]), media(chunk="0x10")],
    "bad_base64": [media(payload="%%%%"), media(payload="A"), media(payload="AA=A"), media(payload="//7+-_A=")],
    "too_large": [media(payload=base64.b64encode(b"\xff" * 65537).decode())],
    "bad_start": [{"event": "start"}, {"event": "start", "start": {"call_control_id": "v3:x"}},
                  {"event": "start", "start": {"media_format": {"encoding": "PCMU"}}}],
    "unknown_event": [{"event": "transfer"}, {"no": "event"}, {"event": 7}, {}],
}


def faults(agent, kind):
    return agent.metric("sidetone_media_parse_errors_total", kind=kind)


def measures_on(agent, stream, call):
    """After all of it the stream is measured as if nothing had been."""
    stream.media(60).end()
    call.hangup()
    figures = delivery_of(agent.complete(call.leg))
    assert figures["received_frames"] >= 60
    return figures


@pytest.mark.parametrize("kind", BAD)
def test_each_kind_is_counted_said_and_survived(agent, kind):
    call = Call(agent)
    call.answered()
    stream = call.stream().connected().start()
    stream.send(*BAD[kind])
    stream.sync()
    assert faults(agent, kind) == len(BAD[kind])
    lines = agent.logged(msg="unusable media frame", kind=kind)
    assert [(line["call"], line["leg"], line["level"]) for line in lines] == [(call.id, call.leg, "warn")]
    assert stream.open
    others = {k: v for k, v in agent.metrics().items() if k.startswith("sidetone_media_parse_errors_total") and v}
    assert list(others) == [f'sidetone_media_parse_errors_total{{kind="{kind}"}}']
    figures = measures_on(agent, stream, call)
    # A frame whose numbers are no numbers is sound all the same.
    extra = len(BAD[kind]) if kind == "bad_number" else 0
    assert figures["received_frames"] <= 60 + extra


@pytest.mark.parametrize("spoilt", (b'{"event":"media","media":{"track":"inbound","payload":"\xff\xfe"}}', b"\xc3",
                                    b'{"event":"\xed\xa0\x80"}', b"\xf5\x80\x80\x80", b"\xc0\xaf"))
def test_text_that_is_not_utf8(agent, spoilt):
    """No client sends it; contract 3 has it counted and skipped where RFC 6455 would let us close."""
    call = Call(agent)
    with Socket(agent.public) as ws:
        ws.send(frame(TEXT, json.dumps(call.stream(connect=False).started()).encode()))
        ws.send(frame(TEXT, spoilt) + frame(PING, b"there?"))
        assert ws.receive()[1] == b"there?"
        assert faults(agent, "not_utf8") == 1
        assert agent.logged(msg="unusable media frame", kind="not_utf8", call=call.id)


def test_each_kind_is_said_once_a_socket(agent):
    stream = Call(agent).stream().start()
    stream.send(*["{"] * 1000)
    stream.sync()
    assert faults(agent, "not_json") == 1000
    assert len(agent.logged(msg="unusable media frame", kind="not_json")) == 1


def test_a_start_for_another_leg_closes_1008(agent):
    call = Call(agent)
    stream = call.stream().start().media(60)
    stream.sync()
    stream.pour(stream.started(leg="v3:another"))
    assert stream.closed() == 1008
    assert faults(agent, "other_leg") == 1
    assert agent.logged(msg="unusable media frame", leg=call.leg)
    assert agent.leg("v3:another") is None
    assert delivery_of(agent.leg(call.leg))["received_frames"] == 60


@pytest.mark.parametrize("kind, wrong, code", (
    ("message_too_large", frame(TEXT, b"x" * (2 * 1024 * 1024 + 1))[:100], 1009),
    ("protocol", frame(TEXT, b"{}", mask=False), 1002),
), ids=("message_too_large", "protocol"))
def test_what_closes_a_socket_is_counted_and_said_with_the_call(agent, kind, wrong, code):
    call = Call(agent)
    with Socket(agent.public) as ws:
        ws.send(frame(TEXT, json.dumps(call.stream(connect=False).started()).encode()) + wrong)
        assert ws.close_code() == code
    assert faults(agent, kind) == 1
    assert agent.logged(msg="unusable media frame", kind=kind, call=call.id, leg=call.leg)


@pytest.mark.parametrize("pieces", (2, 7, 100))
def test_fragmented_frames_are_frames(agent, pieces):
    call = Call(agent)
    stream = call.stream().start()
    for message in stream.frames(60):
        text = json.dumps(message)
        step = len(text) // pieces + 1
        stream.send([text[i:i + step] for i in range(0, len(text), step)])
    stream.end()
    call.hangup()
    assert delivery_of(agent.complete(call.leg))["received_frames"] == 60


def test_frames_as_nobody_writes_them(agent):
    """Keys in any order, blanks, escapes, keys nobody knows: all of it is JSON."""
    call = Call(agent)
    stream = call.stream().start()
    for i, message in enumerate(stream.frames(60)):
        inside = message["media"]
        if i % 4 == 0:
            stream.send(json.dumps(message, indent=3))
        elif i % 4 == 1:
            stream.send({"media": dict(reversed(inside.items())), "unknown": [{"deep": [None]}], **message})
        elif i % 4 == 2:
            stream.send(json.dumps(message).replace("/", "\\/").replace("inbound", "\\u0069nbound"))
        else:
            stream.send({"event": "start of nothing", **message, "media": {**inside, "payload": inside["payload"]}})
    stream.end()
    call.hangup()
    assert delivery_of(agent.complete(call.leg))["received_frames"] == 60


def test_a_storm_of_mutations_ends_nothing(agent):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    call = Call(agent)
    stream = call.stream(connect=False)
    good = [json.dumps(f).encode() for f in (stream.started(), *stream.frames(5))]
    good += [json.dumps(f).encode() for bad in BAD.values() for f in bad if isinstance(f, dict)]
    messages = []
    for _ in range(3000):
        text = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(text) + 1)
            text[at:at + dice.randrange(3)] = dice.choice((b"", b'"', b"\\", b"{", b"9" * 30, b"\x00", b"\xff", b"e"))
        messages.append(frame(TEXT, bytes(text)))
    with Socket(agent.public) as ws:
        ws.send(b"".join(messages) + frame(PING, b"there?"))
        opcode, payload = ws.receive()
        assert payload == b"there?" or opcode == 8  # a mutated `start` may name another leg: 1008
    assert agent.alive
    after = Call(agent)
    measures_on(agent, after.stream().start(), after)


def test_bytes_that_are_no_websocket_end_one_connection_only(agent):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(30):
        with Wire(agent.public) as wire:
            wire.send(head("GET", "/telnyx/media", UPGRADE) + dice.randbytes(2000))
            wire.answer("GET")
    until("every one of them gone", lambda: len(agent.logged(msg="media socket gone")) == 30)
    call = Call(agent)
    measures_on(agent, call.stream().start(), call)
