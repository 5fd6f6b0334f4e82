"""sidetone replay --to: fixtures played at a real agent over real sockets (contract 1)."""
import datetime
import json
import time

import pytest

from harness import FIXTURES, Signer, delivery_of, sidetone, sidetone_of, until
from secure import TlsAgent, make_certificate


@pytest.fixture
def key_file(tmp_path, signer):
    file = tmp_path / "seed"
    file.write_text(signer.seed + "\n")
    return file


def play(agent, key_file, *fixtures, words=("--speed", "max", "--fresh"), status=0):
    folders = [FIXTURES / name for name in fixtures]
    done = sidetone("replay", "--to", f"http://{agent.public}", "--sign-key", key_file, *words, *folders)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    return done.stderr


def expected(name):
    return [json.loads(line) for line in (FIXTURES / name / "expect.jsonl").read_text().splitlines()]


def all_complete(agent, count):
    """Every CallLog once `count` of them are finished; by start."""
    def look():
        documents = [agent.call(row["callLogId"]) for row in agent.stored()]
        finished = [d for d in documents if d and sidetone_of(d)["complete"]]
        return finished if len(finished) == count else None
    return sorted(until(f"{count} finished calls", look), key=lambda d: d["initiatedAt"]["$date"])


def ledger(document):
    """What does not hang on arrival times, which --speed max makes new."""
    delivery = sidetone_of(document).get("quality", {}).get("delivery", {})
    names = ("codec", "expected_frames", "received_frames", "missing_frames", "duplicate_frames", "reordered_frames")
    return {track: {name: figures[name] for name in names} for track, figures in delivery.items()}


SAME = ("status", "direction", "hangupCause", "hangupSource", "answerState", "from", "to", "tags", "duration", "callType")

FINISHED = ("clean-outbound", "random-loss", "reordering", "late-pcma", "format-change", "hangup-first", "no-answer",
            "busy", "cancelled", "machine", "dtmf", "reconnect", "two-legs", "one-track", "l16", "bad-input",
            "telephone-sample")


@pytest.mark.parametrize("name", FINISHED)
def test_a_fixture_over_sockets_gives_its_golden_call(make_agent, signer, key_file, name):
    options = FIXTURES / name / "options"
    words = options.read_text().split() if options.exists() else []
    agent = make_agent(*[word for word in words if word != "-o"], signer=signer)
    play(agent, key_file, name)
    wanted = sorted(expected(name), key=lambda d: d["initiatedAt"]["$date"])
    for document, golden in zip(all_complete(agent, len(wanted)), wanted):
        assert {k: document.get(k) for k in SAME} == {k: golden.get(k) for k in SAME}
        assert ledger(document) == ledger(golden)
        assert [k["digit"] for k in document["dtmfInputs"]] == [k["digit"] for k in golden["dtmfInputs"]]
        assert [e["eventType"] for e in document["events"]] == [e["eventType"] for e in golden["events"]]
        if name == "clean-outbound":
            heard, told = sidetone_of(document)["speech"], sidetone_of(golden)["speech"]
            for party in ("agent", "lead"):
                assert heard[party]["talk_ms"] == told[party]["talk_ms"]


def test_the_pace_is_the_recorded_one_scaled(agent, key_file):
    last_s = json.loads((FIXTURES / "clean-outbound/events.jsonl").read_text().splitlines()[-1])["t"]
    begin = time.monotonic()
    play(agent, key_file, "clean-outbound", words=("--speed", "8", "--fresh"))
    took_s = time.monotonic() - begin
    assert last_s / 8 - 0.1 <= took_s < last_s / 8 + 5
    document = all_complete(agent, 1)[0]
    assert delivery_of(document)["missing_frames"] == 0


def test_fresh_can_be_played_again_and_again(agent, key_file):
    for _ in range(3):
        play(agent, key_file, "clean-outbound")
    documents = all_complete(agent, 3)
    golden = expected("clean-outbound")[0]
    for name in ("callControlId", "callSessionId", "callLegId"):
        values = {d["telnyx"][name] for d in documents}
        assert len(values) == 3 and golden["telnyx"][name] not in values
    assert len({d["callLogId"] for d in documents}) == 3 and golden["callLogId"] not in {d["callLogId"] for d in documents}
    assert {d["leadId"]["$oid"] for d in documents} == {golden["leadId"]["$oid"]}
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 0


