"""Media streams: what arrives becomes figures of the CallLog (telnyx-protocol.md 1, contract 3 and 4)."""
import json
import random
import time
import warnings

import pytest

from fake_telnyx import Call, event, mulaw_tracks, now
from harness import delivery_of, event_ids, sidetone_of, until
from wire import TEXT, Socket, frame

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Debian 12's Python has it
    import audioop

SECONDS = 10  # of sound, where it matters what is heard


def frames_metric(agent, result):
    return agent.metric("sidetone_media_frames_total", result=result)


def ended(agent, call):
    call.hangup()
    return agent.complete(call.leg)


# ---- a whole call


def test_an_inbound_call_in_real_time(agent):
    call = Call(agent)
    call.initiated()
    call.answered()
    stream = call.stream().connected().start()
    call.tell("streaming.started", stream_url="wss://edge.example.net/telnyx/media")
    assert agent.metric("sidetone_streams_open") == 1
    assert agent.metric("sidetone_calls_live") == 1
    stream.play(mulaw_tracks(), 6).end()
    call.tell("streaming.stopped", stream_url="wss://edge.example.net/telnyx/media")
    stats = {"inbound": {"mos": "4.47", "packet_count": "300", "skip_packet_count": "1"}}
    call.hangup(call_quality_stats=stats)
    document = agent.complete(call.leg)
    assert (document["status"], document["direction"]) == ("completed", "inbound")
    assert (document["from"]["number"], document["to"]["number"]) == ("+15550100001", "+15550100002")
    assert document["telnyx"]["callSessionId"] == call.session
    for track in ("inbound", "outbound"):
        figures = delivery_of(document, track)
        assert (figures["expected_frames"], figures["received_frames"], figures["missing_frames"]) == (300, 300, 0)
        assert (figures["chunk_scope"], figures["ts_unit"], figures["ptime_ms"]) == ("per_track", "ms", 20)
        said = agent.logged(msg="time base found", track=track)
        assert [(line["call"], line["chunk_scope"], line["ts_unit"], line["ptime_ms"]) for line in said] == [
            (document["callLogId"], "per_track", "ms", 20)]
    # How near to the 4.4 of the golden call hangs on how even this machine lets us send.
    figures = delivery_of(document)
    assert 1 <= document["quality"]["mos"] == figures.get("mos_cqe", figures["mos_lqe"]) <= figures["mos_lqe"] <= 4.41
    assert document["quality"]["audio"]["packetLoss"] == 0
    speech = sidetone_of(document)["speech"]
    assert speech["basis"] == "two-track" and abs(speech["duration_ms"] - 6000) <= 40
    talked = speech["agent"]["talk_ms"] + speech["lead"]["talk_ms"]
    assert talked > 500 and talked - speech["overlap_ms"] + speech["silence_ms"] == pytest.approx(speech["duration_ms"])
    assert sidetone_of(document)["quality"]["carrier"] == {
        **stats, "empty_period_share": 0.0033, "source": "telnyx.call_quality_stats",
        "absent": {"spacing_std_ms": "no_variance"}}
    assert not sidetone_of(document)["partial"] and "no-lead" in document["tags"]
    assert frames_metric(agent, "ok") == 600
    assert agent.metric("sidetone_streams_open") == 0 and agent.metric("sidetone_calls_live") == 0
    until("counted", lambda: agent.metric("sidetone_calls_finished_total", outcome="completed") == 1)
    assert agent.stored(call.id)["quality"] == document["quality"]


def test_numbers_as_numbers_are_the_same_as_texts(agent):
    figures = []
    for numbers in (False, True):
        call = Call(agent)
        call.stream().start(numbers=numbers).media(60, ("inbound", "outbound"), numbers=numbers).end()
        inbound = delivery_of(ended(agent, call))
        figures.append({k: inbound[k] for k in ("expected_frames", "missing_frames", "chunk_scope", "ts_unit", "ptime_ms")})
    assert figures[0] == figures[1]
    assert figures[0] == {"expected_frames": 60, "missing_frames": 0, "chunk_scope": "per_track", "ts_unit": "ms",
                          "ptime_ms": 20}


# ---- order


def test_missing_doubled_and_reordered_frames_are_told_apart(agent):
    call = Call(agent)
    stream = call.stream().start()
    frames = stream.frames(200)
    frames[10], frames[11] = frames[11], frames[10]  # reordered by one
    frames[40:44] = frames[41:44] + [frames[40]]  # by three
    frames.insert(60, frames[59])  # doubled
    frames.insert(90, frames[80])  # doubled, later
    del frames[120:127]  # lost in a run
    del frames[150]  # and alone
    stream.send(*frames)
    stream.end()
    figures = delivery_of(ended(agent, call))
    got = {name: figures[f"{name}_frames"] for name in ("expected", "received", "missing", "duplicate", "reordered",
                                                        "max_reorder", "late")}
    assert got == {"expected": 200, "received": 192, "missing": 8, "duplicate": 2, "reordered": 2, "max_reorder": 3,
                   "late": 0}
    assert figures["loss_pct"] == 4 and figures["restarts"] == 0
    assert (frames_metric(agent, "duplicate"), frames_metric(agent, "reordered")) == (2, 2)
    assert agent.metric("sidetone_media_frames_missing_total") == 8


