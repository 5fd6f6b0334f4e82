"""sidetone analyze of a capture (contract 1), its figures beside tshark's: of captures that tests/tools/make_captures.py
scripts, of calls that sipp makes here, and of those of the shared data."""
import gzip
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import sipp_calls
from fake_telnyx import mulaw_tracks
from harness import BINARY, FIXTURES, assert_no_sanitizer, environment, shared, sidetone

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import make_captures as make  # noqa: E402

SEED = os.environ.get("CAPTURE_SEED") or str(random.SystemRandom().randrange(10**9))
# tshark books these otherwise than we do; docs/quality.md says why. The rest must agree in every figure.
DIFFERENT = {"reordered_cooked2", "duplicated_raw", "new_ssrc_and_restart", "pauses", "digits_and_reports", "anything"}
MS = make.MS


@pytest.fixture(autouse=True)
def seed():
    print(f"CAPTURE_SEED={SEED}")


def analyze(path, *words, warnings=()):
    """The streams; what is said on standard error is named by the caller, all of it (None: whatever it is)."""
    done = sidetone("analyze", *words, path)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines() if warnings is not None else []
    warnings = warnings or ()
    assert len(said) == len(warnings), said
    for line, warning in zip(said, warnings):
        assert line.startswith(f"sidetone analyze: warning: {path}: ") and warning in line
    return json.loads(done.stdout)["streams"]


def digits(path):
    """Ours under rfc3550 with all of tshark's digits: {(ssrc, src): (lost, mean, max)}."""
    done = subprocess.run([BINARY.parent / "tools/rtp_streams", path], capture_output=True, text=True, check=True,
                          env=environment())
    assert_no_sanitizer(done.stderr)
    rows = [line.split() for line in done.stdout.splitlines()]
    return {(int(row[0], 16), row[1]): (int(row[2]), row[3], row[4]) for row in rows}


STREAM = re.compile(r"(?P<src>\S+)\s+(?P<port>\d+)\s+\S+\s+\d+\s+0x(?P<ssrc>[0-9A-F]{8})\s+.*?\s+(?P<packets>\d+)\s+"
                    r"(?P<lost>-?\d+) \(-?[\d.]+%\)\s+(?P<rest>[\d. -]+)")


