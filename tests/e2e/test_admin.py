"""The admin listener: health, metrics, the calls (contract 3, 5 and 7)."""
import base64
import re
import time

import pytest

from fake_telnyx import Call, mulaw_tracks
from harness import call_log_id, sidetone, sidetone_of, until
from wire import request

LIVE_NAMES = {"callLogId", "status", "direction", "from", "to", "duration_ms", "mos", "jitter_ms", "loss_pct",
              "agent_talk_ms", "lead_talk_ms", "talk_ratio", "silence_ms", "overlap_ms", "interruptions_agent",
              "interruptions_lead", "speaking", "updated_at"}


def listen(stream, seconds, start_s=0):
    """Sound of both parties, faster than it is spoken."""
    sound = mulaw_tracks()
    for i in range(int(start_s * 50), int((start_s + seconds) * 50)):
        stream.send(*[stream.frame(sound[track](i), track) for track in sound])
    stream.sync()


def only_call(agent):
    calls = agent.live()
    assert len(calls) == 1, calls
    return calls[0]


# ---- health


def test_probes(agent):
    answer = agent.get("/livez")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    answer = agent.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"status": "ready", "reasons": []}


@pytest.mark.parametrize("path", ("/livez", "/readyz", "/metrics", "/api/v1/calls"))
def test_head_and_other_methods(shared_agent, path):
    answer = request(shared_agent.admin, "HEAD", path)
    assert (answer.status, answer.body) == (200, b"") and int(answer.headers["content-length"]) > 0
    answer = request(shared_agent.admin, "POST", path, body=b"{}")
    assert answer.status == 405 and set(re.split(r",\s*", answer.headers["allow"])) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ("/nothing", "/api", "/api/v1", "/api/v1/callsX", "/telnyx/webhooks", "/livez/"))
def test_everything_else_is_404(shared_agent, path):
    assert request(shared_agent.admin, "GET", path).status == 404


# ---- metrics

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? '
                    r"(-?[0-9.]+(?:e[+-]?[0-9]+)?|\+Inf|NaN)$")
PROMISED = {
    "sidetone_build_info": "gauge", "sidetone_calls_live": "gauge", "sidetone_calls_finished_total": "counter",
    "sidetone_streams_open": "gauge", "sidetone_media_frames_total": "counter",
    "sidetone_media_frames_missing_total": "counter", "sidetone_media_parse_errors_total": "counter",
    "sidetone_webhooks_total": "counter", "sidetone_webhook_ack_seconds": "histogram",
    "sidetone_frame_to_metric_seconds": "histogram", "sidetone_loop_lag_seconds": "gauge",
    "sidetone_store_commits_total": "counter", "sidetone_store_fsync_seconds": None,
    "sidetone_store_quarantined_total": "counter", "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
}
RESULTS = {
    "sidetone_media_frames_total": ("ok", "duplicate", "reordered", "late", "ignored", "before_start"),
    "sidetone_webhooks_total": ("accepted", "duplicate", "unsigned", "bad_request", "too_large", "timeout",
                                "unavailable", "unknown_event"),
}


def test_metrics_are_prometheus_text_with_the_promised_names(agent):
    call = Call(agent)
    call.initiated()
    listen(call.stream().start(), 2)
    text = agent.get("/metrics").text
    types = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} twice"
            types[name] = kind
        elif not line.startswith("# HELP "):
            name = SAMPLE.match(line)
            assert name, line
            family = re.sub(r"_(bucket|sum|count)$", "", name.group(1))
            assert name.group(1) in types or family in types, f"{line}: no TYPE before it"
    assert text.endswith("\n")
    for name, kind in PROMISED.items():
        assert name in types and kind in (None, types[name]), name
    metrics = agent.metrics()
    for name, results in RESULTS.items():
        shown = {key for key in metrics if key.startswith(name + "{")}
        assert shown == {f'{name}{{result="{result}"}}' for result in results}
    version = sidetone("--version").stdout.split()[1]
    assert metrics[f'sidetone_build_info{{version="{version}"}}'] == 1


def test_histograms_add_up(agent):
    begin = time.monotonic()
    for _ in range(5):
        Call(agent).initiated()
    took_s = time.monotonic() - begin
    rows = [(k, v) for k, v in agent.metrics().items() if k.startswith("sidetone_webhook_ack_seconds")]
    buckets = [v for k, v in rows if "_bucket" in k]
    assert buckets == sorted(buckets) and buckets[-1] == 5 == dict(rows)["sidetone_webhook_ack_seconds_count"]
    assert 0 < dict(rows)["sidetone_webhook_ack_seconds_sum"] < took_s, "each lies within its request"