def test_without_fresh_the_second_time_is_a_duplicate(agent, key_file):
    for _ in range(2):
        play(agent, key_file, "busy", words=("--speed", "max"))
    document = all_complete(agent, 1)[0]
    golden = expected("busy")[0]
    assert document["callLogId"] == golden["callLogId"]
    assert document["telnyx"]["callControlId"] == golden["telnyx"]["callControlId"]
    events = len(golden["telnyx"]["webhookEvents"])
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == events
    assert agent.metric("sidetone_webhooks_total", result="accepted") == events


def test_times_are_moved_to_now(agent, key_file):
    begin_s = time.time()
    play(agent, key_file, "busy")
    [row] = until("the ended call", lambda: [row for row in agent.stored() if row["total_s"]])
    at_s = datetime.datetime.fromisoformat(row["initiatedAt"].replace("Z", "+00:00")).timestamp()
    assert begin_s - 60 < at_s < time.time() + 60
    assert row["total_s"] == str(expected("busy")[0]["duration"]["total"])


def test_another_key_is_refused_and_told(agent, tmp_path):
    file = tmp_path / "other"
    file.write_text(Signer().seed)
    assert "401" in play(agent, file, "busy", status=1)
    assert agent.stored() == []


def test_no_key_is_refused_too(agent):
    done = sidetone("replay", "--to", f"http://{agent.public}", "--speed", "max", FIXTURES / "busy")
    assert done.returncode == 1 and "401" in done.stderr


def test_nobody_there(key_file, agent):
    address = agent.public
    agent.stop()
    done = sidetone("replay", "--to", f"http://{address}", "--sign-key", key_file, "--speed", "max", FIXTURES / "busy")
    assert done.returncode == 1 and address in done.stderr


@pytest.mark.parametrize("token, status", (("t0ken", 0), ("wrong", 1)))
def test_headers_of_the_handshake_are_sent_and_a_refusal_is_told(make_agent, signer, key_file, tmp_path, token, status):
    agent = make_agent("telnyx.stream_token=t0ken", signer=signer)
    start = {"event": "start", "stream_id": "s", "sequence_number": "1", "start": {
        "call_control_id": "v3:with a token", "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}}
    opened = {"path": "/telnyx/media", "headers": {"x-telnyx-streaming-auth-token": token}}
    lines = [{"sidetone_fixture": 1, "about": "a", "source": "b", "licence": "CC0-1.0"},
             {"t": 0, "ws": "a", "open": opened}, {"t": 0.1, "ws": "a", "text": json.dumps(start)},
             {"t": 0.2, "ws": "a", "close": 1000}]
    fixture = tmp_path / "token.jsonl"
    fixture.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = sidetone("replay", "--to", f"http://{agent.public}", "--sign-key", key_file, "--speed", "max", fixture)
    assert done.returncode == status and ("401" in done.stderr) == (status == 1), done.stderr
    if status == 0:
        until("the leg", lambda: agent.leg("v3:with a token"))
    else:
        assert agent.leg("v3:with a token") is None


@pytest.mark.parametrize("url", ("http://", "http://127.0.0.1:99999", "http://127.0.0.1:port"))
def test_a_url_that_is_none(url, key_file):
    done = sidetone("replay", "--to", url, "--sign-key", key_file, "--speed", "max", FIXTURES / "busy")
    assert done.returncode in (1, 2) and url in done.stderr, done.stderr


def test_over_tls(tmp_path, signer, key_file):
    certificate, key = make_certificate(tmp_path)
    agent = TlsAgent(tmp_path, f"listen.tls_certificate={certificate}", f"listen.tls_private_key={key}", signer=signer)
    agent.certificate = certificate
    agent.start()
    done = sidetone("replay", "--to", f"https://{agent.public}", "--sign-key", key_file, "--speed", "max", "--fresh",
                    FIXTURES / "clean-outbound")
    assert done.returncode == 0, done.stderr
    assert ledger(all_complete(agent, 1)[0]) == ledger(expected("clean-outbound")[0])
    agent.finish()