def tshark(path, ports):
    """{(ssrc, src): (packets, lost, mean, max)}, the jitter as printed."""
    words = ["tshark", "-n", "-r", str(path), "-q", "-z", "rtp,streams"]
    for port in sorted(ports):
        words += ["-d", f"udp.port=={port},rtp"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    streams = {}
    for line in out.splitlines():
        if m := STREAM.search(line):
            ip = f"[{m['src']}]" if ":" in m["src"] else m["src"]
            _, _, _, _, mean, top = m["rest"].split()
            streams[int(m["ssrc"], 16), f"{ip}:{m['port']}"] = (int(m["packets"]), int(m["lost"]), mean, top)
    return streams


def rows_of(path, streams):
    ports = {int(stream[end].rpartition(":")[2]) for stream in streams for end in ("src", "dst")}
    return tshark(path, ports)


def compare(path, streams, same_in_all=False):
    """Our streams are tshark's, and so are the figures under rfc3550; with same_in_all our own are, too."""
    theirs, ours = rows_of(path, streams), digits(path)
    assert {(s["ssrc"], s["src"]) for s in streams} == set(theirs) == set(ours)
    for stream in streams:
        packets, lost, mean, top = theirs[stream["ssrc"], stream["src"]]
        assert stream["packets"] == packets
        assert ours[stream["ssrc"], stream["src"]] == (lost, mean, top)
        rfc3550 = stream["rfc3550"]
        assert rfc3550["lost"] == lost
        assert rfc3550["jitter_mean_ms"] == pytest.approx(float(mean), abs=0.0506)  # one decimal of three
        assert rfc3550["jitter_max_ms"] == pytest.approx(float(top), abs=0.0506)
        if same_in_all:
            assert stream["missing_frames"] == lost
            assert stream["received_frames"] == packets
            jitter = stream["delivery_jitter_ms"]
            assert jitter["mean"] == pytest.approx(float(mean), abs=0.06)  # arrivals in microseconds; a marker at first
            assert jitter["max"] == pytest.approx(float(top), abs=0.06)
            assert stream["network_jitter_ms"] == jitter["mean"]


# ---- scripted captures


@pytest.mark.parametrize("name", sorted(set(make.CAPTURES) - {"benign", "anything"}))
def test_the_figures_are_tsharks(name, tmp_path):
    path = make.write(name, SEED, tmp_path)
    compare(path, analyze(path), same_in_all=name not in DIFFERENT)


@pytest.mark.parametrize("name", ["benign", "anything"])
@pytest.mark.parametrize("more", range(5))
def test_the_figures_are_tsharks_whatever_happened(name, more, tmp_path):
    path = make.write(name, f"{SEED}/{more}", tmp_path)
    compare(path, analyze(path, warnings=None), same_in_all=name not in DIFFERENT)


def test_what_was_scripted(tmp_path):
    """Ours where tshark's differ, against what the script did."""
    one, = analyze(make.write("duplicated_raw", SEED, tmp_path))
    assert one["duplicate_frames"] == one["packets"] - 1000 > 0
    assert one["missing_frames"] == 0 and one["network_jitter_ms"] == 0.0

    one, = analyze(make.write("reordered_cooked2", SEED, tmp_path))
    assert one["reordered_frames"] > 0 and 2 <= one["max_reorder_frames"] <= 4
    assert one["missing_frames"] == 0 and one["network_jitter_ms"] == 0.0
    assert one["delay_variation_ms"]["max"] == 45.0

    first, second = analyze(make.write("new_ssrc_and_restart", SEED, tmp_path))
    assert (first["ssrc"], second["ssrc"]) == (0xAAAA0001, 0xAAAA0002)
    assert first["restarts"] == 0 and second["restarts"] == 1
    assert second["missing_frames"] == 0 and second["received_frames"] == 800
    assert second["delivery_jitter_ms"]["max"] < 5

    one, = analyze(make.write("pauses", SEED, tmp_path))
    assert one["payload_types"] == [0, 13] and one["packets"] == one["received_frames"] == 726
    assert one["media_pause_ms"] > 0 and one["clock_jumps"] == 0

    one, = analyze(make.write("skewed_opus_ng", SEED, tmp_path))
    assert one["codec"] == "OPUS" and one["skew_ppm"] == pytest.approx(150, abs=3)
    assert one["scale"] == "fb" and one["ie_basis"] == "literature" and one["mos_lqe"] > 4

    one, = analyze(make.write("wraps", SEED, tmp_path))
    assert one["expected_frames"] == 700 and one["missing_frames"] == 3 and one["restarts"] == 0

    one, = analyze(make.write("jitter_ipv6", SEED, tmp_path))
    assert one["codec"] == "G722" and one["src"] == "[2001:db8::10]:5004" and one["dst"] == "[2001:db8::20]:5006"


def test_bursts_are_those_of_the_script(tmp_path):
    capture, lost = make.Capture(), {100, 102, 105, 106, 110, 300}
    make.Sender(capture, make.A, make.B, 1, fate=lambda i: [] if i in lost else [0]).sound(1000)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["missing_frames"] == 6 and one["loss_pct"] == 0.6
    assert one["burst"] == {"count": 1, "mean_ms": 220.0, "density": 0.4545, "longest_frames": 2}  # BG3 of voice-quality.md 7.5


def test_digits_and_reports(tmp_path):
    there, back = analyze(make.write("digits_and_reports", SEED, tmp_path))
    assert there["dtmf"] == [{"digit": "1", "start_ms": 4000.0, "duration_ms": 120.0},
                             {"digit": "#", "start_ms": 5160.0, "duration_ms": 140.0}]
    assert there["payload_types"] == [0, 101] and there["codec"] == "PCMU"
    # Events are no frames: nothing is missing, and the silence meanwhile was the sender's.
    assert there["received_frames"] == there["expected_frames"] == 550 and there["packets"] == 567
    assert there["media_pause_ms"] == 300.0 and there["delivery_jitter_ms"]["max"] < 2
    assert there["rtcp"]["sr"] == 3 and there["rtcp"]["rr"] == 3 and there["rtcp"]["xr"] == 3 and there["rtcp"]["bye"] == 1
    assert there["rtcp"]["last_rr"] == {"fraction_lost_pct": 1.1719, "lost": 4, "jitter_ms": 3.0}
    assert there["rtcp"]["last_voip"]["mos_lq"] == 4.4 and there["rtcp"]["last_voip"]["end_system_delay_ms"] == 45
    assert (back["rtcp"]["sr"], back["rtcp"]["rr"], back["rtcp"]["xr"]) == (3, 3, 0)
    # 40 ms to the one side of the capture and 20 ms to the other, by no clock but the capture's.
    assert there["rtt_ms"] == back["rtt_ms"] == {"rtcp": 60.0} and there["ta_basis"] == "rtcp"
    assert there["ta_ms"] == pytest.approx(60 / 2 + 20 + there["playout_delay_ms"], abs=0.11)
    assert there["algorithm"] == "MOS-CQEN" and there["mos_cqe"] == 4.41
    assert "dtmf" not in back


def test_a_round_trip_of_one_side_is_no_delay_between_the_ends(tmp_path):
    capture, ntp = make.Capture(), make.ntp_of(12345 * 10**9)
    make.Sender(capture, make.A, make.B, 7).sound(400)
    capture.udp(1000 * MS, make.A, make.B, make.sender_report(7, ntp, 1, 2, 3))  # on the media's own ports
    lsr = (ntp >> 16) & 0xFFFFFFFF
    capture.udp(1350 * MS, make.B, make.A, make.receiver_report(9, make.report_block(7, lsr=lsr, dlsr=65536 * 3 // 10)))
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["rtt_ms"] == {"rtcp": 50.0} and one["absent"]["ta_ms"] == "rtt_of_one_side" and "mos_cqe" not in one
    assert one["rtcp"]["sr"] == one["rtcp"]["rr"] == 1 and one["rtcp"]["xr"] == 0


def test_what_was_damaged_before_it_was_sent(tmp_path):
    """AMR-WB tells it itself (RFC 4867): frames of no data, and frames marked as bad."""
    capture, types = make.Capture(), {96: "AMR-WB/16000", 97: "telephone-event/16000"}
    capture.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060), make.sip_with_sdp("SIP/2.0 200 OK", make.B, types))
    sender = make.Sender(capture, make.A, make.B, 7, 96, 16000)
    good, bad, none = (bytes([0xF0, toc]) + bytes(size) for toc, size in [(0x14, 32), (0x10, 32), (0x7C, 0)])  # 12.65
    for i in range(400):
        sender.payload = none if i == 100 else bad if i in (200, 201) else good
        sender.sound(1)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["codec"] == "AMR-WB" and one["scale"] == "wb" and one["upstream_bad_frames"] == 3
    assert one["missing_frames"] == 0 and one["ppl_pct"] == 0.75 and 1 < one["mos_lqe"] < 4.5


# ---- real calls


def gap_free_start(rng, share):
    lost = make.random_loss(rng, share)
    return lambda index: [0] if index < 10 or index > 290 else lost(index)


@pytest.mark.parametrize("name", ["sipp-rtpstream", "sipp-pcapplay"])
def test_calls_of_the_shared_data(name, tmp_path):
    path = tmp_path / f"{name}.pcap"
    path.write_bytes(gzip.decompress(shared("data", "captures", f"{name}.pcap.gz").read_bytes()))
    streams = analyze(path)
    compare(path, streams, same_in_all=False)
    for stream in streams:
        if "dtmf" not in stream:
            compare(path, streams)
            assert stream["missing_frames"] == stream["rfc3550"]["lost"]
    if name == "sipp-pcapplay":
        assert [[digit["digit"] for digit in stream.get("dtmf", [])] for stream in streams] == [[], ["3"]]


def test_a_call_of_sipp_with_streamed_sound(tmp_path):
    """A sipp that a busy machine stops for a moment sends late, or leaves packets out: by tshark's figures."""
    (tmp_path / "sound.raw").write_bytes(random.Random(SEED).randbytes(8000))
    sound = 'rtp_stream="sound.raw,-1,0,PCMU/8000"'
    path = sipp_calls.record(tmp_path, [sound, sound], 6000, 0, "PCMU")
    streams = analyze(path)
    assert len(streams) == 2 and all(stream["expected_frames"] > 250 for stream in streams)
    compare(path, streams, same_in_all=True)
    rows = rows_of(path, streams)
    for stream in streams:
        _, lost, _, top = rows[stream["ssrc"], stream["src"]]
        in_time = lost == 0 and float(top) < 3  # one frame 60 ms late alone makes it 3.75
        assert stream["codec"] == "PCMU" and stream["missing_frames"] == lost
        assert stream["mos_lqe"] == 4.41 if in_time else 1 <= stream["mos_lqe"] <= 4.41


def test_a_call_of_sipp_with_scripted_loss_and_digits(tmp_path):
    """sipp replays what is scripted: the callee with loss, the caller with a digit in the sound."""
    rng = random.Random(SEED)
    losing, dialling = make.Capture(), make.Capture()
    make.Sender(losing, make.A, make.B, 0xCA11EE, 8, fate=gap_free_start(rng, 0.05)).sound(300)
    make.Sender(dialling, make.A, make.B, 0xCA11E4, 8).sound(100).event(7, 5).sound(150)
    losing.write(tmp_path / "lossy.pcap")
    dialling.write(tmp_path / "dialling.pcap")
    for _ in range(5):  # until sipp, on a busy machine, has left nothing out
        path = sipp_calls.record(tmp_path, ['play_pcap_audio="dialling.pcap"', 'play_pcap_audio="lossy.pcap"'], 7000, 8, "PCMA")
        streams = analyze(path)
        rows = {ssrc: row for (ssrc, _), row in rows_of(path, streams).items()}
        if rows[0xCA11E4][1] == 0 and sum(rows[0xCA11EE][:2]) == 300:
            break
    streams = {stream["ssrc"]: stream for stream in streams}
    compare(path, list(streams.values()))
    callee, caller = streams[0xCA11EE], streams[0xCA11E4]
    assert callee["missing_frames"] == callee["rfc3550"]["lost"] == 300 - callee["packets"] > 0
    digit, = caller["dtmf"]
    assert digit == {"digit": "7", "start_ms": pytest.approx(2000, abs=20), "duration_ms": 120.0}
    assert caller["missing_frames"] == 0 and caller["received_frames"] == 250


# ---- what is not whole


def test_fragments_are_skipped_and_said(tmp_path):
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 1).sound(100)
    for i in range(3):
        capture.udp(i * MS, make.A, make.B, bytes(100), fragment=0x2000)
    one, = analyze(capture.write(tmp_path / "x.pcap"), warnings=["3 IP fragments skipped"])
    assert one["packets"] == 100


@pytest.mark.parametrize("ng", [False, True])
def test_a_cut_capture_is_analysed_as_far_as_it_goes(ng, tmp_path):
    capture = make.Capture(ng=ng)
    make.Sender(capture, make.A, make.B, 1).sound(100)
    path = capture.write(tmp_path / "x.pcap")
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    one, = analyze(path, warnings=["analysed as far as it goes: "])
    assert 45 <= one["packets"] <= 50


def test_cut_packets(tmp_path):
    """-s 60: the payload is missing, the figures are not; a digit that cannot be read is none."""
    capture = make.Capture(snaplen=14 + 20 + 8 + 12 + 2)
    sender = make.Sender(capture, make.A, make.B, 1)
    sender.sound(100).event(5, 4).sound(100)
    one, = analyze(capture.write(tmp_path / "x.pcap"), "--codec", "101=telephone-event/8000")
    assert one["received_frames"] == 200 and one["absent"]["mos_lqe"] == "too_short"
    assert "dtmf" not in one
    capture.snaplen = 30
    assert analyze(capture.write(tmp_path / "y.pcap"), warnings=["207 packets without a whole header", "no RTP"]) == []


# ---- names


def test_a_codec_that_nobody_names(tmp_path):
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 7, 96, 16000, fate=lambda i: [] if i == 50 else [0]).sound(400)
    path = capture.write(tmp_path / "x.pcap")
    one, = analyze(path, warnings=["nothing names payload type 96 of SSRC 0x00000007: --codec 96=NAME/CLOCK would"])
    assert "codec" not in one and one["absent"]["codec"] == "not_named"
    assert one["missing_frames"] == 1 and "network_jitter_ms" not in one and one["rfc3550"] == {"lost": 1}
    one, = analyze(path, "--codec", "96=L16/16000")
    assert one["codec"] == "L16" and one["network_jitter_ms"] == 0.0 and one["missing_frames"] == 1
    one, = analyze(path, "--codec", "96=NEVERHEARD/16000")
    assert one["codec"] == "NEVERHEARD" and one["absent"]["mos_lqe"] == "no_ie"
    assert one["network_jitter_ms"] == 0.0


