"""Commands to Telnyx: telnyx.auto_stream, questions after a crash, orders of your people (telnyx-protocol.md 3)."""
import threading
import time
import urllib.parse

import pytest

from fake_api import Answer, Api, error
from fake_telnyx import Call
from harness import delivery_of, sidetone, until

TOKEN, KEY = "stream-token", "KEY0123456789-not-shown"
STREAM_URL = "wss://edge.example.net/telnyx/media"


@pytest.fixture
def api():
    one = Api()
    yield one
    one.close()


@pytest.fixture
def options(api):
    return (f"telnyx.api_key={KEY}", f"telnyx.api_base={api.base}", "telnyx.auto_stream=yes",
            f"telnyx.stream_url={STREAM_URL}", f"telnyx.stream_token={TOKEN}")


@pytest.fixture
def agent(make_agent, signer, options):
    one = make_agent(*options, signer=signer)
    yield one
    assert KEY not in one.log_text() and TOKEN not in one.log_text()


def results(agent):
    return {r: agent.metric("sidetone_commands_total", result=r) for r in ("ok", "failed")}


def test_an_answered_leg_is_streamed(agent, api):
    call = Call(agent)
    call.initiated()
    assert api.requests == []
    call.answered()
    (request,) = api.wait("streaming_start")
    assert request["path"] == f"/v2/calls/{urllib.parse.quote(call.leg, safe='')}/actions/streaming_start"
    assert request["headers"]["Authorization"] == f"Bearer {KEY}"
    assert request["headers"]["Content-Type"] == "application/json"
    body = request["body"]
    assert body["stream_track"] == "both_tracks" and body["stream_codec"] == "PCMU"
    base, key = body["stream_url"].rsplit("/", 1)
    assert base == STREAM_URL
    stream = call.stream(path=f"/telnyx/media/{key}").start().media(50)
    stream.end()
    call.hangup()
    assert delivery_of(agent.complete(call.leg))["received_frames"] == 50
    until("the count", lambda: results(agent) == {"ok": 1, "failed": 0})
    assert len(api.requests) == 1


def test_two_agents_send_the_same_id_and_a_repeat_sends_none(make_agent, signer, options, api):
    agents = [make_agent(*options, signer=signer) for _ in range(2)]
    call = Call(agents[0])
    told = call.answered()
    assert agents[0].webhook(told).status_code == 200
    assert agents[1].webhook(told).status_code == 200
    requests = api.wait("streaming_start", 2)
    until("both done", lambda: [results(a)["ok"] for a in agents] == [1, 1])
    assert len(requests) == 2
    assert requests[0]["body"]["command_id"] == requests[1]["body"]["command_id"]
    other = Call(agents[0])
    other.answered()
    assert api.wait("streaming_start", 3)[2]["body"]["command_id"] != requests[0]["body"]["command_id"]


@pytest.mark.parametrize("first", (Answer(500, b"<html>oops"), Answer(503), Answer(drop=True),
                                   Answer(422, error(90034, "Call not answered yet")),
                                   Answer(429, error(10011), {"Retry-After": "0.2"}),
                                   Answer(429, error(10011), {"x-ratelimit-reset": "0.2"})),
                         ids=("500", "503", "reset", "not-answered", "retry-after", "ratelimit"))
def test_the_identical_command_again(agent, api, first):
    api.answer("streaming_start", first)
    Call(agent).answered()
    one, two = api.wait("streaming_start", 2)
    assert one["body"] == two["body"] and one["path"] == two["path"]
    until("the count", lambda: results(agent) == {"ok": 1, "failed": 0})


def test_no_answer_within_a_second_is_sent_again(agent, api):
    late = threading.Event()
    api.answer("streaming_start", Answer(hold=late))
    Call(agent).answered()
    api.wait("streaming_start", 2)
    until("the count", lambda: results(agent) == {"ok": 1, "failed": 0})
    late.set()


