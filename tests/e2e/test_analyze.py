"""sidetone analyze: files, frames, segments, and the rules alone on labels (contract 1, speech-metrics.md 4)."""
import csv
import io
import json
import math
import re
import struct
import wave

import pytest

from fake_telnyx import mulaw_tracks
from harness import FIXTURES, shared, sidetone

DEMO = FIXTURES / "demo/call.wav"


def analyze(*words, status=0):
    done = sidetone("analyze", *words)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def speech(*words):
    return json.loads(analyze(*words))["metadata"]["sidetone"]["speech"]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def write_wav(path, channels, rate=8000):
    """Channels of equal length, lists of int."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate)
        samples = [value for frame in zip(*channels) for value in frame]
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def expand(byte):
    """G.711 mu-law."""
    byte = ~byte & 0xFF
    value = (((byte & 0x0F) << 3) + 0x84 << ((byte >> 4) & 7)) - 0x84
    return -value if byte & 0x80 else value


def demo_channels(seconds):
    return [[expand(byte) for i in range(seconds * 50) for byte in mulaw_tracks()[track](i)]
            for track in ("inbound", "outbound")]


# ---- sound


def test_the_object():
    document = json.loads(analyze(DEMO))
    assert set(document) == {"aiAnalysis", "quality", "metadata"}
    figures = document["metadata"]["sidetone"]["speech"]
    assert figures["basis"] == "two-track" and figures["duration_ms"] == 40000
    both = figures["agent"]["talk_ms"] + figures["lead"]["talk_ms"]
    assert both - figures["overlap_ms"] + figures["silence_ms"] == figures["duration_ms"]
    short = document["aiAnalysis"]["speech"]
    assert short["agentTalkTime"] == figures["agent"]["talk_ms"] / 1000
    assert short["leadTalkTime"] == figures["lead"]["talk_ms"] / 1000
    assert short["talkRatio"] == round(figures["agent"]["talk_ms"] / figures["lead"]["talk_ms"], 4)


def test_quality_is_that_of_the_call():
    """A file gives the same figures of its sound as the call it came from (the fixture plays this file)."""
    document = json.loads(analyze(DEMO))
    golden = json.loads((FIXTURES / "demo/expect.jsonl").read_text().splitlines()[0])
    assert document["quality"] == {"issues": []}  # and no MOS: nothing was delivered
    assert document["metadata"]["sidetone"]["quality"] == {"signal": golden["metadata"]["sidetone"]["quality"]["signal"]}


def tone(hz, seconds, rate, amplitude):
    return [round(amplitude * math.sin(2 * math.pi * hz * i / rate)) for i in range(int(seconds * rate))]


def quality(*words):
    document = json.loads(analyze(*words))
    return document["quality"]["issues"], document["metadata"]["sidetone"]["quality"]["signal"]


def test_clipping_and_its_time(tmp_path):
    """40 s, of which the first half is beyond what the format holds; two good windows close the finding."""
    left, right = demo_channels(40)
    loud = [max(-32768, min(32767, x * 12)) if i < 20 * 8000 else x for i, x in enumerate(left)]
    issues, signal = quality(write_wav(tmp_path / "loud.wav", [loud, right]))
    (row,) = [row for row in issues if row["description"].startswith("clipping: ")]
    assert (row["type"], row["severity"], row["resolved"]) == ("static", "high", True)
    assert row["timestamp"]["$date"] == "2026-01-01T00:00:00.000Z"
    assert row["resolvedAt"]["$date"] == "2026-01-01T00:00:20.000Z"
    assert signal["inbound"]["clip_share"] > 0.01 and signal["inbound"]["clip_events"] > 100
    assert signal["outbound"]["clip_share"] == 0


def test_echo_between_the_tracks(tmp_path):
    _, right = demo_channels(40)
    left = [right[i - 2400] // 4 if i >= 2400 else 0 for i in range(len(right))]  # 300 ms, 12 dB
    issues, signal = quality(write_wav(tmp_path / "echo.wav", [left, right]))
    assert signal["inbound"]["echo"]["delay_ms"] == pytest.approx(300, abs=2)
    assert signal["inbound"]["echo"]["erl_db"] == pytest.approx(12, abs=0.5)
    assert "echo" not in signal["outbound"]
    assert [row["severity"] for row in issues if row["type"] == "echo"] == ["high"]
    _, alone = quality(write_wav(tmp_path / "mono.wav", [left]))
    assert set(alone) == {"inbound"} and alone["inbound"]["absent"]["echo"] == "too_little_outbound"


def test_a_track_that_is_silent_while_the_other_talks(tmp_path):
    left, _ = demo_channels(40)
    issues, signal = quality(write_wav(tmp_path / "one.wav", [left, [0] * len(left)]))
    (row,) = [row for row in issues if row["type"] == "one-way-audio"]
    assert row["severity"] == "critical" and not row["resolved"]
    assert signal["outbound"]["absent"]["active_level_dbov"] == "silent"


@pytest.mark.parametrize("rate", (8000, 16000, 44100, 48000))
def test_levels_at_every_rate(tmp_path, rate):
    """A sine of half scale: -9.03 dBov rms, whatever the rate of its file."""
    _, signal = quality(write_wav(tmp_path / "tone.wav", [tone(440, 12, rate, 16384)], rate))
    level = signal["inbound"].get("rms_dbov")
    if level is None:
        assert signal["inbound"]["absent"]["rms_dbov"] == "non_speech"  # what it is, too
    else:
        assert level == pytest.approx(-9.03, abs=0.1)


def test_the_demo_call_is_within_5_per_cent_of_its_labels():
    labels = speech("--labels", FIXTURES / "demo/labels.csv", "--duration-ms", 40000)
    heard = speech(DEMO)
    for party in ("agent", "lead"):
        assert heard[party]["talk_ms"] == pytest.approx(labels[party]["talk_ms"], rel=0.05)


def test_the_same_again_and_again():
    assert analyze(DEMO) == analyze(DEMO)


def test_the_party_swaps_the_figures():
    lead, agent = speech(DEMO), speech("-o", "calls.party=inbound=agent", DEMO)
    assert (lead["agent"], lead["lead"]) == (agent["lead"], agent["agent"])


def test_two_mono_files_are_a_stereo_one(tmp_path):
    left, right = demo_channels(12)
    stereo = write_wav(tmp_path / "stereo.wav", [left, right])
    files = write_wav(tmp_path / "left.wav", [left]), write_wav(tmp_path / "right.wav", [right])
    assert analyze(*files) == analyze(stereo)
    assert analyze("--frames", *files) == analyze("--frames", stereo)


def test_one_mono_file_is_the_inbound_track_alone(tmp_path):
    left, _ = demo_channels(12)
    figures = speech(write_wav(tmp_path / "left.wav", [left]))
    assert figures["basis"] == "one-track" and figures["lead"]["talk_ms"] > 0
    assert "agent" not in figures or "talk_ms" not in figures["agent"]
    assert not {"overlap_ms", "events", "turns"} & set(figures)


def test_silence_is_not_speech(tmp_path):
    figures = speech(write_wav(tmp_path / "silence.wav", [[0] * 80000, [0] * 80000]))
    assert (figures["agent"]["talk_ms"], figures["lead"]["talk_ms"], figures["silence_ms"]) == (0, 0, 10000)


# ---- frames


@pytest.mark.parametrize("samples, rate", ((8000, 8000), (8001, 8000), (80, 8000), (79, 8000), (16200, 16000),
                                           (44100, 44100), (48480, 48000), (11025, 11025)))
def test_frames_have_a_row_for_every_10_ms_of_both_tracks(tmp_path, samples, rate):
    noise = [(i * 7919) % 2001 - 1000 for i in range(samples)]
    out = rows(analyze("--frames", write_wav(tmp_path / "a.wav", [noise, noise], rate)))
    cells = -(-samples * 100 // rate)
    for track in ("inbound", "outbound"):
        mine = [row for row in out if row["track"] == track]
        assert [int(row["time_ms"]) for row in mine] == [10 * i for i in range(cells)]
        assert all(row["speech"] in "01" and 0 <= float(row["score"]) <= 1 for row in mine)
    assert len(out) == 2 * cells


def test_frames_and_segments_and_figures_are_one(tmp_path):
    segments = analyze("--segments", DEMO)
    assert segments.startswith("track,start_ms,end_ms,kind\n")
    file = tmp_path / "segments.csv"
    file.write_text(segments)
    assert speech("--labels", file, "--duration-ms", 40000) == speech(DEMO)
    spoken = {track: sum(int(r["end_ms"]) - int(r["start_ms"]) for r in rows(segments)
                         if r["track"] == track and r["kind"] == "speech") for track in ("inbound", "outbound")}
    figures = speech(DEMO)
    assert (spoken["inbound"], spoken["outbound"]) == (figures["lead"]["talk_ms"], figures["agent"]["talk_ms"])
    cells = sum(int(r["speech"]) for r in rows(analyze("--frames", DEMO)))
    assert cells * 10 == pytest.approx(sum(spoken.values()), rel=0.15)  # before bridge and discard


def test_other_formats_and_rates():
    """16 kHz WAV and Ogg, from the shared audio: read, and heard as what they are."""
    figures = speech(shared("data/audio/telephone-sample/sample.wav"))
    assert figures["basis"] == "one-track" and figures["duration_ms"] == 30000
    noise = sorted(shared("data/audio/esc10-noise/rain").glob("*.ogg"))[0]
    assert speech(noise)["basis"] == "one-track"


@pytest.mark.parametrize("what", ("text", "nothing", "absent", "folder", "half a header"))
def test_what_is_no_sound_is_1_and_named(tmp_path, what):
    file = tmp_path / "some.wav"
    if what == "folder":
        file.mkdir()
    elif what != "absent":
        file.write_bytes({"text": b"hello\n" * 100, "nothing": b"", "half a header": DEMO.read_bytes()[:20]}[what])
    assert "some.wav" in analyze(file, status=1)


def test_music_on_hold_is_no_noise():
    issues, signal = quality(shared("data/audio/music-on-hold/qMOH-cable_company.wav"))
    assert "non_speech_likely" in signal["inbound"]["flags"]
    assert [row["description"] for row in issues if row["type"] == "static"] == []


def test_a_shorter_file_is_no_hole_in_a_call(tmp_path):
    left, right = demo_channels(20)
    long = write_wav(tmp_path / "long.wav", [left])
    short = write_wav(tmp_path / "short.wav", [right[:7 * 8000]])
    for files in ((long, short), (short, long)):
        issues, signal = quality(*files)
        assert [row["description"] for row in issues if row["type"] in ("dropped", "one-way-audio")] == []
        assert set(signal) == {"inbound", "outbound"}


def test_two_files_are_two_mono_files():
    assert "call.wav" in analyze(DEMO, DEMO, status=1)


# ---- the rules alone


def as_labels(path, agent, lead):
    lines = ["track,start_ms,end_ms,kind"]
    lines += [f"outbound,{start},{end},speech" for start, end in agent]
    lines += [f"inbound,{start},{end},speech" for start, end in lead]
    path.write_text("\n".join(lines) + "\n")
    return path


def worked_cases():
    """The table of speech-metrics.md 4: a dictionary a row."""
    section = shared("speech-metrics.md").read_text().split("## 4 Worked cases")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in section.splitlines()
             if line.startswith("| ")]
    return [dict(zip(lines[0], line)) for line in lines[1:] if line[0].isdigit()]


CASES = worked_cases()
KINDS = {"backchannel": "backchannel", "overlapped transition": "overlapped_transition",
         "interruption, successful": "interruption", "interruption, attempt": "attempt",
         "simultaneous start": "simultaneous_start"}
PARTY = {"A": "agent", "B": "lead"}


def spans(text):
    return [tuple(map(int, pair)) for pair in re.findall(r"(\d+)-(\d+)", text)]


def events_of(text):
    out = []
    for kind, by, start, overlap in re.findall(r"([a-z][a-z ,]*?) ?([AB]?) @(\d+), (\d+)", text):
        row = {"kind": KINDS[kind.strip(" ;,")], "start_ms": int(start), "overlap_ms": int(overlap)}
        out.append({**row, "by": PARTY[by]} if by else row)
    return out


def responses(text, party):
    """Positive ones only (speech-metrics.md 2)."""
    return [int(ms) for who, ms in re.findall(r"([AB])([+-]\d+)", text) if who == party and int(ms) > 0]


def test_the_table_is_whole():
    assert [case["#"] for case in CASES] == [str(i) for i in range(1, 18)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['#']} {case['case']}")
def test_worked_case(tmp_path, case):
    labels = as_labels(tmp_path / "labels.csv", spans(case["A speaks"]), spans(case["B speaks"]))
    figures = speech("--labels", labels, "--duration-ms", case["T"])
    talk = tuple(map(int, case["talk A / B"].split("/")))
    assert (figures["agent"]["talk_ms"], figures["lead"]["talk_ms"]) == talk
    assert (figures["overlap_ms"], figures["silence_ms"]) == (int(case["overlap"]), int(case["silence"]))
    turns = {"A": [], "B": []}
    for who, start, end in re.findall(r"([AB])(\d+)-(\d+)", case["turns"]):
        turns[who].append(int(end) - int(start))
    assert figures["turns"] == sum(map(len, turns.values()))
    for who, party in PARTY.items():
        own = figures[party]
        assert own["turns"] == len(turns[who])
        assert own["longest_monologue_ms"] == max(turns[who], default=0)
        waited = responses(case["FTO"], who)
        assert own["response_ms"]["n"] == len(waited)
        if waited:
            assert own["response_ms"]["mean"] == pytest.approx(sum(waited) / len(waited), abs=5)
        pauses = [int(ms) for part in re.findall(rf"{who} ((?:\d+ ?)+)", case["pauses"]) for ms in part.split()]
        assert (own["pauses"], own["pause_ms"]) == (len(pauses), sum(pauses))
    wanted = events_of(case["events"])
    assert figures["events"] == wanted
    for party in PARTY.values():
        for kind, name in (("backchannel", "backchannels"), ("interruption", "interruptions"), ("attempt", "attempts")):
            assert figures[party][name] == sum(e["kind"] == kind and e.get("by") == party for e in wanted)


def test_the_telephone_sample(tmp_path):
    """speech-metrics.md 4, real labels: speaker90 is A, speaker91 is B."""
    spoken = {"speaker90": [], "speaker91": []}
    for line in shared("data/audio/telephone-sample/sample.rttm").read_text().splitlines():
        words = line.split()
        start = round(float(words[3]) * 1000)
        spoken[words[7]].append((start, start + round(float(words[4]) * 1000)))
    labels = as_labels(tmp_path / "labels.csv", spoken["speaker90"], spoken["speaker91"])
    figures = speech("--labels", labels, "--duration-ms", 30000)
    assert (figures["agent"]["talk_ms"], figures["lead"]["talk_ms"]) == (11850, 12500)
    assert (figures["overlap_ms"], figures["silence_ms"], figures["dead_air"]) == (1890, 7540, {"count": 1, "ms": 6690})
    assert (figures["turns"], figures["agent"]["turns"], figures["lead"]["turns"]) == (7, 4, 3)
    assert (figures["agent"]["longest_monologue_ms"], figures["lead"]["longest_monologue_ms"]) == (4130, 6720)
    assert (figures["agent"]["pauses"], figures["agent"]["pause_ms"], figures["lead"]["pauses"]) == (1, 430, 0)
    assert (figures["agent"]["response_ms"]["mean"], figures["lead"]["response_ms"]["mean"]) == (130, 290)
    assert figures["events"] == [
        {"kind": "backchannel", "by": "lead", "start_ms": 7550, "overlap_ms": 800},
        {"kind": "overlapped_transition", "by": "lead", "start_ms": 9920, "overlap_ms": 100},
        {"kind": "overlapped_transition", "by": "agent", "start_ms": 10570, "overlap_ms": 460},
        {"kind": "overlapped_transition", "by": "lead", "start_ms": 14490, "overlap_ms": 210},
        {"kind": "simultaneous_start", "start_ms": 18150, "overlap_ms": 440},
        {"kind": "interruption", "by": "agent", "start_ms": 27850, "overlap_ms": 650},
    ]


@pytest.mark.parametrize("row", ("inbound,5,2,speech", "inbound,-1,2,speech", "sideways,0,2,speech", "inbound,0,2",
                                 "inbound,0,99999,speech", "inbound,a,b,speech", "0,2,inbound,speech"))
def test_a_row_that_is_none_is_1_with_its_line(tmp_path, row):
    file = tmp_path / "labels.csv"
    file.write_text(f"track,start_ms,end_ms,kind\ninbound,0,400,speech\n{row}\n")
    assert "labels.csv:3" in analyze("--labels", file, "--duration-ms", 5000, status=1)


def test_labels_in_any_order_and_other_kinds(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("outbound,3000,4000,speech\ninbound,0,2000,speech\ninbound,4100,4900,music\n")
    figures = speech("--labels", file, "--duration-ms", 5000)
    assert (figures["lead"]["talk_ms"], figures["agent"]["talk_ms"]) == (2000, 1000)