def test_a_sender_that_changes_its_format(tmp_path):
    """Another payload type on the same SSRC, as after a re-INVITE: numbers go on, and nothing began anew."""
    capture = make.Capture()
    sender = make.Sender(capture, make.A, make.B, 7).sound(300)
    sender.payload_type = 8
    sender.sound(300)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["payload_types"] == [0, 8] and one["codec"] == "PCMA"
    assert one["restarts"] == 0 and one["received_frames"] == one["expected_frames"] == 600
    assert one["stream_outage_ms"] == 0.0 and one["mos_lqe"] == 4.41


def test_unnamed_events_in_named_sound_are_no_frames(tmp_path):
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 7).sound(100).event(5, 4).sound(100)
    path = capture.write(tmp_path / "x.pcap")
    one, = analyze(path, warnings=["payload type 101"])
    assert one["received_frames"] == one["expected_frames"] == 200 and one["clock_jumps"] == 0 and "dtmf" not in one


def test_a_codec_that_sip_names_over_tcp(tmp_path):
    capture = make.Capture()
    message = make.sip_with_sdp("SIP/2.0 200 OK", make.B, {96: "L16/16000"})
    capture.udp(0, ("198.51.100.20", 5060), ("192.0.2.10", 5060), message + b"a=rtpmap:96 cu", protocol=6)
    make.Sender(capture, make.A, make.B, 7, 96, 16000).sound(300)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["codec"] == "L16"