def test_a_frame_after_it_was_declared_missing_is_late(agent):
    call = Call(agent)
    stream = call.stream().start()
    frames = stream.frames(150)
    frames.insert(120, frames.pop(20))  # 100 behind the highest: more than H = 50
    stream.send(*frames)
    stream.end()
    figures = delivery_of(ended(agent, call))
    assert (figures["late_frames"], figures["missing_frames"], figures["reordered_frames"]) == (1, 0, 0)


def test_a_frame_that_a_second_has_declared_missing_is_late(agent):
    call = Call(agent)
    stream = call.stream().start()
    frames = stream.frames(100)
    held = frames.pop(70)
    stream.send(*frames[:80])
    stream.sync()
    second = time.monotonic() + 1
    until("a second to pass", lambda: time.monotonic() > second)
    stream.send(held, *frames[80:])
    stream.end()
    figures = delivery_of(ended(agent, call))
    assert (figures["late_frames"], figures["missing_frames"], figures["reordered_frames"]) == (1, 0, 0)
    assert frames_metric(agent, "late") == 1


def test_any_order_gives_the_same_loss(agent):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    call = Call(agent)
    stream = call.stream().start()
    frames = stream.frames(400)
    kept = [(i + dice.uniform(0, 8), f) for i, f in enumerate(frames) if not 0 < i < 399 or dice.random() > 0.1]
    kept[0], kept[-1] = (-1, kept[0][1]), (1000, kept[-1][1])
    stream.send(*[f for _, f in sorted(kept, key=lambda pair: pair[0])])
    stream.end()
    figures = delivery_of(ended(agent, call))
    assert (figures["expected_frames"], figures["missing_frames"]) == (400, 400 - len(kept))
    assert figures["reordered_frames"] > 0


# ---- sizes and codecs


