"""One sound, one set of figures: a file, the call that played it, and the same call as linear samples
(voice-quality.md 5, 7.7)."""

import json
import struct

import pytest

from harness import FIXTURES, sidetone


def first_document(text):
    return json.loads(text.splitlines()[0])


def signal_of(document):
    return document["metadata"]["sidetone"]["quality"]["signal"]


def analyze(path):
    done = sidetone("analyze", str(path))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def replay(folder):
    done = sidetone("replay", str(folder))
    assert done.returncode == 0, done.stderr
    return first_document(done.stdout)


def findings(document):
    """What the sound alone shows."""
    return sorted((row["type"], row["severity"], row["description"]) for row in document["quality"]["issues"]
                  if not row["description"].startswith("disputed"))


@pytest.mark.parametrize("name", ("demo", "echo", "one-way", "telephone-sample"))
def test_a_file_has_the_figures_of_its_call(name):
    heard, call = analyze(FIXTURES / name / "call.wav"), first_document((FIXTURES / name / "expect.jsonl").read_text())
    assert signal_of(heard) == signal_of(call)
    assert findings(heard) == findings(call)


def test_linear_samples_clip_where_their_leg_does(tmp_path):
    """mu-law's greatest sample is 32124: beside 32767 clipped sound of such a leg would be clean."""
    lines = (FIXTURES / "one-way/events.jsonl").read_text()
    assert '"encoding":"PCMU","frame_ms"' in lines and '\\"encoding\\":\\"PCMU\\"' in lines
    (tmp_path / "events.jsonl").write_text(lines.replace('"encoding":"PCMU","frame_ms"', '"encoding":"L16","frame_ms"')
                                           .replace('\\"encoding\\":\\"PCMU\\"', '\\"encoding\\":\\"L16\\"'))
    (tmp_path / "call.wav").write_bytes((FIXTURES / "one-way/call.wav").read_bytes())
    linear, call = replay(tmp_path), first_document((FIXTURES / "one-way/expect.jsonl").read_text())
    assert linear["metadata"]["sidetone"]["quality"]["delivery"]["inbound"]["codec"] == "L16"
    assert signal_of(linear) == signal_of(call)
    assert findings(linear) == findings(call)


def wav(path, coding, data, rate=8000):
    """Mono, one byte a sample: 6 is A-law, 7 is mu-law."""
    head = struct.pack("<4sI4s4sIHHIIHHH4sI", b"RIFF", 38 + len(data), b"WAVE", b"fmt ", 18, coding, 1, rate, rate, 1, 8,
                       0, b"data", len(data))
    path.write_bytes(head + data)
    return path


# The greatest code of either sign, and a middling one of either.
CODES = {6: (0xAA, 0x2A, 0x85, 0x05), 7: (0x80, 0x00, 0xA0, 0x20)}


@pytest.mark.parametrize("coding", CODES)
def test_files_of_g711_clip_at_their_own_ceiling(tmp_path, coding):
    top, bottom, up, down = CODES[coding]
    clipped = bytes((top if i % 40 < 20 else bottom) if i // 8000 % 2 else (up if i % 40 < 20 else down)
                    for i in range(8 * 8000))
    signal = signal_of(analyze(wav(tmp_path / "loud.wav", coding, clipped)))["inbound"]
    assert signal["clip_share"] > 0.4
    quiet = bytes(up if i % 40 < 20 else down for i in range(8 * 8000))
    signal = signal_of(analyze(wav(tmp_path / "quiet.wav", coding, quiet)))["inbound"]
    assert signal["clip_events"] == 0