def test_srtp_has_no_digits(tmp_path):
    capture = make.Capture()
    types = {0: "PCMU/8000", 101: "telephone-event/8000"}
    capture.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060),
                make.sip_with_sdp("SIP/2.0 200 OK", make.B, types, profile="RTP/SAVP"))
    make.Sender(capture, make.A, make.B, 7).sound(100).event(5, 4).sound(300)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert "dtmf" not in one and one["received_frames"] == 400


def test_a_long_digit_and_two_alike(tmp_path):
    """Over 65,535 ticks an event goes on in parts; the same key twice is two digits; a lost end is none."""
    capture = make.Capture()
    sender = make.Sender(capture, make.A, make.B, 7)
    sender.sound(10)
    start = sender.timestamp
    for part, length in enumerate([65535, 8000]):
        for ticks in range(640, length, 640):
            sender.send(101, start + part * 65535, make.event_payload(9, False, ticks))
            sender.now += 80 * MS
        sender.send(101, start + part * 65535, make.event_payload(9, part == 1, length))
    sender.timestamp += 65535 + 8000
    sender.timestamp += 65535 + 65535
    sender.sound(10).event(9, 3).event(9, 3, ends=0).sound(50)
    one, = analyze(capture.write(tmp_path / "x.pcap"), "--codec", "101=telephone-event/8000")
    assert [digit["digit"] for digit in one["dtmf"]] == ["9", "9", "9"]
    assert one["dtmf"][0] == {"digit": "9", "start_ms": 200.0, "duration_ms": 9191.9}
    assert [digit["duration_ms"] for digit in one["dtmf"][1:]] == [80.0, 60.0]