@pytest.mark.parametrize("status,body", ((401, error(10009, "Authentication failed")), (422, error(90015, "bad id")),
                                         (422, error(90045, "streaming in use")), (404, b"not here"), (400, b"")))
def test_what_cannot_change_is_said_once(agent, api, status, body):
    api.answer("streaming_start", Answer(status, body), Answer(status, body))
    call = Call(agent)
    call.answered()
    (line,) = until("the line", lambda: agent.logged(msg="command failed"))
    assert str(status) in line["why"] and line["call"] == call.id
    assert results(agent) == {"ok": 0, "failed": 1} and len(api.of("streaming_start")) == 1


def test_telnyx_being_away_is_given_up_and_costs_nobody(make_agent, signer, options, api):
    api.close()
    agent = make_agent(*options, signer=signer)
    call = Call(agent)
    call.answered()
    until("given up", lambda: results(agent)["failed"] == 1)
    call.hangup()
    assert agent.leg(call.leg)["status"] == "completed"


def test_after_a_crash_a_leg_that_is_up_is_streamed_again(agent, api):
    call = Call(agent)
    call.answered()
    first = api.wait("streaming_start")[0]
    stream = call.stream(path="/telnyx/media", headers={"x-telnyx-streaming-auth-token": TOKEN}).start().media(100)
    stream.sync()
    agent.on_disk(call, lambda d: d["metadata"]["sidetone"].get("media"))
    agent.kill()
    agent.start()
    assert api.wait("call")[0]["path"].endswith(urllib.parse.quote(call.leg, safe=""))
    again = api.wait("streaming_start", 2)[1]
    assert again["body"]["command_id"] != first["body"]["command_id"]
    stream = call.stream(path="/telnyx/media", headers={"x-telnyx-streaming-auth-token": TOKEN}).start().media(50)
    stream.end()
    call.hangup()
    document = agent.complete(call.leg)
    assert document["metadata"]["sidetone"]["partial"], "the CallLog says that something is missing"
    states = sorted(part["state"] for part in document["metadata"]["sidetone"]["media"].values())
    assert states == ["closed", "cut"]


def test_after_a_crash_a_leg_that_is_over_is_left_alone(agent, api):
    call = Call(agent)
    call.answered()
    api.wait("streaming_start")
    api.answer("call", Answer(200, {"data": {"is_alive": False}}))
    agent.kill()
    agent.start()
    api.wait("call")
    until("the answer", lambda: agent.metric("sidetone_calls_live") == 1)
    later = Call(agent)
    later.answered()
    assert api.wait("streaming_start", 2)[1]["path"] != api.of("streaming_start")[0]["path"]


def test_a_stream_that_stopped_is_not_asked_for_again(agent, api):
    call = Call(agent)
    call.answered()
    headers = {"x-telnyx-streaming-auth-token": TOKEN}
    call.stream(headers=headers).start().media(10).end()
    broken = Call(agent)
    broken.answered()
    stream = broken.stream(headers=headers).start().media(10)
    stream.sync()
    stream.drop()
    requests = api.wait("call")
    assert len(requests) == 1 and urllib.parse.quote(broken.leg, safe="") in requests[0]["path"]


# ---- orders


def order(agent, call, command, **more):
    more.setdefault("headers", {"Content-Type": "application/json"})
    return agent.get(f"/api/v1/calls/{call.id}/actions/{command}", method="POST", data="{}", **more)


@pytest.mark.parametrize("command", ("answer", "hangup", "streaming_start", "streaming_stop", "record_start",
                                     "record_stop", "record_pause", "record_resume"))
def test_an_order_is_sent(agent, api, command):
    call = Call(agent)
    call.initiated()
    answer = order(agent, call, command)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"command": command, "callControlId": call.leg, "accepted": True, "status": 200}
    (request,) = api.of(command)
    assert request["method"] == "POST" and request["body"]["command_id"]
    order(agent, call, command)
    assert api.of(command)[1]["body"]["command_id"] != request["body"]["command_id"], "two orders are two"


