"""SIGTERM with agent.drain_s: what is up goes on until it ends or the time is up; nothing new is taken."""
import json
import signal
import sqlite3
import time

import pytest
import websockets

from fake_telnyx import Call, derived_key
from harness import DEADLINE_S, delivery_of, event_ids, object_id, sidetone_of, until
from manager import ManagedAgent, Manager
from wire import Wire, head


@pytest.fixture
def draining(make_agent, signer):
    """make(seconds): an agent with one call up, its stream, and SIGTERM just sent."""
    def make(drain_s, *options):
        agent = make_agent(f"agent.drain_s={drain_s}", *options, signer=signer)
        call = Call(agent)
        call.initiated()
        call.answered()
        headers = {"x-telnyx-streaming-auth-token": "t0ken"} if options else {}
        stream = call.stream(headers=headers).start().media(60)
        stream.sync()
        agent.signal(signal.SIGTERM)
        until("draining", lambda: agent.logged(msg="stopping"))
        return agent, call, stream
    return make


def ended(agent):
    """It ends by itself, with 0."""
    assert agent.process.wait(DEADLINE_S) == 0, agent.log_text()
    agent.process = None
    agent.web.close()
    return agent.logged(msg="drained")[0]


def test_a_call_goes_on_to_its_end(draining):
    agent, call, stream = draining(600)
    assert agent.logged(msg="stopping")[0]["calls"] == 1
    told = call.tell("call.dtmf.received", digit="5")
    stream.media(40)
    stream.end()
    call.hangup()
    line = ended(agent)
    assert (line["calls_ended"], line["calls_cut"]) == (1, 0)
    document = agent.stored(call.id)
    assert document["status"] == "completed" and not sidetone_of(document).get("partial")
    assert delivery_of(document)["received_frames"] == 100
    assert object_id(told["data"]["id"]) in event_ids(document)


def test_readyz_says_draining_at_once(draining):
    agent, call, stream = draining(600)
    answer = agent.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unready"
    assert [(r["part"], r["text"].split(":")[0]) for r in body["reasons"]] == [("agent", "draining")]
    assert agent.get("/livez").status_code == 200
    assert agent.metric("sidetone_calls_live") == 1
    stream.end()
    call.hangup()
    ended(agent)


def test_what_is_new_is_refused(draining):
    agent, call, stream = draining(600)
    new = Call(agent)
    assert agent.webhook(new.event("call.initiated", direction="incoming")).status_code == 503
    late = new.stream().connected().start()  # only `start` names the leg
    assert late.closed() == 1001
    stream.end()
    call.hangup()
    ended(agent)
    assert [row["callLogId"] for row in agent.stored()] == [call.id]


def test_a_known_leg_may_stream_again(draining):
    agent, call, stream = draining(600)
    stream.drop()
    again = call.stream().start().media(40)
    again.end()
    call.hangup()
    assert ended(agent)["calls_cut"] == 0
    assert delivery_of(agent.stored(call.id))["received_frames"] == 100


def test_a_key_for_a_new_leg_gets_503_and_one_for_a_known_leg_does_not(draining):
    agent, call, stream = draining(600, "telnyx.stream_token=t0ken")
    expiry = int(time.time()) + 600
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        call.stream(path=f"/telnyx/media/{derived_key('t0ken', 'v3:new', expiry)}")
    assert refused.value.status_code == 503
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        call.stream(path="/telnyx/media/wrong")
    assert refused.value.status_code == 401
    again = call.stream(path=f"/telnyx/media/{derived_key('t0ken', call.leg, expiry)}").start().media(40)
    again.end()
    call.hangup()
    assert ended(agent)["calls_cut"] == 0


def test_the_deadline_cuts(draining):
    begin = time.monotonic()
    agent, call, stream = draining(2)
    line = ended(agent)
    assert time.monotonic() - begin >= 2
    assert (line["calls_ended"], line["calls_cut"]) == (0, 1)
    assert [cut["call"] for cut in agent.logged(msg="call cut")] == [call.id]
    assert stream.closed() == 1001
    document = agent.stored(call.id)
    assert sidetone_of(document)["partial"] is True
    assert delivery_of(document)["received_frames"] == 60


