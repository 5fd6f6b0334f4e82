"""HTTP on the wire: limits, framing, keep-alive, methods, and clients that are slow (contract 3)."""
import json
import re
import statistics
import subprocess
import time

import pytest

from fake_telnyx import event
from harness import DEADLINE_S, until
from wire import Wire, head, request

PATH = "/telnyx/webhooks"
MIB = 1024 * 1024


def webhook(signer, leg="v3:http", padding=0):
    """(headers, body) of a good one."""
    body = json.dumps(event("call.answered", {"call_control_id": leg, "pad": "x" * padding})).encode()
    return list(signer.headers(body).items()), body


def body_of(signer, size):
    overhead = len(webhook(signer)[1])
    headers, body = webhook(signer, padding=size - overhead)
    assert len(body) == size
    return headers, body


def chunked(body, piece=1000, extension=b"", trailer=b""):
    out = b""
    for at in range(0, len(body), piece):
        part = body[at:at + piece]
        out += b"%x%s\r\n%s\r\n" % (len(part), extension, part)
    return out + b"0\r\n" + trailer + b"\r\n"


def accepted(agent):
    return agent.metric("sidetone_webhooks_total", result="accepted")


# ---- where and how


@pytest.mark.parametrize("method", ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
def test_only_post_reaches_webhooks(shared_agent, method):
    answer = request(shared_agent.public, method, PATH)
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


@pytest.mark.parametrize("path", ("/", "/telnyx", "/telnyx/webhooks/", "/telnyx/webhooksX", "/telnyx/media",
                                  "/telnyx/mediaX", "/metrics", "/livez", "/api/v1/calls", "/TELNYX/WEBHOOKS"))
@pytest.mark.parametrize("method", ("GET", "POST"))
def test_everything_else_is_404(shared_agent, method, path):
    assert request(shared_agent.public, method, path, body=b"{}" if method == "POST" else None).status == 404


def test_a_query_is_no_part_of_the_path(agent, signer):
    headers, body = webhook(signer)
    assert request(agent.public, "POST", PATH + "?from=telnyx", headers, body).status == 200


def test_the_answer_is_empty_and_says_so(agent, signer):
    answer = request(agent.public, "POST", PATH, *webhook(signer))
    assert (answer.version, answer.status, answer.reason) == ("HTTP/1.1", 200, "OK")
    assert (answer.headers["content-length"], answer.body, answer.closes) == ("0", b"", False)


# ---- framing


def test_keep_alive(agent, signer):
    with Wire(agent.public) as wire:
        for i in range(5):
            headers, body = webhook(signer, f"v3:keep {i}")
            answer = wire.send(head("POST", PATH, headers, len(body)) + body).answer()
            assert answer.status == 200 and not answer.closes
    assert accepted(agent) == 5


@pytest.mark.parametrize("piece", (1, 7, 1000))
@pytest.mark.parametrize("style", ("plain", "extension", "trailer"))
def test_chunked(agent, signer, piece, style):
    headers, body = webhook(signer)
    coded = chunked(body, piece, b";a=1" if style == "extension" else b"", b"X-A: 1\r\n" if style == "trailer" else b"")
    with Wire(agent.public) as wire:
        for _ in range(2):  # and the connection is in step behind it
            answer = wire.send(head("POST", PATH, headers + [("Transfer-Encoding", "chunked")]) + coded).answer()
            assert answer.status == 200
    assert accepted(agent) == 1 and agent.metric("sidetone_webhooks_total", result="duplicate") == 1


def test_a_byte_at_a_time(agent, signer):
    headers, body = webhook(signer)
    with Wire(agent.public) as wire:
        for byte in head("POST", PATH, headers, len(body)) + body:
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


def test_expect_100_continue(agent, signer):
    headers, body = webhook(signer)
    with Wire(agent.public) as wire:
        wire.send(head("POST", PATH, headers + [("Expect", "100-continue")], len(body)))
        assert wire.answer().status == 100
        assert wire.send(body).answer().status == 200


def test_expect_100_continue_is_not_answered_when_the_body_is_there(agent, signer):
    headers, body = webhook(signer)
    with Wire(agent.public) as wire:
        wire.send(head("POST", PATH, headers + [("Expect", "100-continue")], len(body)) + body)
        assert wire.answer().status == 200


def test_expect_is_refused_with_the_request(agent):
    with Wire(agent.public) as wire:
        wire.send(head("POST", PATH, [("Expect", "100-continue")], 2 * MIB))
        answer = wire.answer()
        assert answer.status == 413 and answer.closes and wire.rest() == b""


BROKEN = {
    "both lengths": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}\n",
    "a length that is none": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: two\r\n\r\n{}",
    "a negative length": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n{}",
    "a chunk that is none": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "no host": b"POST /telnyx/webhooks HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "two hosts": b"POST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
    "a blank before the colon": b"POST /telnyx/webhooks HTTP/1.1\r\nHost : a\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is a TLS greeting\r\n\r\n",
    "a method with a blank": b"PO ST /telnyx/webhooks HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_request_is_400_and_closes(shared_agent, kind):
    before = shared_agent.metric("sidetone_webhooks_total", result="bad_request")
    with Wire(shared_agent.public) as wire:
        answer = wire.send(BROKEN[kind]).answer()
        assert answer.status == 400 and answer.closes and wire.rest() == b""
    assert shared_agent.metric("sidetone_webhooks_total", result="bad_request") == before + 1
    assert shared_agent.logged(msg="request refused", status=400)


def test_a_second_request_in_the_same_segment_gets_no_answer(agent, signer):
    first, second = webhook(signer, "v3:first"), webhook(signer, "v3:second")
    both = b"".join(head("POST", PATH, h, len(b)) + b for h, b in (first, second))
    with Wire(agent.public) as wire:
        answer = wire.send(both).answer()
        assert answer.status == 200 and answer.closes
        assert wire.rest() == b"", "the second one was answered"
    assert accepted(agent) == 1
    assert agent.leg("v3:first") and agent.leg("v3:second") is None


def test_http_1_0_closes(agent, signer):
    headers, body = webhook(signer)
    with Wire(agent.public) as wire:
        wire.send(head("POST", PATH, headers, len(body)).replace(b"HTTP/1.1", b"HTTP/1.0") + body)
        assert wire.answer().status == 200 and wire.rest() == b""


def test_connection_close_is_obeyed(agent, signer):
    headers, body = webhook(signer)
    with Wire(agent.public) as wire:
        answer = wire.send(head("POST", PATH, headers + [("Connection", "close")], len(body)) + body).answer()
        assert answer.status == 200 and answer.closes and wire.rest() == b""


def test_a_client_that_leaves_in_the_middle_costs_nothing(agent, signer):
    headers, body = webhook(signer)
    whole = head("POST", PATH, headers, len(body)) + body
    for cut in (1, 10, len(whole) - len(body), len(whole) - 1):
        with Wire(agent.public) as wire:
            wire.send(whole[:cut])
    with Wire(agent.public) as wire:  # asks, and does not wait for the answer
        wire.send(whole)
    until("the webhook that nobody waited for", lambda: accepted(agent) == 1)
    assert agent.webhook(event("call.hangup", {"call_control_id": "v3:http"})).status_code == 200


# ---- limits


def test_a_body_of_1_mib_is_taken(agent, signer):
    headers, body = body_of(signer, MIB)
    assert request(agent.public, "POST", PATH, headers, body).status == 200


@pytest.mark.parametrize("style", ("length", "chunked"))
def test_a_byte_more_is_413(agent, signer, style):
    headers, body = body_of(signer, MIB + 1)
    with Wire(agent.public) as wire:
        if style == "length":
            wire.send(head("POST", PATH, headers, len(body)))
        else:
            wire.send(head("POST", PATH, headers + [("Transfer-Encoding", "chunked")]) + chunked(body, 65536))
        answer = wire.answer()
        assert answer.status == 413 and answer.closes
    assert agent.metric("sidetone_webhooks_total", result="too_large") == 1
    assert agent.logged(msg="request refused", status=413)


def test_the_head_has_16_kib(agent, signer):
    headers, body = webhook(signer)

    def padded(size):
        bare = len(head("POST", PATH, headers + [("X-Pad", "")], len(body)))
        return head("POST", PATH, headers + [("X-Pad", "a" * (size - bare))], len(body)) + body

    with Wire(agent.public) as wire:
        assert wire.send(padded(16 * 1024)).answer().status == 200
    with Wire(agent.public) as wire:
        answer = wire.send(padded(16 * 1024 + 1)).answer()
        assert answer.status == 431 and answer.closes
    with Wire(agent.public) as wire:  # a request line without an end
        assert wire.send(b"GET /" + b"a" * 17000).answer("GET").status == 431


def test_ten_seconds_for_a_request_and_not_one_more_for_trickling(agent, signer):
    headers, body = webhook(signer)
    start = head("POST", PATH, headers, len(body))
    quiet, in_head, in_body, trickle = (Wire(agent.public) for _ in range(4))
    begin = time.monotonic()
    in_head.send(start[:40])
    in_body.send(start + body[:10])
    trickle.send(start[:1])
    sent, ends = 1, None
    trickle.socket.settimeout(0.2)
    while ends is None and time.monotonic() - begin < DEADLINE_S:
        try:
            ends = trickle.socket.recv(65536)
        except TimeoutError:
            sent += 1
            trickle.send(start[sent - 1:sent])
    assert ends.startswith(b"HTTP/1.1 408 ")
    for wire in (in_head, in_body):
        answer = wire.answer()
        assert answer.status == 408 and answer.closes and wire.rest() == b""
    assert time.monotonic() - begin > 9.9
    assert agent.metric("sidetone_webhooks_total", result="timeout") == 3
    # A connection on which no request has begun is only idle.
    assert quiet.send(start + body).answer().status == 200
    for wire in (quiet, in_head, in_body, trickle):
        wire.socket.close()


def test_slow_clients_hold_nobody_up(agent, signer):
    headers, body = webhook(signer)
    whole = head("POST", PATH, headers, len(body)) + body
    slow = [Wire(agent.public) for _ in range(200)]
    took_s = []
    for i in range(20):
        for wire in slow:
            wire.send(whole[i:i + 1])
        begin = time.monotonic()
        assert agent.webhook(event("call.answered", {"call_control_id": f"v3:quick {i}"})).status_code == 200
        took_s.append(time.monotonic() - begin)
    # A slow disk may be late with some of them: the usual one counts.
    assert statistics.median(took_s) < 1
    late = [Wire(agent.public) for _ in range(20)]  # with 10 s of their own
    for wire in late:
        wire.send(whole[:20])
    for wire in late:  # and the slow ones are served all the same
        assert wire.send(whole[20:]).answer().status == 200
    slow += late
    for wire in slow:
        wire.socket.close()


# ---- curl


def curl(*words, stdin=None):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(DEADLINE_S), *words], input=stdin,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"),
                                   ("--http1.0",), ("--http2",)))
def test_curl_delivers(agent, signer, words):
    headers, body = webhook(signer, padding=3000)
    more = [word for name, value in headers for word in ("-H", f"{name}: {value}")]
    code = curl("-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H", "Content-Type: application/json", *more,
                *words, "--data-binary", "@-", f"http://{agent.public}{PATH}", stdin=body)
    assert code == b"200 0"
    assert accepted(agent) == 1


def test_curl_looks_at_head(agent):
    text = curl("-I", f"http://{agent.admin}/metrics").decode()
    assert re.match(r"HTTP/1\.1 200 ", text) and "text/plain; version=0.0.4" in text
    shown = curl(f"http://{agent.admin}/metrics").decode()
    length = int(re.search(r"(?i)content-length: (\d+)", text).group(1))
    assert abs(length - len(shown)) < 200  # figures have grown meanwhile
