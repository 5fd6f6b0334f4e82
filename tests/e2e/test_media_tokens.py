"""Who may stream: tokens in header, path and `connected` frame, derived keys (contract 2 and 3)."""
import signal
import socket
import time

import pytest
import websockets

from fake_telnyx import TOKEN_HEADER, Call, Stream, derived_key
from harness import delivery_of, until
from wire import UPGRADE, request

TOKEN = "k7Vt-one-shot-91c2"
LATER = 3600


@pytest.fixture
def guarded(make_agent, signer):
    return make_agent(f"telnyx.stream_token={TOKEN}", signer=signer)


def takes_media(agent, stream, frames=30):
    stream.start().media(frames).end()
    document = until("the CallLog of the stream", lambda: agent.leg(stream.call.leg))
    assert delivery_of(document)["received_frames"] == frames
    assert agent.metric("sidetone_media_frames_total", result="ok") == frames


def nothing_taken(agent, leg):
    assert agent.leg(leg) is None
    assert agent.metric("sidetone_media_frames_total", result="ok") == 0
    assert agent.live() == []


# ---- the token itself


def test_in_the_header(guarded):
    takes_media(guarded, Call(guarded).stream(headers={TOKEN_HEADER: TOKEN}).connected())


def test_in_the_header_and_in_the_frame(guarded):
    takes_media(guarded, Call(guarded).stream(headers={TOKEN_HEADER: TOKEN}).connected(TOKEN))


@pytest.mark.parametrize("nested", (True, False))
def test_in_the_connected_frame(guarded, nested):
    takes_media(guarded, Call(guarded).stream().connected(TOKEN, nested))


def test_in_the_path(guarded):
    takes_media(guarded, Call(guarded).stream(path=f"/telnyx/media/{TOKEN}").connected())


def test_a_token_is_good_for_a_second_socket(guarded):
    """Telnyx may come again after a drop (telnyx-protocol.md 1.8)."""
    call = Call(guarded)
    first = call.stream(headers={TOKEN_HEADER: TOKEN}).start().media(10)
    first.sync()
    first.drop()
    call.stream(headers={TOKEN_HEADER: TOKEN}).start().media(10).end()
    parts = until("two parts", lambda: (d := guarded.leg(call.leg)) and d["metadata"]["sidetone"]["media"])
    assert len(parts) == 2


