"""The media socket on the wire: handshake, frames, control frames, closing (RFC 6455)."""
import struct

import pytest

from harness import until
from wire import (ACCEPT, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, UPGRADE, Socket, Wire, frame, head, request)

MEDIA = "/telnyx/media"
LIMIT = 2 * 1024 * 1024


def faults(agent, kind):
    return agent.metric("sidetone_media_parse_errors_total", kind=kind)


@pytest.fixture
def ws(shared_agent):
    with Socket(shared_agent.public) as one:
        assert one.greeting.status == 101
        yield one


def closed(code):
    return struct.pack(">H", code)


# ---- the handshake


def test_the_greeting(ws):
    assert ws.greeting.headers["sec-websocket-accept"] == ACCEPT
    assert ws.greeting.headers["upgrade"].lower() == "websocket"
    assert ws.greeting.headers["connection"].lower() == "upgrade"


def test_what_is_offered_is_ignored(shared_agent):
    offers = UPGRADE + (("Sec-WebSocket-Protocol", "audio.example, other"),
                        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"))
    with Socket(shared_agent.public, headers=offers) as ws:
        assert ws.greeting.status == 101
        assert "sec-websocket-protocol" not in ws.greeting.headers
        assert "sec-websocket-extensions" not in ws.greeting.headers
        assert ws.send(frame(PING, b"x")).receive() == (PONG, b"x")


def changed(name, value):
    """UPGRADE with one header of another value, or without it."""
    return tuple((n, value if n == name else v) for n, v in UPGRADE if n != name or value is not None)


@pytest.mark.parametrize("headers, status", (
    (changed("Connection", "keep-alive, Upgrade"), 101),
    (changed("Upgrade", "WebSocket"), 101),
    (changed("Sec-WebSocket-Version", "8"), 426),
    (changed("Sec-WebSocket-Version", None), 426),
    (changed("Sec-WebSocket-Key", None), 400),
    (changed("Sec-WebSocket-Key", "c2hvcnQ="), 400),
    (changed("Sec-WebSocket-Key", "!" * 24), 400),
    (changed("Upgrade", "h2c"), 404),
    (changed("Connection", "keep-alive"), 404),
))
def test_handshakes(shared_agent, headers, status):
    answer = request(shared_agent.public, "GET", MEDIA, headers)
    assert answer.status == status
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("path", ("/", "/telnyx/webhooks", "/telnyx/mediaX", "/telnyx/medi", "/telnyx"))
def test_no_socket_elsewhere(shared_agent, path):
    answer = request(shared_agent.public, "GET", path, UPGRADE)
    assert answer.status == 404 and answer.version == "HTTP/1.1" and answer.closes


def test_no_socket_on_the_admin_listener(shared_agent):
    assert request(shared_agent.admin, "GET", MEDIA, UPGRADE).status == 404


def test_post_is_no_handshake(shared_agent):
    assert request(shared_agent.public, "POST", MEDIA, UPGRADE, b"").status == 404


def test_frames_right_behind_the_handshake(shared_agent):
    """A client may not wait for the 101."""
    with Wire(shared_agent.public) as wire:
        wire.send(head("GET", MEDIA, UPGRADE) + frame(PING, b"early"))
        assert wire.answer("GET").status == 101
        assert wire.take(2 + 5) == bytes([0x80 | PONG, 5]) + b"early"


# ---- messages


@pytest.mark.parametrize("length_bytes", (0, 2, 8))
def test_lengths_in_each_form_they_may_have(shared_agent, ws, length_bytes):
    payload = {0: b"x" * 125, 2: b"x" * 126, 8: b"x" * 65536}[length_bytes]
    before = faults(shared_agent, "not_json")
    ws.send(frame(TEXT, payload) + frame(PING, b"done"))
    assert ws.receive() == (PONG, b"done")
    assert faults(shared_agent, "not_json") == before + 1


def test_fragments_with_control_frames_between_them(shared_agent, ws):
    text = b'{"event":"nobody knows","text":"\xc3\xa4\xe2\x82\xac"}'
    before = faults(shared_agent, "unknown_event"), faults(shared_agent, "not_utf8")
    ws.send(frame(TEXT, text[:34], fin=False))  # in the middle of a character
    ws.send(frame(PING, b"1"))
    ws.send(frame(CONTINUATION, b"", fin=False) + frame(PONG, b"nobody asked"))
    ws.send(frame(CONTINUATION, text[34:]) + frame(PING, b"2"))
    assert [ws.receive(), ws.receive()] == [(PONG, b"1"), (PONG, b"2")]
    assert (faults(shared_agent, "unknown_event"), faults(shared_agent, "not_utf8")) == (before[0] + 1, before[1])


def test_a_byte_at_a_time(shared_agent, ws):
    before = faults(shared_agent, "unknown_event")
    for byte in frame(TEXT, b'{"event":"drop by drop"}') + frame(PING, b"p"):
        ws.send(bytes([byte]))
    assert ws.receive() == (PONG, b"p")
    assert faults(shared_agent, "unknown_event") == before + 1


def test_many_messages_in_one_segment(shared_agent, ws):
    before = faults(shared_agent, "unknown_event")
    ws.send(frame(TEXT, b'{"event":"one of many"}') * 500 + frame(PING))
    assert ws.receive() == (PONG, b"")
    assert faults(shared_agent, "unknown_event") == before + 500


def test_an_empty_message_is_no_frame_of_telnyx(shared_agent, ws):
    before = faults(shared_agent, "not_json")
    ws.send(frame(TEXT) + frame(PING))
    assert ws.receive() == (PONG, b"")
    assert faults(shared_agent, "not_json") == before + 1


@pytest.mark.parametrize("payload", (b"", b"x", b"y" * 125))
def test_a_ping_is_answered_with_its_bytes(ws, payload):
    assert ws.send(frame(PING, payload)).receive() == (PONG, payload)


def test_a_pong_nobody_asked_for_is_ignored(ws):
    assert ws.send(frame(PONG, b"?") + frame(PING, b"!")).receive() == (PONG, b"!")


# ---- violations

VIOLATIONS = {
    "no mask": frame(TEXT, b"{}", mask=False),
    "a ping without a mask": frame(PING, b"x", mask=False),
    "reserved bit 1": frame(TEXT, b"{}", reserved=4),
    "reserved bit 2": frame(TEXT, b"{}", reserved=2),
    "reserved bit 3": frame(TEXT, b"{}", reserved=1),
    "opcode 3": frame(3, b"{}"),
    "opcode 7": frame(7, b"{}"),
    "opcode 11": frame(11, b""),
    "opcode 15": frame(15, b""),
    "a ping in pieces": frame(PING, b"x", fin=False),
    "a close in pieces": frame(CLOSE, closed(1000), fin=False),
    "a ping of 126 bytes": frame(PING, b"x" * 126),
    "a continuation of nothing": frame(CONTINUATION, b"{}"),
    "a text within a text": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    "a binary within a text": frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"),
    "a short length in two bytes": frame(TEXT, b"{}", length_bytes=2),
    "a short length in eight bytes": frame(TEXT, b"{}", length_bytes=8),
    "a length of 2^63": bytes([0x81, 0xFF]) + struct.pack(">Q", 1 << 63) + b"mask",
    "a close of one byte": frame(CLOSE, b"x"),
    "close code 999": frame(CLOSE, closed(999)),
    "close code 1004": frame(CLOSE, closed(1004)),
    "close code 1005": frame(CLOSE, closed(1005)),
    "close code 1006": frame(CLOSE, closed(1006)),
    "close code 1015": frame(CLOSE, closed(1015)),
    "close code 2999": frame(CLOSE, closed(2999)),
    "close code 5000": frame(CLOSE, closed(5000)),
}


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_a_violation_closes_1002(shared_agent, ws, kind):
    ws.send(VIOLATIONS[kind])
    assert ws.close_code() == 1002
    assert ws.ends()
    assert shared_agent.alive


def test_a_close_reason_that_is_not_utf8(ws):
    ws.send(frame(CLOSE, closed(1000) + b"\xff\xfe"))
    assert ws.close_code() in (1002, 1007)
    assert ws.ends()


def test_the_largest_message(shared_agent, ws):
    before = faults(shared_agent, "not_json")
    ws.send(frame(TEXT, b"x" * LIMIT) + frame(PING))
    assert ws.receive() == (PONG, b"")
    assert faults(shared_agent, "not_json") == before + 1


def test_a_byte_more_closes_1009(ws):
    ws.send(frame(TEXT, b"x" * (LIMIT + 1))[:100])  # its length is enough
    assert ws.close_code() == 1009
    assert ws.ends()


def test_fragments_that_add_up_to_too_much_close_1009(ws):
    ws.send(frame(TEXT, b"x" * LIMIT, fin=False))
    ws.send(frame(CONTINUATION, b"x", fin=False))
    assert ws.close_code() == 1009


# ---- closing


@pytest.mark.parametrize("code", (1000, 1001, 1007, 1011, 1014, 3000, 4999))
def test_a_close_is_echoed_and_ends_the_connection(ws, code):
    ws.send(frame(CLOSE, closed(code) + b"goodbye"))
    assert ws.close_code() == code
    assert ws.ends()


def test_a_close_without_a_code(ws):
    ws.send(frame(CLOSE))
    opcode, payload = ws.receive()
    assert (opcode, payload) == (CLOSE, b"")
    assert ws.ends()


def test_nothing_counts_behind_a_close(shared_agent, ws):
    before = faults(shared_agent, "unknown_event")
    ws.send(frame(CLOSE, closed(1000)) + frame(TEXT, b'{"event":"too late"}') + frame(PING))
    assert ws.close_code() == 1000
    assert ws.ends()
    assert faults(shared_agent, "unknown_event") == before


def test_the_end_of_a_socket_is_told_with_its_code(agent):
    for payload, code in ((closed(1001), 1001), (b"", 1005), (None, 1006)):
        with Socket(agent.public) as ws:
            if payload is not None:
                ws.send(frame(CLOSE, payload))
                ws.receive()
        until(f"its end with {code}", lambda code=code: agent.logged(msg="media socket gone", code=code))


def test_many_sockets_at_once(shared_agent):
    sockets = [Socket(shared_agent.public) for _ in range(100)]
    for ws in sockets:
        ws.send(frame(PING, b"all"))
    assert [ws.receive() for ws in sockets] == [(PONG, b"all")] * 100
    for ws in sockets:
        ws.socket.close()