@pytest.mark.parametrize("size", (80, 160, 240, 320, 792))
def test_payload_sizes(agent, size):
    call = Call(agent)
    stream = call.stream().start()
    stream.media(60, ("inbound", "outbound"), payload=b"\xff" * size, ptime_ms=size // 8).end()
    document = ended(agent, call)
    figures = delivery_of(document)
    assert (figures["expected_frames"], figures["ptime_ms"], figures["ts_unit"]) == (60, size // 8, "ms")
    assert document["quality"]["network"]["bytesReceived"] == 60 * size
    assert abs(sidetone_of(document)["speech"]["duration_ms"] - 60 * size / 8) <= 20


def test_payloads_of_a_byte_and_of_64_kib(agent):
    call = Call(agent)
    stream = call.stream().start()
    stream.send(stream.frame(b"\xff"), stream.frame(b"\xff" * 65536))
    stream.end()
    document = ended(agent, call)
    assert document["quality"]["network"]["bytesReceived"] == 65537
    assert agent.metric("sidetone_media_parse_errors_total", kind="too_large") == 0


CODERS = {"PCMU": lambda raw: raw, "PCMA": lambda raw: audioop.lin2alaw(audioop.ulaw2lin(raw, 2), 2),
          "L16": lambda raw: audioop.ulaw2lin(raw, 2)}


def test_the_same_sound_in_each_codec_is_the_same_speech(agent):
    talked = {}
    for encoding, coder in CODERS.items():
        call = Call(agent)
        stream = call.stream().start(encoding)
        sound = mulaw_tracks()
        for i in range(SECONDS * 50):
            stream.send(*[stream.frame(coder(sound[track](i)), track) for track in sound])
        stream.end()
        document = ended(agent, call)
        assert document["quality"]["audio"]["codec"] == encoding
        assert "mos" in document["quality"], encoding
        speech = sidetone_of(document)["speech"]
        talked[encoding] = speech["agent"]["talk_ms"], speech["lead"]["talk_ms"]
    assert sum(talked["PCMU"]) > 2000
    for encoding in ("PCMA", "L16"):
        assert talked[encoding] == pytest.approx(talked["PCMU"], abs=200), talked


# The head of a payload tells the mode: Opus hybrid, super-wideband, 20 ms; AMR-WB 23.85, bandwidth-efficient.
@pytest.mark.parametrize("encoding, rate, head, size, mos, scale, basis", (
    ("G722", 8000, b"", 160, 4.34, "wb", "assumed"), ("L16", 16000, b"", 640, 4.5, "wb", "assumed"),
    ("OPUS", 16000, b"\x68", 80, 4.21, "fb", "assumed"), ("AMR-WB", 16000, b"\xf4\x40", 61, 4.39, "wb", "assumed")))
def test_codecs_that_are_not_heard_are_rated_by_their_frames(agent, encoding, rate, head, size, mos, scale, basis):
    call = Call(agent)
    call.stream().start(encoding, rate).media(300, payload=head + b"\x5a" * (size - len(head))).end()
    document = ended(agent, call)
    figures = delivery_of(document)
    assert (figures["expected_frames"], figures["missing_frames"]) == (300, 0)
    assert document["quality"]["mos"] == figures["mos_lqe"] == pytest.approx(mos, abs=0.011)
    assert (figures["scale"], figures["ie_basis"], figures["upstream_bad_frames"]) == (scale, basis, 0)


def test_frames_damaged_before_they_reached_the_carrier_are_bad(agent):
    call = Call(agent)
    good, damaged = b"\xf1\x40" + b"\x5a" * 31, b"\xf1\x00" + b"\x5a" * 31  # 12.65; the Q bit
    stream = call.stream().start("AMR-WB", 16000)
    stream.media(290, payload=good).media(10, payload=damaged).media(200, payload=good).end()
    figures = delivery_of(ended(agent, call))
    assert (figures["missing_frames"], figures["upstream_bad_frames"]) == (0, 10)
    assert figures["ppl_pct"] == pytest.approx(2, abs=0.001)


def test_a_codec_nobody_knows_is_counted_and_ignored(agent):
    call = Call(agent)
    stream = call.stream().start("SPEEX", 8000).media(50)
    stream.end()
    document = ended(agent, call)
    assert agent.metric("sidetone_media_parse_errors_total", kind="codec") == 1
    assert frames_metric(agent, "ignored") == 50
    assert "mos" not in document.get("quality", {})
    assert agent.logged(msg="unusable media frame", leg=call.leg)


def test_a_second_start_changes_the_format(agent):
    call = Call(agent)
    call.stream().start("PCMU").media(60).start("PCMA").media(40).end()
    figures = delivery_of(ended(agent, call))
    assert (figures["received_frames"], figures["missing_frames"], figures["codec"]) == (100, 0, "PCMA")


# ---- start, stop, close


def test_media_before_start_is_held_and_decoded(agent):
    call = Call(agent)
    call.stream().connected().media(30, ("inbound", "outbound")).start().media(30, ("inbound", "outbound")).end()
    document = ended(agent, call)
    for track in ("inbound", "outbound"):
        assert (delivery_of(document, track)["received_frames"], delivery_of(document, track)["missing_frames"]) == (60, 0)
    assert frames_metric(agent, "before_start") == 0


def test_media_that_never_sees_a_start_is_dropped_and_counted(agent):
    call = Call(agent)
    call.stream().connected().media(30).end()
    until("the frames counted", lambda: frames_metric(agent, "before_start") == 30)
    assert agent.leg(call.leg) is None


@pytest.mark.parametrize("how", ("stop", "close", "close without a code", "drop"))
def test_however_a_stream_ends_its_figures_stay(agent, how):
    call = Call(agent)
    call.answered()
    stream = call.stream().start().media(80)
    stream.sync()
    {"stop": stream.end, "close": stream.close, "close without a code": stream.close_without_code,
     "drop": stream.drop}[how]()
    document = ended(agent, call)
    assert delivery_of(document)["received_frames"] == 80
    assert document["status"] == "completed" and not sidetone_of(document)["partial"]


def test_sockets_have_5_s_after_the_hang_up(agent):
    call = Call(agent)
    stream = call.stream().start().media(50)
    stream.sync()
    call.hangup()
    stream.media(25)
    assert stream.closed(9) == 1000
    document = agent.complete(call.leg)
    assert delivery_of(document)["received_frames"] == 75
    assert document["status"] == "completed"


def test_the_second_socket_of_a_leg_wins(agent):
    call = Call(agent)
    call.answered()
    with Socket(agent.public) as older:
        first = call.stream(connect=False)  # makes the frames only
        texts = [frame(TEXT, json.dumps(f).encode()) for f in (first.started(), *first.frames(60))]
        older.send(b"".join(texts))
        until("60 frames of the older", lambda: (d := agent.leg(call.leg)) and "quality" in sidetone_of(d) and
              delivery_of(d)["received_frames"] == 60)
        newer = call.stream().start().media(60)
        newer.sync()
        older.send(b"".join(texts[1:]))
        assert older.close_code() == 1000
        until("what came on the older is ignored", lambda: frames_metric(agent, "ignored") == 60)
    newer.end()
    document = ended(agent, call)
    assert delivery_of(document)["received_frames"] == 120
    assert len(sidetone_of(document)["media"]) == 2
    assert frames_metric(agent, "ok") == 120


def test_two_legs_of_one_session(agent):
    one = Call(agent)
    two = Call(agent, session=one.session, direction="outgoing")
    streams = []
    for call, frames in ((one, 50), (two, 70)):
        call.initiated()
        call.answered()
        call.tell("call.bridged")
        streams.append((call, call.stream().start(), frames))
    for i in range(70):
        for _, stream, frames in streams:
            if i < frames:
                stream.media(1)
    for call, stream, frames in streams:
        stream.end()
        document = ended(agent, call)
        assert delivery_of(document)["received_frames"] == frames
        assert document["telnyx"]["callSessionId"] == one.session and document["status"] == "completed"
    assert len(agent.stored()) == 2


def test_a_stream_nobody_told_of(agent):
    call = Call(agent)
    stream = call.stream().start().media(30)
    stream.sync()
    document = until("the leg of the stream", lambda: agent.leg(call.leg))
    assert document["status"] == "active" and "no-direction" in document["tags"] and "direction" not in document
    assert (document["from"]["number"], document["to"]["number"]) == ("+15550100001", "+15550100002")
    stream.end()


def test_keys_and_errors_of_the_stream(agent):
    call = Call(agent)
    stream = call.stream().start()
    stream.send(*[stream.numbered({"event": "dtmf", "stream_id": stream.stream_id, "occurred_at": now(offset),
                                   "dtmf": {"digit": digit}}) for digit, offset in (("5", 2), ("#", 3), ("1", 1))])
    codes = (100002, 100003, 100004, 100005)
    stream.send(*[{"event": "error", "stream_id": stream.stream_id,
                   "payload": {"code": code, "title": f"title {code}", "detail": "…"}} for code in codes])
    stream.send(stream.numbered({"event": "mark", "stream_id": stream.stream_id, "mark": {"name": "m"}}))
    stream.end()
    document = ended(agent, call)
    assert [key["digit"] for key in document["dtmfInputs"]] == ["1", "5", "#"]
    told = str(document["errors"])
    assert len(document["errors"]) == len(codes) and all(f"title {code}" in told for code in codes)


# ---- webhooks and media together


def test_a_hang_up_before_an_answer(agent):
    call = Call(agent, direction="outgoing")
    call.initiated()
    call.hangup("no_answer")
    document = agent.complete(call.leg)
    assert (document["status"], document["hangupCause"], document["answerState"]) == ("no-answer",) * 3
    assert "answeredAt" not in document
    until("counted", lambda: agent.metric("sidetone_calls_finished_total", outcome="no-answer") == 1)


def test_a_late_answer_does_not_revive_a_leg(agent):
    call = Call(agent)
    call.hangup()
    call.answered()
    call.initiated()
    assert agent.complete(call.leg)["status"] == "completed"
    assert agent.metric("sidetone_calls_live") == 0


def test_webhooks_in_reverse_give_the_same_document(make_agent, signer):
    documents = []
    told = None
    for reverse in (False, True):
        agent = make_agent(signer=signer)
        call = Call(agent, leg="v3:either way", session="s")
        told = told or [
            call.event("call.initiated", direction="incoming", start_time=now(-9), occurred_at=now(-9)),
            call.event("call.answered", start_time=now(-9), occurred_at=now(-7)),
            call.event("call.bridged", occurred_at=now(-6)),
            call.event("call.hold", occurred_at=now(-5)),
            call.event("call.unhold", occurred_at=now(-4)),
            call.event("call.dtmf.received", digit="7", occurred_at=now(-3)),
            call.event("call.hangup", hangup_cause="normal_clearing", hangup_source="callee", occurred_at=now(-1)),
            call.event("call.cost", status="success", total_cost="0.0040", billed_duration_secs=60, occurred_at=now()),
        ]
        for one in reversed(told) if reverse else told:
            assert agent.webhook(one).status_code == 200
        document = agent.complete(call.leg)
        for name in ("_id", "createdAt", "updatedAt", "__v"):
            document.pop(name, None)
        document["metadata"]["sidetone"].pop("agents")
        documents.append(document)
    assert documents[0] == documents[1]
    assert documents[0]["status"] == "completed" and len(event_ids(documents[0])) == len(told)
    assert documents[0]["holds"] and documents[0]["dtmfInputs"]


def test_carrier_figures_of_every_shape(agent):
    shapes = (None, {}, {"inbound": {"mos": "nan"}}, {"inbound": {"mos": 4.5, "packet_count": 0}}, "none", [1])
    for shape in shapes:
        call = Call(agent)
        call.hangup(call_quality_stats=shape)
        document = agent.complete(call.leg)
        assert document["status"] == "failed" and "mos" not in document["quality"]
    assert agent.webhook(event("call.hangup", {"call_control_id": "v3:bare"})).status_code == 200
