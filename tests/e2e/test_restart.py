"""Ends, good and bad: SIGTERM, kill -9, two of a kind, SIGHUP (contract 1, 2, 4, data-model.md 8.4)."""
import os
import json
import re
import signal
import socket
import threading
import time

import pytest
import requests

from fake_telnyx import Call
from harness import (DEADLINE_S, Signer, delivery_of, event_ids, object_id, sidetone, sidetone_of, until)


class Chatter(threading.Thread):
    """Sends one webhook after another until the agent is gone; knows which were acknowledged."""

    def __init__(self, call):
        super().__init__()
        self.call, self.acknowledged, self.session = call, [], requests.Session()
        self.session.trust_env = False

    def run(self):
        while True:
            told = self.call.event("call.dtmf.received", digit="1")
            body = json.dumps(told).encode()
            try:
                answer = self.session.post(f"http://{self.call.agent.public}/telnyx/webhooks", data=body,
                                           headers=self.call.agent.signer.headers(body), timeout=DEADLINE_S)
            except requests.RequestException:
                return
            if answer.status_code == 200:
                self.acknowledged.append(told["data"]["id"])


def speak(stream, seconds):
    """One track in real time; gives the number of frames sent."""
    sound = {"inbound": lambda i: bytes([0x80 + i % 64]) * 160}
    stream.play(sound, seconds)
    return int(seconds * 50)


# ---- kill -9


def test_kill_9_in_mid_call_loses_no_acknowledged_webhook(agent):
    """Five crashes of one store. The longer calls show that figures are at most 5 s behind."""
    for seconds in (0.2, 6.6, 0.6, 5.6, 1.4):
        call = Call(agent)
        first = call.initiated()["data"]["id"]
        call.answered()
        stream = call.stream().connected().start()
        chatter = Chatter(call)
        chatter.start()
        sent = speak(stream, seconds)
        agent.on_disk(call, lambda d: sidetone_of(d).get("media"))
        agent.kill()
        chatter.join()
        before = agent.stored(call.id)  # without serve
        assert sidetone_of(before)["partial"] and not sidetone_of(before)["complete"]
        agent.start()
        document = agent.leg(call.leg)
        wanted = {object_id(one) for one in (first, *chatter.acknowledged)}
        assert wanted and wanted <= set(event_ids(document)), "an acknowledged webhook is lost"
        assert sidetone_of(document)["partial"] and not sidetone_of(document)["complete"]
        assert document["status"] == "answered" and "endedAt" not in document
        if sent > 250:
            assert delivery_of(document)["received_frames"] >= sent - 250, "more than 5 s behind"
        assert [row["callLogId"] for row in agent.live()] == [call.id]
        call.hangup()
        document = agent.complete(call.leg)
        assert document["status"] == "completed" and "endedAt" in document
        assert sidetone_of(document)["partial"], "a media part was cut"
    assert len(agent.stored()) == 5


def test_after_a_crash_a_call_goes_on(agent):
    """Telnyx streams again; the webhook of before is a duplicate; both parts count."""
    call = Call(agent)
    told = call.answered()
    stream = call.stream().start().media(100)
    stream.sync()
    agent.on_disk(call, lambda d: "media" in sidetone_of(d) and "quality" in sidetone_of(d))
    agent.kill()
    agent.start()
    assert agent.webhook(told).status_code == 200
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 1
    call.stream().start().media(70).end()
    call.hangup()
    document = agent.complete(call.leg)
    parts = sidetone_of(document)["media"]
    assert sorted(part["state"] for part in parts.values()) == ["closed", "cut"]
    assert len({name.rsplit("_", 1)[0] for name in parts}) == 1, "one agent.id before and after"
    assert delivery_of(document)["received_frames"] == 170


def test_a_crash_between_calls_loses_nothing(agent):
    call = Call(agent)
    call.initiated()
    call.hangup()
    document = agent.complete(call.leg)
    until("it on disk", lambda: agent.stored()[0]["status"] == document["status"])
    agent.kill()
    agent.start()
    assert agent.leg(call.leg) == document and not sidetone_of(document)["partial"]


def test_a_killed_agent_leaves_nothing_in_shared_memory(agent):
    """The MongoDB driver puts counters there as it is loaded."""
    pid = agent.process.pid
    agent.kill()
    assert [name for name in os.listdir("/dev/shm") if re.search(rf"(?<!\d){pid}(?!\d)", name)] == []


# ---- the good end


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_a_signal_in_mid_call_stores_it_as_partial(agent, number):
    call = Call(agent)
    call.answered()
    stream = call.stream().start().media(200)
    stream.sync()
    agent.signal(number)
    assert stream.closed() == 1001
    begin = time.monotonic()
    assert agent.process.wait(DEADLINE_S) == 0
    assert time.monotonic() - begin < 5
    agent.process = None
    document = agent.stored(call.id)
    assert sidetone_of(document)["partial"] and document["status"] == "answered" and "endedAt" not in document
    assert delivery_of(document)["received_frames"] == 200, "nothing is behind after a good end"
    agent.start()
    assert agent.leg(call.leg)["status"] == "answered"
    call.hangup()
    document = agent.complete(call.leg)
    assert document["status"] == "completed" and sidetone_of(document)["partial"]


def test_a_signal_with_nothing_to_do(agent):
    agent.stop()
    assert agent.logged(msg="drained") and not agent.logged(msg="stopped before everything was stored")


def test_a_signal_amid_open_connections(agent):
    idle = [socket.create_connection(("127.0.0.1", agent.public_port)) for _ in range(20)]
    for one in idle[:10]:
        one.sendall(b"POST /telnyx/webhooks HTTP/1.1\r\n")
    streams = [Call(agent).stream().start() for _ in range(5)]
    for stream in streams:
        stream.sync()
    agent.stop(within_s=5)
    for one in idle:
        one.close()