def test_the_store_commits(agent):
    before = agent.metric("sidetone_store_commits_total")
    Call(agent).initiated()
    until("a commit", lambda: agent.metric("sidetone_store_commits_total") > before)
    assert agent.metric("sidetone_store_fsync_seconds_count") > 0


# ---- calls


def test_no_calls(agent):
    assert agent.live() == []
    answer = agent.get("/api/v1/calls/CALL_0_nobody")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_live_figures_move_while_media_flows(agent):
    call = Call(agent)
    call.initiated()
    ringing = only_call(agent)
    assert (ringing["status"], ringing["direction"], ringing["speaking"]) == ("initiated", "inbound", "none")
    assert not {"mos", "agent_talk_ms", "jitter_ms"} & set(ringing), "a figure not known is absent"
    call.answered()
    stream = call.stream().start()
    listen(stream, 6)
    early = only_call(agent)
    assert early["status"] == "answered" and early["callLogId"] == call.id
    listen(stream, 14, 6)
    later = only_call(agent)
    assert set(later) <= LIVE_NAMES
    assert {"mos", "loss_pct", "jitter_ms", "agent_talk_ms", "lead_talk_ms", "silence_ms", "overlap_ms"} <= set(later)
    assert later["agent_talk_ms"] + later["lead_talk_ms"] > early["agent_talk_ms"] + early["lead_talk_ms"] > 0
    assert later["duration_ms"] >= early["duration_ms"] and later["updated_at"] >= early["updated_at"]
    assert later["loss_pct"] == 0 and later["speaking"] in ("agent", "lead", "both", "none")
    document = agent.call(call.id)
    assert document["quality"]["mos"] == later["mos"] and sidetone_of(document)["partial"]
    stream.end()
    call.hangup()
    until("no live call", lambda: agent.live() == [])


def test_loss_shows_live(agent):
    call = Call(agent)
    stream = call.stream().start()
    frames = stream.frames(200)
    del frames[50:60]
    stream.send(*frames)
    stream.sync()
    assert only_call(agent)["loss_pct"] == 5
    stream.close()


def test_who_speaks_is_a_matter_of_the_party(make_agent, signer):
    shares = {}
    for party in ("inbound=lead", "inbound=agent"):
        agent = make_agent(f"calls.party={party}", signer=signer)
        call = Call(agent)
        listen(call.stream().start(), 12)
        row = only_call(agent)
        shares[party] = row["agent_talk_ms"], row["lead_talk_ms"]
    assert shares["inbound=lead"] == tuple(reversed(shares["inbound=agent"]))
    assert shares["inbound=lead"][0] != shares["inbound=lead"][1]


def test_one_call_live_and_stored(agent):
    call = Call(agent)
    call.initiated()
    assert agent.call(call.id)["status"] == "initiated"
    call.hangup("user_busy")
    document = agent.complete(call.leg)
    assert document["status"] == "busy"
    agent.stop()
    agent.start()
    stored = agent.call(call.id)
    assert stored == document == agent.stored(call.id)
    assert agent.live() == [] and agent.metric("sidetone_calls_live") == 0


def test_an_id_from_client_state_names_the_call(agent):
    state = base64.b64encode(b'{"callLogId":"CALL_42_ours","leadId":"66f0a1b2c3d4e5f601234567"}').decode()
    call = Call(agent, client_state=state)
    call.initiated()
    document = agent.call("CALL_42_ours")
    assert document["leadId"] == {"$oid": "66f0a1b2c3d4e5f601234567"} and "no-lead" not in document["tags"]
    assert agent.call(call_log_id(call.leg)) is None
    assert only_call(agent)["callLogId"] == "CALL_42_ours"


# ---- the token


def test_admin_token(make_agent, signer):
    agent = make_agent("admin.token=s3cret-for-tests", signer=signer)
    for path in ("/livez", "/readyz"):
        assert agent.get(path).status_code == 200
    for path in ("/metrics", "/api/v1/calls", "/api/v1/calls/x", "/nothing"):
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret-for-tests"},
                       {"Authorization": "Basic s3cret-for-tests"}, {"Authorization": "Bearer s3cret-for-testsX"}):
            assert agent.get(path, headers=header).status_code == 401, (path, header)
    good = {"Authorization": "Bearer s3cret-for-tests"}
    assert agent.get("/metrics", headers=good).status_code == 200
    assert agent.get("/api/v1/calls", headers=good).json() == []
    assert agent.get("/nothing", headers=good).status_code == 404
    assert "s3cret-for-tests" not in agent.log_text()


def test_off_loopback_needs_a_token():
    done = sidetone("serve", "-o", "listen.admin=0.0.0.0:0")
    assert done.returncode == 2
    assert "listen.admin" in done.stderr and "admin.token" in done.stderr