# ---- what is a stream


def test_five_in_sequence_make_a_stream(tmp_path):
    for lost, streams in [(4, 0), (0, 1)]:
        capture = make.Capture()
        make.Sender(capture, make.A, make.B, 7, fate=lambda i: [] if i % 5 == lost and lost else [0]).sound(50 if lost else 5)
        path = capture.write(tmp_path / f"{lost}.pcap")
        assert len(analyze(path, warnings=[] if streams else ["no RTP stream"])) == streams


def test_the_first_packets_count_too(tmp_path):
    """Every fifth is lost for a second, then none: what came before the first five in sequence belongs to it."""
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 7, fate=lambda i: [] if i < 50 and i % 5 == 4 else [0]).sound(100)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["packets"] == 90 and one["missing_frames"] == 10


def test_rtcp_types_are_no_rtp(tmp_path):
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 7, 73).sound(100)
    assert analyze(capture.write(tmp_path / "x.pcap"), warnings=["no RTP stream"]) == []


def test_what_is_watched_is_bounded(tmp_path):
    """Four packets, more other SSRCs than are watched, four more packets: the first four are forgotten."""
    for others, streams in [(1000, 1), (1100, 0)]:
        capture = make.Capture(make.RAW)
        sender = make.Sender(capture, make.A, make.B, 7).sound(4)
        for i in range(others):
            capture.udp(int(sender.now) - 5 * MS + i, make.A, make.B, make.rtp(1, 2, 1000 + i, 0, b""))
        sender.sound(4)
        path = capture.write(tmp_path / f"{others}.pcap")
        assert len(analyze(path, warnings=[] if streams else ["no RTP stream"])) == streams