def test_a_signal_amid_looks_into_the_store(agent):
    """Look-ups run on threads of their own: some of them end when there is nobody left to be answered."""
    for _ in range(4):
        sockets = [socket.create_connection(("127.0.0.1", agent.admin_port)) for _ in range(40)]
        for asker in sockets:
            asker.sendall(b"GET /api/v1/calls/CALL_0_nobody HTTP/1.1\r\nHost: a\r\n\r\n")
        agent.stop()
        for asker in sockets:
            asker.close()
        agent.start()


def test_calls_while_serve_runs_and_after(agent):
    calls = [Call(agent) for _ in range(3)]
    for call in calls:
        call.initiated()
    calls[1].hangup("no_answer")
    agent.complete(calls[1].leg)
    running = until("three rows", lambda: (rows := agent.stored()) and len(rows) == 3 and
                    any(row["status"] == "no-answer" for row in rows) and rows)
    agent.stop()
    assert agent.stored() == running
    assert {row["callLogId"] for row in running} == {call.id for call in calls}
    assert [row["initiatedAt"] for row in running] == sorted((row["initiatedAt"] for row in running), reverse=True)


# ---- two of a kind


def start_another(*options):
    words = ["serve"]
    for option in options:
        words += ["-o", option]
    return sidetone(*words)


def test_a_second_serve_on_the_same_store(agent):
    done = start_another(f"store.dir={agent.store}", "listen.public=127.0.0.1:0", "listen.admin=127.0.0.1:0")
    assert done.returncode == 1
    assert str(agent.store) in done.stderr and "ready public=" not in done.stderr
    call = Call(agent)
    call.initiated()
    assert agent.leg(call.leg), "the first one goes on"


def test_a_store_is_free_again_after_a_crash(agent):
    agent.kill()
    agent.start()


@pytest.mark.parametrize("which", ("public", "admin"))
def test_an_address_in_use_is_named(agent, tmp_path, which):
    options = {"public": "127.0.0.1:0", "admin": "127.0.0.1:0", which: getattr(agent, which)}
    done = start_another(f"store.dir={tmp_path / 'other'}", *[f"listen.{k}={v}" for k, v in options.items()])
    assert done.returncode == 1
    assert getattr(agent, which) in done.stderr and "ready public=" not in done.stderr


def test_an_address_of_nobody_here_is_named(tmp_path):
    done = start_another(f"store.dir={tmp_path}", "listen.public=192.0.2.77:8480", "listen.admin=127.0.0.1:0")
    assert done.returncode == 1 and "192.0.2.77:8480" in done.stderr


def test_a_store_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = start_another(f"store.dir={tmp_path / 'file'}", "listen.public=127.0.0.1:0", "listen.admin=127.0.0.1:0")
    assert done.returncode == 1 and str(tmp_path / "file") in done.stderr


def test_it_listens_on_the_configured_address_only(agent):
    """127.0.0.2 is this machine too, but not what was configured."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", agent.public_port), timeout=DEADLINE_S)


# ---- SIGHUP


def config_text(*keys, level="info"):
    return f"[telnyx]\npublic_key = {' '.join(key.public_key for key in keys)}\n[log]\nlevel = {level}\n"


def test_sighup_reloads_the_keys_and_drops_no_call(make_agent, tmp_path):
    old, new = Signer(), Signer()
    config = tmp_path / "sidetone.conf"
    config.write_text(config_text(old))
    agent = make_agent(config=config)
    agent.signer = old
    call = Call(agent)
    call.answered()
    stream = call.stream().start().media(60)
    config.write_text(config_text(new))
    agent.signal(signal.SIGHUP)
    until("the reload", lambda: agent.logged(msg="configuration reloaded"))
    assert agent.webhook(call.event("call.bridged")).status_code == 401
    agent.signer = new
    stream.media(40).end()
    call.hangup()
    assert delivery_of(agent.complete(call.leg))["received_frames"] == 100


def test_sighup_with_a_bad_file_changes_nothing(make_agent, tmp_path):
    key = Signer()
    config = tmp_path / "sidetone.conf"
    config.write_text(config_text(key))
    agent = make_agent(config=config)
    agent.signer = key
    config.write_text(config_text(key) + "loud = yes\n")
    agent.signal(signal.SIGHUP)
    lines = until("the refusal", lambda: agent.logged(level="error", msg="configuration not reloaded"))
    assert f"{config}:5" in lines[0]["why"] and "loud" in lines[0]["why"]
    Call(agent).initiated()


def test_sighup_changes_the_log_level(make_agent, tmp_path):
    key = Signer()
    config = tmp_path / "sidetone.conf"
    config.write_text(config_text(key))
    agent = make_agent(config=config)
    agent.signer = key
    Call(agent).initiated()
    until("its line", lambda: len(agent.logged(msg="webhook")) == 1)
    config.write_text(config_text(key, level="error"))
    agent.signal(signal.SIGHUP)
    call = Call(agent)
    until("a quiet log", lambda: quiet(agent, call))


def quiet(agent, call):
    """True once a webhook leaves no line."""
    before = len(agent.logged(msg="webhook"))
    call.tell("call.dtmf.received", digit="1")
    agent.get("/livez")  # the line is written after the answer, before the loop's next request
    return len(agent.logged(msg="webhook")) == before


def test_the_log_is_json_off_a_terminal_and_logfmt_when_asked(make_agent, signer):
    agent = make_agent("log.format=logfmt", signer=signer)
    Call(agent).initiated()
    assert agent.log_lines() == []

    def written():
        return any(line.startswith("call=CALL_0_") and " msg=webhook" in line for line in agent.log_text().splitlines())

    until("its line", written)