def test_some_end_and_some_are_cut(make_agent, signer):
    agent = make_agent("agent.drain_s=600", signer=signer)
    calls = [Call(agent) for _ in range(5)]
    for call in calls:
        call.initiated()
    calls[0].hangup()  # before: counts as neither
    agent.signal(signal.SIGTERM)
    until("draining", lambda: agent.logged(msg="stopping"))
    calls[1].hangup()
    calls[2].hangup()
    agent.signal(signal.SIGTERM)  # a second time: at once
    line = ended(agent)
    assert (line["calls_ended"], line["calls_cut"]) == (2, 2)
    assert {cut["call"] for cut in agent.logged(msg="call cut")} == {calls[3].id, calls[4].id}


def test_a_second_signal_cuts_at_once(draining):
    agent, call, stream = draining(86400)
    agent.signal(signal.SIGINT)
    assert ended(agent)["calls_cut"] == 1
    assert sidetone_of(agent.stored(call.id))["partial"] is True


def test_a_call_whose_first_event_is_on_its_way_to_the_disk_is_waited_for(make_agent, signer):
    agent = make_agent("agent.drain_s=600", signer=signer)
    call = Call(agent)
    blocker = sqlite3.connect(next(agent.store.glob("*.db")), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    body = json.dumps(call.event("call.initiated", direction="incoming")).encode()
    with Wire(agent.public) as wire:
        wire.send(head("POST", "/telnyx/webhooks", list(signer.headers(body).items()), length=len(body)) + body)
        for _ in range(2):  # the loop has turned since, so it has read it
            assert agent.get("/livez").status_code == 200
        agent.signal(signal.SIGTERM)
        assert until("draining", lambda: agent.logged(msg="stopping"))[0]["calls"] == 0
        blocker.execute("ROLLBACK")
        blocker.close()
        until("the call", lambda: agent.leg(call.leg))
    call.hangup()
    line = ended(agent)
    assert (line["calls_ended"], line["calls_cut"]) == (1, 0)


def test_without_calls_there_is_nothing_to_wait_for(make_agent):
    agent = make_agent("agent.drain_s=86400")
    agent.stop()  # within its deadline


def test_without_drain_s_it_cuts(draining):
    agent, call, stream = draining(0)
    assert ended(agent)["calls_cut"] == 1
    assert sidetone_of(agent.stored(call.id))["partial"] is True


def test_drain_s_can_be_reloaded(make_agent, tmp_path, signer):
    config = tmp_path / "sidetone.conf"
    config.write_text("[agent]\ndrain_s = 86400\n")
    agent = make_agent(config=config, signer=signer)
    Call(agent).initiated()
    config.write_text("[agent]\ndrain_s = 0\n")
    agent.signal(signal.SIGHUP)
    assert until("the reload", lambda: agent.logged(msg="configuration reloaded"))[0]["took"] == "agent.drain_s"
    agent.stop()


def test_the_manager_is_asked_for_patience_and_the_watchdog_is_fed(tmp_path, signer):
    manager = Manager(tmp_path)
    agent = ManagedAgent(tmp_path, manager, "agent.drain_s=86400", signer=signer).start()
    call = Call(agent)
    call.initiated()
    agent.signal(signal.SIGTERM)
    until("a status of the drain", lambda: [w for w in manager.heard("STATUS") if "1 calls live, 0 streams open; draining" in
                                            w["STATUS"]])
    until("patience asked for again and again", lambda: manager.heard("EXTEND_TIMEOUT_USEC")[3:])
    manager.fed()
    call.hangup()
    ended(agent)
    assert manager.names() == ["READY", "STOPPING"]
    times = [at for at, word in manager.words if "EXTEND_TIMEOUT_USEC" in word]
    assert max(b - a for a, b in zip(times, times[1:])) < 10
    manager.close()
