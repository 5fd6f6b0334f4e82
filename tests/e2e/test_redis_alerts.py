"""Alerts of live calls in Redis' stream (contract 5), from the frames and closes that cause them."""
import json
import time

import pytest

from fake_telnyx import Call
from harness import until

PREFIX = "sidetone:"


@pytest.fixture
def server(make_redis):
    return make_redis()


@pytest.fixture
def watched(make_agent, signer, server):
    return make_agent(f"redis.url={server.url}", signer=signer)


def alerts(server, call):
    return [fields for _, fields in server.client().xrange(f"{PREFIX}alerts") if fields["callLogId"] == call.id]


def states(server, call):
    return [(a["rule"], a["state"], a["severity"]) for a in alerts(server, call)]


def up(agent):
    call = Call(agent)
    call.initiated()
    call.answered()
    return call, call.stream().start().media(100)


def test_a_stall_opens_and_closes(watched, server):
    call, stream = up(watched)
    opened = until("an alert", lambda: alerts(server, call))[0]
    assert set(opened) == {"callLogId", "rule", "state", "severity", "value", "at"}
    assert (opened["rule"], opened["state"]) == ("stall", "opened")
    # A loop that was late by seconds sees the graver one first.
    assert float(opened["value"]) > 1000
    assert opened["severity"] == ("high" if float(opened["value"]) > 3000 else "medium")
    assert abs(int(opened["at"]) - time.time() * 1000) < 60_000
    until("worse", lambda: ("stall", "opened", "high") in states(server, call))

    def closed():
        stream.media(5)
        return ("stall", "closed", "high") in states(server, call)

    until("closed", closed)
    assert watched.metric("sidetone_alerts_total", rule="stall") == len(
        [s for s in states(server, call) if s[:2] == ("stall", "opened")])


def test_an_outage_closes_when_a_stream_is_back(watched, server):
    call, stream = up(watched)
    stream.drop()
    until("an outage", lambda: ("stream_outage", "opened", "critical") in states(server, call))
    call.stream().start().media(5)
    until("closed", lambda: ("stream_outage", "closed", "critical") in states(server, call))


def test_the_end_of_the_call_closes_what_is_open(watched, server):
    call, stream = up(watched)
    until("a stall", lambda: [s for s in states(server, call) if s[:2] == ("stall", "opened")])
    call.hangup()
    until("closed", lambda: [s for s in states(server, call) if s[:2] == ("stall", "closed")])
    opened = [s for s in states(server, call) if s[1] == "opened"]
    closed = [s for s in states(server, call) if s[1] == "closed"]
    assert len(closed) == 1 and len(opened) in (1, 2)
    assert watched.metric("sidetone_alerts_total", rule="stream_outage") == 0


def test_an_outage_ends_with_the_call(watched, server):
    call, stream = up(watched)
    stream.drop()
    until("an outage", lambda: ("stream_outage", "opened", "critical") in states(server, call))
    call.hangup()
    until("closed", lambda: ("stream_outage", "closed", "critical") in states(server, call))


def test_lost_frames(watched, server):
    """30 s of frames in a moment: the windows go by the frames' own time."""
    call, stream = up(watched)
    rows = []
    for n in range(1400):
        row = stream.frame()
        if n % 5 or n < 600:
            rows.append(row)
    stream.send(*rows)
    until("an alert", lambda: ("quality", "opened", "high") in states(server, call))


def test_alerts_wait_while_redis_is_away(watched, server):
    server.kill()
    call, stream = up(watched)
    until("a stall", lambda: watched.metric("sidetone_alerts_total", rule="stall") >= 1)
    until("said", lambda: any(r["part"] == "redis_alerts" for r in watched.get("/readyz").json()["reasons"]))
    assert watched.get("/readyz").status_code == 200
    server.start()
    until("the alert", lambda: [s for s in states(server, call) if s[:2] == ("stall", "opened")])


def test_the_stream_is_capped(watched, server):
    pipe = server.client().pipeline()
    for n in range(12_000):
        pipe.xadd(f"{PREFIX}alerts", {"callLogId": "filler", "n": n})
    pipe.execute()
    call, _ = up(watched)
    until("an alert", lambda: alerts(server, call))
    assert 10_000 <= server.client().xlen(f"{PREFIX}alerts") <= 10_200


def test_without_redis_they_are_counted_and_logged(agent):
    call, _ = up(agent)
    until("a stall", lambda: agent.metric("sidetone_alerts_total", rule="stall") >= 1)
    [line, *_] = agent.logged(msg="alert opened", rule="stall", call=call.id)
    assert line["severity"] in ("medium", "high") and json.dumps(line["value"])