@pytest.mark.parametrize("given", ("wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "", f"Bearer {TOKEN}"))
def test_a_wrong_header_is_401(guarded, given):
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        Call(guarded).stream(headers={TOKEN_HEADER: given})
    assert refused.value.status_code == 401
    assert guarded.logged(level="warn", msg="media socket refused", why="wrong token in the header")


def test_a_header_twice_is_401(guarded):
    headers = UPGRADE + ((TOKEN_HEADER, TOKEN), (TOKEN_HEADER, TOKEN))
    answer = request(guarded.public, "GET", "/telnyx/media", headers)
    assert (answer.version, answer.status) == ("HTTP/1.1", 401)


@pytest.mark.parametrize("key", ("wrong", TOKEN + "x", "bm90IGEga2V5"))
def test_a_wrong_path_is_401_whatever_the_header_says(guarded, key):
    for headers in ({}, {TOKEN_HEADER: TOKEN}):
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            Call(guarded).stream(path=f"/telnyx/media/{key}", headers=headers)
        assert refused.value.status_code == 401


@pytest.mark.parametrize("where", ("frame", "header", "path"))
def test_a_wrong_frame_is_1008_whatever_came_before(guarded, where):
    call = Call(guarded)
    path = f"/telnyx/media/{TOKEN}" if where == "path" else "/telnyx/media"
    stream = Stream(guarded, call, path, {TOKEN_HEADER: TOKEN} if where == "header" else {})
    stream.connected("wrong")
    assert stream.closed() == 1008
    nothing_taken(guarded, call.leg)
    assert guarded.logged(level="warn", msg="media socket closed by us", code=1008)


def test_none_at_all_is_1008_after_5_s_and_nothing_is_taken(guarded):
    call, other = Call(guarded), Call(guarded)
    begin = time.monotonic()
    silent = other.stream()
    # Whoever looks like the owner of a derived key has proven nothing before `start`.
    pretender = other.stream(path=f"/telnyx/media/{derived_key('a guess', other.leg, int(time.time()) + LATER)}")
    stream = call.stream().connected().start().media(50)
    stream.sync()
    nothing_taken(guarded, call.leg)
    assert guarded.metric("sidetone_media_frames_total", result="ignored") >= 50
    assert (stream.closed(), silent.closed(), pretender.closed()) == (1008, 1008, 1008)
    assert time.monotonic() - begin > 4.9
    nothing_taken(guarded, call.leg)
    assert len(guarded.logged(msg="media socket closed by us", code=1008)) == 3


def test_a_frame_that_waits_in_the_socket_is_in_time(guarded):
    """An agent that stood still for longer than the 5 s reads before it judges."""
    stream = Call(guarded).stream()
    guarded.signal(signal.SIGSTOP)
    try:
        stream.connected(TOKEN).start().media(10)
        time.sleep(5.6)  # the agent's own standstill, not a wait for it
    finally:
        guarded.signal(signal.SIGCONT)
    stream.sync()
    assert stream.open


# ---- derived keys


def test_a_derived_key_for_its_leg(guarded):
    call = Call(guarded)
    key = derived_key(TOKEN, call.leg, int(time.time()) + LATER)
    takes_media(guarded, call.stream(path=f"/telnyx/media/{key}").connected())


def test_a_derived_key_holds_for_the_streams_whole_life(guarded):
    """Its expiry is looked at when `start` comes, not afterwards."""
    call = Call(guarded)

    def opened():
        """None: the machine took longer than the key lives."""
        expiry = int(time.time()) + 2
        try:
            stream = call.stream(path=f"/telnyx/media/{derived_key(TOKEN, call.leg, expiry)}")
            stream.connected().start().media(10).sync()
            return stream, expiry
        except websockets.WebSocketException:
            assert time.time() > expiry
            return None

    stream, expiry = until("a stream in time", opened)
    until("the key's time to pass", lambda: time.time() > expiry + 1)
    stream.media(10).end()
    assert delivery_of(guarded.leg(call.leg))["received_frames"] == 20


def test_an_expired_key_is_401(guarded):
    call = Call(guarded)
    key = derived_key(TOKEN, call.leg, int(time.time()) - 1)
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        call.stream(path=f"/telnyx/media/{key}")
    assert refused.value.status_code == 401


def test_a_key_that_expires_before_start_is_1008(guarded):
    call = Call(guarded)

    def opened():
        """None: the machine took longer than the key lives."""
        expiry = int(time.time()) + 1
        try:
            return call.stream(path=f"/telnyx/media/{derived_key(TOKEN, call.leg, expiry)}"), expiry
        except websockets.InvalidStatusCode:
            assert time.time() > expiry
            return None

    stream, expiry = until("a socket in time", opened)
    until("the key's time to pass", lambda: time.time() > expiry + 1)
    stream.pour(stream.started())
    assert stream.closed() == 1008
    nothing_taken(guarded, call.leg)


@pytest.mark.parametrize("how", ("another leg", "another token"))
def test_a_key_that_does_not_match_start_is_1008(guarded, how):
    call = Call(guarded)
    token, leg = (TOKEN, "v3:another") if how == "another leg" else ("another", call.leg)
    key = derived_key(token, leg, int(time.time()) + LATER)
    stream = call.stream(path=f"/telnyx/media/{key}").connected()
    stream.pour(stream.started(), *stream.frames(20))
    assert stream.closed() == 1008
    nothing_taken(guarded, call.leg)


@pytest.mark.parametrize("stopped", (False, True))
def test_a_derived_key_is_no_leave_for_a_second_leg(guarded, stopped):
    call = Call(guarded)
    key = derived_key(TOKEN, call.leg, int(time.time()) + LATER)
    stream = call.stream(path=f"/telnyx/media/{key}").start().media(10)
    if stopped:
        stream.stop()
    stream.pour(stream.started(leg="v3:somebody else"), *stream.frames(10))
    assert stream.closed() == 1008
    assert guarded.leg("v3:somebody else") is None
    assert guarded.logged(level="warn", msg="media socket closed by us", code=1008)


# ---- without a token


def other_address():
    """An address of this machine that is not loopback; None where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_without_a_token_loopback_may_stream(agent):
    takes_media(agent, Call(agent).stream().connected())


@pytest.mark.parametrize("insecure", (False, True))
def test_without_a_token_others_may_only_when_insecure(make_agent, signer, insecure):
    address = other_address() or "127.0.0.1"
    agent = make_agent(f"listen.public={address}:0", f"telnyx.insecure={'yes' if insecure else 'no'}", signer=signer)
    answer = request(agent.public, "GET", "/telnyx/media", UPGRADE)
    assert answer.status == (101 if insecure or address == "127.0.0.1" else 401)


def test_the_token_is_never_written(guarded):
    Call(guarded).stream().connected(TOKEN).start().media(5).end()
    with pytest.raises(websockets.InvalidStatusCode):
        Call(guarded).stream(headers={TOKEN_HEADER: "a wrong one"})
    assert TOKEN not in guarded.log_text() and "a wrong one" not in guarded.log_text()