def test_other_traffic_is_no_stream(tmp_path):
    """Datagrams that all begin like RTP, each of its own SSRC, in front of and between one real stream."""
    rng, capture = random.Random(SEED), make.Capture(make.RAW)
    for i in range(20000):
        capture.udp(i * MS // 4, make.A, make.B, b"\x80" + rng.randbytes(40))
    make.Sender(capture, make.A, make.B, 7).sound(200)
    streams = analyze(capture.write(tmp_path / "x.pcap"))
    assert [stream["packets"] for stream in streams if stream["ssrc"] == 7] == [200] and len(streams) == 1


def test_the_same_on_every_link_layer(tmp_path):
    seen = []
    for link, vlans, ng in [(make.ETHERNET, (), False), (make.ETHERNET, (5,), True), (make.ETHERNET, (5, 6), False),
                            (make.COOKED, (), False), (make.COOKED2, (), True), (make.RAW, (), False)]:
        capture, rng = make.Capture(link, vlans, ng), random.Random(SEED)
        make.Sender(capture, make.A, make.B, 7, fate=make.jitter(rng, 9, make.random_loss(rng, 0.05))).sound(500)
        seen.append(analyze(capture.write(tmp_path / "x.pcap")))
    assert all(streams == seen[0] for streams in seen) and seen[0][0]["missing_frames"] > 0


def test_what_others_write(tmp_path):
    """The same capture as tshark and tcpdump write it: pcapng with all its blocks, pcap in nanoseconds."""
    path = make.write("loss_in_vlans", SEED, tmp_path)
    ours = analyze(path)
    for kind in ("pcapng", "pcap", "nsecpcap", "modpcap"):
        other = tmp_path / kind
        subprocess.run(["tshark", "-r", str(path), "-F", kind, "-w", str(other)], capture_output=True, check=True)
        assert analyze(other) == ours
    other = tmp_path / "tcpdump"
    subprocess.run(["tcpdump", "-r", str(path), "-w", str(other)], capture_output=True, check=True)
    assert analyze(other) == ours


# ---- wrong input


def refused(*words, status=1):
    done = sidetone("analyze", *words)
    assert done.returncode == status and done.stdout == ""
    return done.stderr


def test_files_that_are_no_captures(tmp_path):
    capture = make.Capture()
    make.Sender(capture, make.A, make.B, 1).sound(20)
    whole = capture.pcap()
    path = tmp_path / "x.pcap"
    for content in [b"", b"no capture\n", whole[:3], whole[4:]]:
        path.write_bytes(content)
        assert str(path) in refused(path)
        assert "not a capture" in refused("--codec", "96=opus/48000", path)
    path.write_bytes(whole[:20])
    assert str(path) in refused(path) and "truncated" in refused(path)
    path.write_bytes(gzip.compress(whole))
    assert "compressed: unpack it first" in refused(path)
    path.write_bytes(whole[:20] + struct.pack("<I", 147) + whole[24:])
    assert "link type 147" in refused(path)
    assert "No such file" in refused(tmp_path / "none.pcap")
    assert refused(tmp_path)


def test_a_capture_without_udp(tmp_path):
    capture = make.Capture()
    for i in range(10):
        capture.add(i * MS, make.ip_udp(make.A, make.B, bytes(40), protocol=132))
    assert analyze(capture.write(tmp_path / "x.pcap"), warnings=["no RTP stream"]) == []
    assert analyze(make.Capture().write(tmp_path / "y.pcap"), warnings=["no RTP stream"]) == []


def test_wrong_words(tmp_path):
    path = make.write("clean", SEED, tmp_path)
    for codec in ["96", "96=opus", "96=opus/x", "72=opus/48000", "300=opus/48000", "96=/8000", "96=a b/8000", ""]:
        assert f"--codec {codec}: " in refused("--codec", codec, path, status=2)
    assert "and nothing after it" in refused("--codec", "96=opus/48000/2", path, status=2)  # as SDP has it
    assert "named twice" in refused("--codec", "96=opus/48000", "--codec", "96=L16/16000", path, status=2)
    assert "is a capture" in refused("--frames", path, status=2)
    assert "is a capture" in refused("--segments", path, status=2)
    assert "alone" in refused(path, path, status=2)
    assert "--labels" in refused("--labels", "x.csv", "--duration-ms", "5", "--codec", "96=opus/48000", status=2)
    assert "not a capture" in refused("--codec", "96=opus/48000", "fixtures/demo/call.wav")


def test_options_reach_the_figures(tmp_path):
    path = make.write("bursts_cooked", SEED, tmp_path)
    plain, = analyze(path)
    other, = analyze(path, "-o", "quality.plc=yes", "-o", "quality.consumer=asr_stream")
    assert plain["plc"] is False and other["plc"] is True and other["consumer"] == "asr_stream"
    assert other["mos_lqe"] > plain["mos_lqe"] and other["r_lq"] == other["r_plc"]


# ---- what it sounds like


def spoken(capture, change=lambda i, payload: payload, seconds=40, **more):
    """The demo call's inbound track as G.711."""
    track = mulaw_tracks()["inbound"]
    sender = make.Sender(capture, make.A, make.B, 7, **more)
    for i in range(seconds * 50):
        sender.payload = change(i, bytes(track(i)))
        sender.sound(1)


def test_the_sound_is_that_of_the_file(tmp_path):
    capture = make.Capture()
    spoken(capture)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    file = json.loads(sidetone("analyze", FIXTURES / "demo/call.wav").stdout)["metadata"]["sidetone"]["quality"]["signal"]["inbound"]
    for name in ("active_level_dbov", "rms_dbov", "noise_dbov", "snr_db"):
        assert one["signal"][name] == pytest.approx(file[name], abs=0.3), name
    assert one["signal"]["activity_share"] == pytest.approx(file["activity_share"], abs=0.01)
    assert one["signal"]["bandwidth"] == "nb" and "echo" not in one["signal"]
    assert one["inserted_silence_frames"] == one["signal"]["inserted_silence_frames"]


def test_silence_put_into_the_sound_counts_as_lost(tmp_path):
    """A gateway that loses a packet may fill its place: no number tells, but the sound does (voice-quality.md 5.8)."""
    plain, filled = make.Capture(), make.Capture()
    spoken(plain)
    spoken(filled, change=lambda i, payload: bytes([0xFF]) * 160 if i % 20 == 7 else payload)
    before, = analyze(plain.write(tmp_path / "x.pcap"))
    after, = analyze(filled.write(tmp_path / "y.pcap"))
    assert after["inserted_silence_frames"] > before["inserted_silence_frames"] + 20
    assert after["missing_frames"] == 0 and after["ppl_pct"] > before["ppl_pct"] and after["r_lq"] < before["r_lq"]
    assert after["burst"]["longest_frames"] == 1 and before["burst"]["longest_frames"] == 0


def test_silence_put_into_the_sound_is_a_burst(tmp_path):
    """Two packets, then two more, in the midst of sound: as missing ones would be."""
    filled = make.Capture()
    spoken(filled, seconds=10, change=lambda i, payload: bytes([0xFF]) * 160 if i % 50 in (40, 41, 43, 44)
           else random.Random(i).randbytes(160))
    one, = analyze(filled.write(tmp_path / "x.pcap"))
    assert one["inserted_silence_frames"] == 40 and one["missing_frames"] == 0 and one["ppl_pct"] == 8
    assert one["burst"] == {"count": 10, "mean_ms": 100, "density": 0.8, "longest_frames": 2}
    assert one["burst_ratio"] == pytest.approx(2 * 0.92) and one["burst_ratio_basis"] == "measured"


@pytest.mark.parametrize("then", ["another codec", "a hole", "nothing"])
def test_silence_that_waits_for_a_lost_packet_is_found(tmp_path, then):
    """Packet 300 is lost, so 302, the silent one, waits; packet 305 moves the numbers on."""
    capture = make.Capture()
    lost = range(305, 370) if then == "a hole" else ()
    sender = make.Sender(capture, make.A, make.B, 7, fate=lambda i: [] if i == 300 or i in lost else [0])
    for i in range(500):
        sender.payload_type = 8 if then == "another codec" and i >= 305 else 0
        sender.payload = bytes([0xFF]) * 160 if i == 302 else random.Random(i).randbytes(160)
        sender.sound(1)
    one, = analyze(capture.write(tmp_path / "x.pcap"))
    assert one["missing_frames"] == 1 + len(lost)
    assert one["inserted_silence_frames"] == one["signal"]["inserted_silence_frames"] == 1


def test_what_cannot_be_heard_has_no_sound(tmp_path):
    cut, secret, other = make.Capture(snaplen=100), make.Capture(), make.Capture()
    spoken(cut, seconds=6)
    secret.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060),
               make.sip_with_sdp("SIP/2.0 200 OK", make.B, {0: "PCMU/8000"}, profile="RTP/SAVP"))
    spoken(secret, seconds=6)
    make.Sender(other, make.A, make.B, 7, 18).sound(300)
    for capture in (cut, secret, other):
        one, = analyze(capture.write(tmp_path / "x.pcap"))
        assert "signal" not in one and one["received_frames"] == 300
