"""Promises of the contract that belong to no other file here."""
import resource

import pytest

from fake_telnyx import Call
from harness import FIXTURES, sidetone, until

CALL = FIXTURES / "demo/call.wav"


def test_frames_or_segments_not_both():
    done = sidetone("analyze", "--frames", "--segments", CALL)
    assert done.returncode == 2 and "--segments" in done.stderr and done.stdout == ""


def test_a_file_that_is_no_sound_leaves_standard_output_empty():
    for output in ("--frames", "--segments"):
        done = sidetone("analyze", output, FIXTURES / "README.md")
        assert done.returncode == 1 and done.stdout == ""


def test_segments_of_a_file_have_their_head_once():
    lines = sidetone("analyze", "--segments", CALL).stdout.splitlines()
    assert lines[0] == "track,start_ms,end_ms,kind" and len(lines) > 10
    assert all(line.split(",")[0] in ("inbound", "outbound") for line in lines[1:])


def test_a_row_of_calls_is_a_row_whatever_a_number_is(agent):
    call = Call(agent)
    call.tell("call.initiated", **{"direction": "incoming", "from": "sip:a\tb\nc@host", "start_time": call.start_time})
    call.hangup(**{"from": "sip:a\tb\nc@host"})
    agent.complete(call.leg)
    rows = until("the stored row", agent.stored)
    assert len(rows) == 1 and len(rows[0]) == 8 and rows[0]["from"] == "sip:a b c@host"


def test_a_full_disk_is_503_and_ends_nothing(agent):
    """A limit on the size of files stands for it."""
    call = Call(agent)
    first = call.initiated()
    unlimited = resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (1024, unlimited[1]))
    refused = call.event("call.answered")
    assert agent.webhook(refused).status_code == 503
    assert agent.webhook(first).status_code == 200, "what is there already stays acknowledged"
    ready = agent.get("/readyz")
    reason = ready.json()["reasons"][0]
    assert ready.status_code == 503 and ready.json()["status"] == "unready"
    assert reason["part"] == "store" and reason["text"] and reason["since"].endswith("Z")
    assert agent.get("/livez").status_code == 200
    stream = call.stream().start().media(100)
    stream.sync()
    assert until("live figures", lambda: [c for c in agent.live() if "loss_pct" in c])
    assert agent.get("/readyz").json()["reasons"][0]["since"] == reason["since"]
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, unlimited)
    until("the store again", lambda: agent.get("/readyz").status_code == 200)
    assert agent.webhook(refused).status_code == 200
    stream.end()
    call.hangup()
    assert agent.complete(call.leg)["status"] == "completed"


def test_every_line_of_a_call_has_its_id(agent):
    call = Call(agent)
    call.initiated()
    call.tell("call.new.thing")
    stream = call.stream().start().media(60).stop()
    stream.send("no frame")
    stream.sync()
    stream.close()
    until("the end of the socket", lambda: agent.logged(msg="media socket gone"))
    for said in ("unknown event kept", "stream started", "unusable media frame", "media socket gone"):
        assert agent.logged(msg=said, call=call.id), said
    other = Call(agent)
    other.stream().start(encoding="SILK").sync()
    assert until("the codec", lambda: agent.logged(kind="codec"))[0]["call"] in (other.leg, other.id)


@pytest.mark.parametrize("numbers, number", (("no", "+*********01"), ("yes", "+15550100001")))
def test_a_number_is_whole_in_the_log_only_when_asked_for(make_agent, signer, numbers, number):
    agent = make_agent(f"log.numbers={numbers}", signer=signer)
    call = Call(agent)
    call.initiated()
    call.answered()
    call.hangup()
    agent.complete(call.leg)
    assert until("its end", lambda: agent.logged(msg="call ended", call=call.id))[0]["from"] == number
    assert ("+15550100001" in agent.log_text()) == (numbers == "yes")