def test_an_order_that_fails_says_why(agent, api):
    call = Call(agent)
    call.initiated()
    api.answer("record_pause", Answer(422, error(90040, "Nothing is recorded")))
    answer = order(agent, call, "record_pause")
    assert answer.status_code == 502 and "Nothing is recorded" in answer.json()["error"]
    api.answer("hangup", Answer(422, error(90018, "Call has already ended")))
    assert order(agent, call, "hangup").json()["accepted"], "what was to end has ended"
    api.answer("record_start", Answer(422, error(90018, "Call has already ended")))
    answer = order(agent, call, "record_start")
    assert answer.status_code == 502 and not answer.json()["accepted"]


def test_a_limit_for_an_hour_is_told_at_once(agent, api):
    """Neither the one that met it nor those behind it wait for an answer that cannot come in their time."""
    call = Call(agent)
    call.initiated()
    api.answer("record_start", Answer(429, error(10011, "Too many requests"), {"x-ratelimit-reset": "3600"}))
    answer = order(agent, call, "record_start")
    assert answer.status_code == 502 and "Too many requests" in answer.json()["error"]
    answer = order(agent, call, "hangup")
    assert answer.status_code == 502 and "rate limit" in answer.json()["error"]
    assert api.of("hangup") == []


def test_orders_that_are_none(agent, api, make_agent, signer):
    call = Call(agent)
    call.initiated()
    path = f"/api/v1/calls/{call.id}/actions/hangup"
    assert agent.get(path).status_code == 405
    answer = order(agent, call, "dial")
    assert answer.status_code == 404 and "hangup, streaming_start," in answer.json()["error"]
    assert order(agent, Call(agent), "hangup").status_code == 404
    assert order(agent, call, "hangup", headers={"Content-Type": "text/plain"}).status_code == 415
    assert order(agent, call, "hangup", headers={}).status_code == 415
    assert api.requests == []
    listening = make_agent(signer=signer)
    call = Call(listening)
    call.initiated()
    answer = order(listening, call, "hangup")  # without a key the agent only listens
    assert answer.status_code == 404 and "telnyx.api_key" in answer.json()["error"]
    guarded = make_agent("admin.token=secret", f"telnyx.api_key={KEY}", f"telnyx.api_base={api.base}", signer=signer)
    call = Call(guarded)
    call.initiated()
    assert order(guarded, call, "hangup").status_code == 401
    assert api.requests == []
    headers = {"Content-Type": "application/json", "Authorization": "Bearer secret"}
    assert order(guarded, call, "hangup", headers=headers).status_code == 200


@pytest.mark.parametrize("host,good", (("localhost", True), ("127.0.0.1:8481", True), ("[::1]:8481", True),
                                       ("evil.example", False), ("127.0.0.1.evil.example:80", False), ("", False)))
def test_an_order_names_this_machine(agent, api, host, good):
    """A page whose name was made to mean this machine says its own name."""
    call = Call(agent)
    call.initiated()
    answer = order(agent, call, "hangup", headers={"Content-Type": "application/json", "Host": host})
    assert answer.status_code == (200 if good else 403) and len(api.of("hangup")) == good


def test_auto_stream_needs_where_and_a_key():
    for more in ((), (f"telnyx.stream_url={STREAM_URL}",), (f"telnyx.api_key={KEY}",)):
        words = [word for option in ("telnyx.auto_stream=yes", *more) for word in ("-o", option)]
        done = sidetone("check", *words)
        assert done.returncode == 2 and "telnyx.auto_stream" in done.stderr and KEY not in done.stderr


def test_it_stops_amid_commands(agent, api):
    late = threading.Event()
    api.answer("streaming_start", *[Answer(hold=late) for _ in range(20)])
    for _ in range(20):
        Call(agent).answered()
    api.wait("streaming_start", 5)
    begin = time.monotonic()
    agent.stop()
    assert time.monotonic() - begin < 5
    late.set()
    agent.start()
