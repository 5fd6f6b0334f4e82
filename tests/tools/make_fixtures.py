#!/usr/bin/python3
"""Writes the golden fixtures: fixtures/<name>/events.jsonl, options and audio. Needs Debian's python3-numpy.

  make_fixtures.py SHARED OUT_FOLDER [NAME...]

Always the same bytes. fixtures/demo is not touched: its sound is used by name. What a fixture must give is
in its expect.jsonl, which tests/tools/accept_fixtures rewrites and a person reads before committing it."""
import base64, json, os, struct, sys, wave
from datetime import datetime, timedelta, timezone
import numpy as np

RATE = 8000
EPOCH = datetime(2026, 9, 15, 9, 30, 0, tzinfo=timezone.utc)
CALLS = "Apache-2.0, see fixtures/LICENSES/dual-track-calls.*"
CALLS_SOURCE = "dual-track-calls/Auto_Repairs_40 of amazon-transcribe-live-call-analytics, %s"
OWN = "CC0-1.0"
OWN_SOURCE = "made by tests/tools/make_fixtures.py"
DEMO = dict(source=CALLS_SOURCE % "40 s from 40.0 s on: the sound of fixtures/demo", licence=CALLS)
LONG = dict(source=CALLS_SOURCE % "20 s from 224.0 s on", licence=CALLS)
ECHO = dict(source=CALLS_SOURCE % "24 s from 134.0 s on, with an echo that tests/tools/make_fixtures.py put in", licence=CALLS)
ONE_WAY = dict(source=CALLS_SOURCE % "24 s of the caller from 40.0 s on, made six times as loud", licence=CALLS)
SHORT = dict(source=CALLS_SOURCE % "8 s from 212.0 s on", licence=CALLS)
SILENT = dict(source=OWN_SOURCE, licence=OWN)


# ---- sound ---------------------------------------------------------------------------------------

def mu_law(x):
    """G.711 mu-law of 16-bit samples, by segment and step (ITU-T G.711)."""
    x = x.astype(np.int32)
    magnitude = np.minimum(np.where(x < 0, -x - 1, x) >> 2, 8158) + 33
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    return (~np.where(x < 0, code | 0x80, code) & 0xFF).astype(np.uint8)


def write_ulaw(path, *tracks):
    channels = len(tracks)
    data = np.column_stack([mu_law(t) for t in tracks]).tobytes()
    fmt = struct.pack("<HHIIHHH", 7, channels, RATE, RATE * channels, channels, 8, 0)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"fact" + struct.pack("<II", 4, len(tracks[0])) + b"data" + struct.pack("<I", len(data)) + data
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", len(body)) + body)


def read_mono(path, rate, from_s=0, length_s=None):
    with wave.open(path) as w:
        assert (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (rate, 1, 2)
        w.setpos(int(from_s * rate))
        return np.frombuffer(w.readframes(int(length_s * rate) if length_s else w.getnframes()), "<i2")


def halved(x):
    """16 kHz to 8 kHz: a windowed sinc that cuts at 3.7 kHz, then every second sample."""
    n = np.arange(-64, 65)
    cut = 3700 / 16000
    kernel = 2 * cut * np.sinc(2 * cut * n) * np.blackman(len(n))
    y = np.convolve(x.astype(np.float64), kernel / kernel.sum(), mode="same")[::2]
    return np.clip(np.round(y), -32768, 32767).astype(np.int16)


def gated(x, spans_s, ramp_s=0.010):
    """`x` where a span is, silence elsewhere; the gain ramps inside the span, so that no cut clicks."""
    gain = np.zeros(len(x))
    ramp = np.linspace(0, 1, int(ramp_s * RATE), endpoint=False)
    for start_s, end_s in spans_s:
        start, end = int(round(start_s * RATE)), min(int(round(end_s * RATE)), len(x))
        shape = np.ones(end - start)
        shape[: len(ramp)] = ramp
        if end < len(x):
            shape[-len(ramp):] = ramp[::-1]
        gain[start:end] = np.maximum(gain[start:end], shape)
    return np.round(x * gain).astype(np.int16)


def added(x, other, delay_s, gain):
    """`x` with an echo of the other one."""
    echo = np.zeros(len(x))
    delay = round(delay_s * RATE)
    echo[delay:] = gain * other[:-delay]
    return np.clip(np.round(x + echo), -32768, 32767).astype(np.int16)


def clipped(x, gain):
    """Louder than 16 bits hold."""
    return np.clip(x.astype(np.int32) * gain, -32768, 32767).astype(np.int16)


def make_sound(shared, out):
    calls = shared + "/data/audio/dual-track-calls/Auto_Repairs_40_UTC_"
    for name, from_s, length_s in (("call-20s", 224, 20), ("call-8s", 212, 8)):
        left, right = (read_mono(calls + who + ".wav", RATE, from_s, length_s) for who in ("caller", "agent"))
        write_ulaw(f"{out}/audio/{name}.wav", left, right)
        if name == "call-8s":
            write_ulaw(f"{out}/audio/{name}-mono.wav", left)
    caller, agent = (read_mono(calls + who + ".wav", RATE, 134, 24) for who in ("caller", "agent"))
    write_ulaw(out + "/echo/call.wav", added(caller, agent, delay_s=0.18, gain=0.16), agent)
    caller = read_mono(calls + "caller.wav", RATE, 40, 24)
    write_ulaw(out + "/one-way/call.wav", clipped(caller, 6), np.zeros(len(caller), np.int16))
    sample = shared + "/data/audio/telephone-sample/sample"
    mix = halved(read_mono(sample + ".wav", 16000))
    spans = {"speaker90": [], "speaker91": []}
    for row in open(sample + ".rttm", encoding="utf-8"):
        word = row.split()
        spans[word[7]].append((float(word[3]), float(word[3]) + float(word[4])))
    write_ulaw(out + "/telephone-sample/call.wav", gated(mix, spans["speaker91"]), gated(mix, spans["speaker90"]))
    with open(out + "/telephone-sample/labels.csv", "w", encoding="utf-8") as f:
        f.write("track,start_ms,end_ms,kind\n")
        for track, speaker in (("inbound", "speaker91"), ("outbound", "speaker90")):
            for start, end in spans[speaker]:
                f.write(f"{track},{round(start * 1000)},{round(end * 1000)},speech\n")


# ---- a session -----------------------------------------------------------------------------------

def stamp(t):
    return (EPOCH + timedelta(seconds=round(t, 6))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def state(**keys):
    return base64.b64encode(json.dumps(keys, separators=(",", ":")).encode()).decode()


class Leg:
    def __init__(self, fixture, number=1, direction="outgoing", client_state=None):
        self.f, self.number, self.direction, self.client_state = fixture, number, direction, client_state
        self.control = f"v3:FIXTURE-{fixture.name}-{number}"
        self.ids = {"call_control_id": self.control, "call_leg_id": f"{fixture.serial:08x}-0000-4000-8000-00000000b{number:03d}",
                    "call_session_id": f"{fixture.serial:08x}-0000-4000-8000-00000000a001",
                    "connection_id": "2900000000000000001", "client_state": client_state}
        ours, theirs = "+15550100002", f"+1555010010{number}"
        self.parties = {"from": ours, "to": theirs} if direction == "outgoing" else {"from": theirs, "to": ours}
        self.started = 0.0

    def hook(self, t, event, parties=True, late=0.05, **payload):
        """One webhook that happened at t and arrives `late` after it."""
        body = {**self.ids, **(self.parties if parties else {}), **payload}
        self.f.http(t + late, self.f.event(event, t, body))

    def initiated(self, t=0.0, **more):
        self.started = t
        incoming = {"state": "parked", "start_time": stamp(t)}
        self.hook(t, "call.initiated", direction=self.direction,
                  **(incoming if self.direction == "incoming" else {"state": "bridging"}), **more)

    def answered(self, t, codec="PCMU", sampling_rate=8000, **more):
        self.hook(t, "call.answered", start_time=stamp(self.started), codec=codec, sampling_rate=sampling_rate, **more)

    def hangup(self, t, cause="normal_clearing", source="caller", sip="200", late=0.05, **more):
        self.hook(t, "call.hangup", late=late, start_time=stamp(self.started), end_time=stamp(t),
                  hangup_cause=cause, hangup_source=source, sip_hangup_cause=sip, **more)


class Socket:
    """One media socket: frames as Telnyx words them. Sound goes on from the last number by itself."""

    def __init__(self, leg, name="a", stream=1):
        self.leg, self.f, self.name, self.sequence = leg, leg.f, name, 0
        self.stream_id = f"{leg.f.serial:08x}-0000-4000-8000-00000000c{stream:03d}"

    def line(self, t, **what):
        self.f.add(t, ws=self.name, **what)

    def text(self, t, frame):
        self.line(t, text=frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":")))

    def open(self, t):
        self.line(t, open={"path": "/telnyx/media", "headers": {}})
        self.text(t + 0.05, {"event": "connected", "version": "1.0.0"})

    def start(self, t, encoding="PCMU", rate=8000, **more):
        self.sequence += 1
        leg = self.leg
        start = {"user_id": "5d8a1c3e-2222-4f6b-8a90-0c1d2e3f4a5b", "call_control_id": leg.control,
                 "call_session_id": leg.ids["call_session_id"], **leg.parties, "tags": [],
                 "client_state": leg.client_state,
                 "media_format": {"encoding": encoding, "sample_rate": rate, "channels": 1}, **more}
        self.text(t, {"event": "start", "sequence_number": str(self.sequence), "stream_id": self.stream_id, "start": start})

    def audio(self, t, file, frames, encoding="PCMU", impair=None):
        line = {"audio": {"file": file, "encoding": encoding, "frame_ms": 20}}
        if impair:
            line["impair"] = impair
        self.line(t, **line)
        self.sequence += frames

    def media(self, t, track, chunk, timestamp, payload, **more):
        self.sequence += 1
        self.text(t, {"event": "media", "sequence_number": str(self.sequence), "stream_id": self.stream_id,
                      "media": {"track": track, "chunk": chunk, "timestamp": timestamp,
                                "payload": base64.b64encode(bytes(payload)).decode()}, **more})

    def dtmf(self, t, digit, occurred):
        self.sequence += 1
        self.text(t, {"event": "dtmf", "stream_id": self.stream_id, "occurred_at": stamp(occurred),
                      "sequence_number": str(self.sequence), "dtmf": {"digit": digit}})

    def stop(self, t, close=0.05):
        self.sequence += 1
        self.text(t, {"event": "stop", "sequence_number": str(self.sequence), "stream_id": self.stream_id,
                      "stop": {"user_id": "5d8a1c3e-2222-4f6b-8a90-0c1d2e3f4a5b", "call_control_id": self.leg.control}})
        if close:
            self.line(round(t + close, 6), close=1005)


class Fixture:
    def __init__(self, name, about, source, licence, options=None):
        self.name, self.options, self.lines, self.events = name, options, [], 0
        self.serial = 0x51DE0000 + sum(ord(c) * (i + 1) for i, c in enumerate(name))
        self.head = {"sidetone_fixture": 1, "about": about, "source": source, "licence": licence, "epoch": stamp(0)}

    def add(self, t, **what):
        self.lines.append({"t": round(t, 6), **what})

    def event(self, event, t, payload, event_id=None, attempt=1):
        self.events += 1
        return {"data": {"event_type": event, "id": event_id or f"{self.serial:08x}-0000-4000-8000-{self.events:012d}",
                         "occurred_at": stamp(t), "payload": payload, "record_type": "event"},
                "meta": {"attempt": attempt, "delivered_to": "https://edge.example.net/telnyx/webhooks"}}

    def http(self, t, body):
        self.add(t, http={"path": "/telnyx/webhooks", "body": body})

    def raw(self, t, text):
        self.add(t, http={"path": "/telnyx/webhooks", "raw": text})

    def write(self, out):
        folder = f"{out}/{self.name}"
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/events.jsonl", "w", encoding="utf-8") as f:
            for line in [self.head] + self.lines:
                f.write(json.dumps(line, separators=(",", ":")) + "\n")
        if self.options:
            with open(folder + "/options", "w", encoding="utf-8") as f:
                f.write(self.options + "\n")


def called(leg, audio, seconds, impair=None, answer=4.0, stats=None):
    """A dialled leg with one stream: answered, both tracks streamed from answer + 1 s on, hung up after."""
    begin, end = answer + 1.0, answer + 1.0 + seconds
    leg.initiated(0.0)
    leg.answered(answer)
    s = Socket(leg)
    s.open(answer + 0.6)
    leg.hook(answer + 0.7, "streaming.started", parties=False, stream_url="wss://edge.example.net/telnyx/media")
    s.start(answer + 0.8)
    s.audio(begin, audio, frames=seconds * 100, impair=impair)
    s.stop(end + 0.1)
    leg.hook(end + 0.2, "streaming.stopped", parties=False, stream_url="wss://edge.example.net/telnyx/media")
    leg.hangup(end + 0.3, source="callee", call_quality_stats=stats)
    return end


STATE = state(callLogId="CALL_1789000000000_golden001", leadId="66f0a1b2c3d4e5f601234567",
              campaignId="66f0a1b2c3d4e5f60123abcd", callType="cold-call", wave=7)
STATS = {"inbound": {"jitter_max_variance": "7.31", "jitter_packet_count": "0", "mos": "4.49",
                     "packet_count": "1012", "skip_packet_count": "11"},
         "outbound": {"packet_count": "1007", "skip_packet_count": "0"}}


# ---- the sessions --------------------------------------------------------------------------------

def clean_outbound():
    f = Fixture("clean-outbound", "a dialled call of 20 s without a fault: the called party is inbound, so the lead", **LONG)
    called(Leg(f, client_state=STATE), "../audio/call-20s.wav", 20, stats=STATS)
    return f


def telephone_sample():
    f = Fixture("telephone-sample", "the turn table of speech-metrics.md 4 as a call: a mono mix made two-track by its labels "
                "(speaker91 inbound, speaker90 outbound, overlap on both)",
                source="telephone-sample of pyannote-audio, 16 kHz made 8 kHz by tests/tools/make_fixtures.py",
                licence="MIT, see fixtures/LICENSES/pyannote-audio")
    leg = Leg(f, direction="incoming", client_state=state(leadId="66f0a1b2c3d4e5f601234567"))
    called(leg, "call.wav", 30, answer=1.0)
    return f


def random_loss():
    f = Fixture("random-loss", "5 % of the frames of each track never come, independently", **LONG)
    called(Leg(f, client_state=STATE), "../audio/call-20s.wav", 20, impair={"seed": 11, "loss": 0.05})
    return f


def bursty_loss():
    f = Fixture("bursty-loss", "5 % of the frames are missing in runs of 4 on average, with packet loss concealment assumed",
                options="-o quality.plc=yes", **LONG)
    called(Leg(f, client_state=STATE), "../audio/call-20s.wav", 20, impair={"seed": 12, "loss": 0.05, "burst": 4})
    return f


def stalls(name, about, options):
    f = Fixture(name, about, options=options, **LONG)
    called(Leg(f, client_state=STATE), "../audio/call-20s.wav", 20,
           impair={"seed": 13, "jitter_ms": 8, "stall": [[3.0, 0.15], [8.0, 0.6], [15.0, 1.5]]})
    return f


def reordering():
    f = Fixture("reordering", "frames swapped with their successors (4 %) and sent twice (3 %), nothing lost", **LONG)
    called(Leg(f, client_state=STATE), "../audio/call-20s.wav", 20, impair={"seed": 14, "reorder": 0.04, "duplicate": 0.03})
    return f


def late_pcma():
    f = Fixture("late-pcma", "media overtakes its start by 0.7 s, and the start then says PCMA", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.audio(2.0, "../audio/call-8s.wav", 800, encoding="PCMA")
    s.start(2.705, encoding="PCMA")
    s.stop(10.1)
    leg.hangup(10.3)
    return f


def format_change():
    f = Fixture("format-change", "a second start on the same socket: PCMU until 10 s, PCMA from there", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7)
    s.audio(2.0, "../audio/call-8s.wav", 800)
    s.start(10.005, encoding="PCMA")
    s.audio(10.02, "../audio/call-8s.wav", 800, encoding="PCMA")
    s.stop(18.1)
    leg.hangup(18.3)
    return f


def hangup_first():
    f = Fixture("hangup-first", "the webhooks of a whole call in reverse order, each once more than once", **SILENT)
    leg = Leg(f, direction="incoming", client_state=STATE)
    leg.started = 1.0
    leg.hangup(31.5, source="callee")
    leg.hook(11.0, "call.bridged", late=20.7)
    leg.answered(3.2, late=28.6)
    leg.initiated(1.0, late=31.0)
    again = dict(f.lines[2]["http"]["body"])
    again["meta"] = {**again["meta"], "attempt": 2}
    f.http(33.0, again)
    moved = json.loads(json.dumps(f.lines[1]["http"]["body"]))
    moved["data"]["id"], moved["meta"]["attempt"] = f"{f.serial:08x}-0000-4000-8000-00000000beef", 2
    f.http(33.1, moved)
    return f


def unanswered(name, about, cause, source, sip, end, direction="outgoing"):
    f = Fixture(name, about, **SILENT)
    leg = Leg(f, direction=direction, client_state=STATE)
    leg.initiated(0.0)
    leg.hangup(end, cause=cause, source=source, sip=sip, call_quality_stats=None)
    return f


def machine(name, about, kind, result, greeting, greeting_result):
    f = Fixture(name, about, **SHORT)
    leg = Leg(f, client_state=state(leadId="66f0a1b2c3d4e5f601234567", callLogId="not a log id"))
    leg.initiated(0.0)
    leg.answered(3.0)
    s = Socket(leg)
    s.open(3.5)
    s.start(3.7)
    s.audio(4.0, "../audio/call-8s-mono.wav", 400)
    leg.hook(7.5, kind, result=result)
    leg.hook(11.2, greeting, result=greeting_result)
    s.stop(12.1)
    leg.hangup(12.3, source="caller")
    return f


def dtmf(name, about, webhooks):
    f = Fixture(name, about, **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7)
    s.audio(2.0, "../audio/call-8s.wav", 800)
    presses = [(3.11, "4"), (3.61, "2"), (4.105, "#")]
    arrivals = [3.3, 4.31, 4.3]  # the last two overtake one another
    for (t, digit), arrives in zip(presses, arrivals):
        s.dtmf(arrives, digit, t)
        if webhooks:
            leg.hook(t, "call.dtmf.received", late=round(arrives + 0.1 - t, 6), digit=digit)
    if webhooks:
        leg.hook(4.6, "call.gather.ended", digits="42", status="valid")
    s.stop(10.1)
    leg.hangup(10.3)
    return f


def reconnect():
    f = Fixture("reconnect", "the socket breaks off without stop, 2.5 s later Telnyx comes again with a new stream: two parts, an outage", **SHORT)
    leg = Leg(f, direction="incoming", client_state=STATE)
    leg.initiated(0.0)
    leg.answered(1.0)
    a = Socket(leg, "a", 1)
    a.open(1.5)
    a.start(1.7)
    a.audio(2.0, "../audio/call-8s.wav", 800)
    a.line(10.0, close=1006)
    b = Socket(leg, "b", 2)
    b.open(12.1)
    b.start(12.3)
    b.audio(12.48, "../audio/call-8s.wav", 800)
    b.stop(20.6)
    leg.hangup(20.8)
    return f


def takeover():
    f = Fixture("takeover", "a second socket of the leg while the first still sends: the newest wins, the older one is ignored", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    a, b = Socket(leg, "a", 1), Socket(leg, "b", 2)
    a.open(1.5)
    a.start(1.7)
    a.audio(2.0, "../audio/call-8s.wav", 800)
    b.open(5.5)
    b.start(6.01)
    b.audio(6.02, "../audio/call-8s.wav", 800)
    b.stop(14.1)
    leg.hangup(14.3)
    a.line(14.4, close=1005)
    return f


def two_legs():
    f = Fixture("two-legs", "two legs of one session, bridged, each with a stream of its own; the second leg is our agent's",
                options="-o calls.party=inbound=lead", **SHORT)
    one = Leg(f, 1, "incoming", client_state=state(leadId="66f0a1b2c3d4e5f601234567", kevinAvailable=True))
    two = Leg(f, 2, "outgoing", client_state=state(leadId="66f0a1b2c3d4e5f601234567", party="agent",
                                                  transferType="hot", conferenceName="transfer-1"))
    one.initiated(0.0)
    one.answered(1.0)
    two.initiated(1.5)
    two.answered(2.5)
    one.hook(2.75, "call.bridged")
    two.hook(2.75, "call.bridged")
    for leg, name, t in ((one, "a", 3.0), (two, "b", 3.3)):
        s = Socket(leg, name, leg.number)
        s.open(t)
        s.start(t + 0.2)
        s.audio(t + 0.5, "../audio/call-8s.wav", 800)
        s.stop(t + 8.6)
        leg.hangup(t + 8.8, source="callee" if leg is one else "caller")
    return f


def media_only():
    f = Fixture("media-only", "no webhook at all: known by its stream, given up 120 s after the socket closed", **SHORT)
    leg = Leg(f, direction="incoming")
    s = Socket(leg)
    s.open(0.0)
    s.start(0.2)
    s.audio(0.5, "../audio/call-8s.wav", 800)
    s.stop(8.6)
    return f


def lost():
    f = Fixture("lost", "the stream ends without stop and no hang-up ever comes; a cost of the leg comes late", **SHORT)
    leg = Leg(f, direction="incoming", client_state=STATE)
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7)
    s.audio(2.0, "../audio/call-8s.wav", 800)
    s.line(10.5, close=1006)
    leg.hook(60.0, "call.cost", parties=False, status="error", total_cost=None, billed_duration_secs=None,
             billing_group_id=None, occurred_at=stamp(60.0), cost_parts=[])
    return f


def after_call():
    f = Fixture("after-call", "hold and unhold, a recording, a transcription, a stream that failed, and a cost after the end", **SILENT)
    leg = Leg(f, direction="incoming", client_state=STATE)
    leg.initiated(0.0, caller_id_name="Ada Example", shaken_stir_validated=True, tags=["edge"])
    leg.answered(2.5)
    leg.hook(3.1, "streaming.failed", parties=False, failure_reason="connection_failed", stream_type="websocket",
             stream_id="9b1c6a52-1f1d-4d0a-9b7e-3c1f5a6d2e10",
             stream_params={"stream_url": "wss://edge.example.net/telnyx/media", "stream_track": "both_tracks"})
    leg.hook(9.0, "call.hold")
    leg.hook(10.0, "call.hold")
    leg.hook(15.9, "call.unhold")
    for t, track, text, final, confidence in ((5.0, "inbound", "hello", False, 0.5), (5.4, "inbound", "Hello there.", True, 0.93),
                                              (7.2, "outbound", "How can I help?", True, 0.97)):
        leg.hook(t, "call.transcription", parties=False,
                 transcription_data={"confidence": confidence, "is_final": final, "transcript": text, "transcription_track": track})
    leg.hangup(30.25, source="callee", call_quality_stats={"inbound": {"mos": "4.50", "packet_count": "0", "skip_packet_count": "101"}})
    leg.hook(31.0, "call.recording.saved", parties=False, channels="dual", format="mp3",
             recording_id="a1b2c3d4-0000-4000-8000-000000000001",
             recording_started_at=stamp(3.0), recording_ended_at=stamp(30.2),
             recording_urls={"mp3": "https://recordings.example.net/r/1.mp3?X=1", "wav": None}, public_recording_urls={})
    leg.hook(33.0, "call.recording.error", parties=False, reason="Internal server error")
    leg.hook(40.0, "call.cost", parties=False, status="success", total_cost="0.0105", billed_duration_secs=90,
             billing_group_id=None, occurred_at=stamp(40.0),
             cost_parts=[{"call_part": "sip-trunking", "cost": "0.0105", "currency": "USD", "rate": "0.007", "billed_duration_secs": 90}])
    leg.hook(41.0, "call.cost", parties=False, status="success", total_cost="0.1234567", billed_duration_secs=90,
             billing_group_id=None, occurred_at=stamp(41.0), cost_parts=[])
    return f


def bad_input():
    f = Fixture("bad-input", "all that is no webhook and no frame among a good call: none of it may change a figure", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    good = f.lines[0]["http"]["body"]
    v1 = {"record_type": "event", "id": "11111111-0000-4000-8000-000000000001", "event_type": "call_initiated",
          "created_at": stamp(0.2), "payload": {**leg.ids, "occurred_at": stamp(0.2)}}
    for i, text in enumerate(("", "not json", "{\"data\":", "[]", "null", "{}", "{\"data\":{}}", json.dumps(v1),
                              "{\"data\":{\"event_type\":\"call.hangup\",\"payload\":{}}}",
                              "{\"data\":{\"id\":\"x\",\"payload\":{}}}", json.dumps(good) + "}",
                              "[" * 5000)):
        f.raw(0.2 + i / 100, text)
    lone = f.event("call.speak.ended", 1.41, {**leg.ids, "status": "LONE"})  # half a surrogate pair is RFC 8259 JSON
    f.raw(0.4, json.dumps(lone).replace("LONE", "\\ud800"))
    leg.answered(1.0)
    f.http(1.2, f.lines[0]["http"]["body"])  # the first webhook once more
    leg.hook(1.3, "call.something.new", fresh={"deep": [1, 2.5, None]})
    leg.hook(1.35, "call.payment.progress", card="4111", routing_number="011000015")
    huge = json.dumps(f.event("call.speak.started", 1.4, {**leg.ids, "speak_id": "HUGE"}))
    f.raw(1.45, huge.replace("\"HUGE\"", "123456789012345678901234567890, \"tiny\": 1e999, \"nul\": \"a\\u0000b\""))
    f.http(1.48, f.event("conference.created", 1.4, {"conference_id": "c-1", "occurred_at": stamp(1.4)}))
    f.raw(1.49, json.dumps({"record_type": "event", "event_type": "conference.floor.changed", "id": "fl-1",
                            "payload": {"conference_id": "c-1", "occurred_at": stamp(1.4)}}))
    s = Socket(leg)
    s.open(1.5)
    s.text(1.56, {"event": "connected", "version": "1.0.0", "protocol": "Call", "connected": {}})
    s.start(1.7)
    s.audio(2.0, "../audio/call-8s.wav", 800)
    good_media = {"event": "media", "sequence_number": "5", "stream_id": s.stream_id,
                  "media": {"track": "inbound", "chunk": "5", "timestamp": "80", "payload": "//////////8="}}

    def media(**change):
        return {**good_media, "media": {**good_media["media"], **change}}
    bad = ["", "{", "[]", "\"media\"", "null", "{\"event\":7}", {"event": "media"}, {"event": "telemetry", "x": 1},
           media(payload="!!!!"), media(payload="A"), media(payload=""), media(payload=None), media(track="sideways"),
           media(payload="A" * 4 * 22000), {"event": "start", "stream_id": "x"}, {"event": "dtmf", "dtmf": {}},
           {"event": "dtmf", "dtmf": {"digit": "12"}}, {"event": "mark", "mark": {"name": "utt-1"}},
           {"event": "error", "stream_id": s.stream_id, "payload": {"code": "100004", "title": "invalid_media", "detail": "no base64"}}]
    for i, frame in enumerate(bad):
        s.text(2.5 + i / 10, frame)
    s.text(9.95, {"event": "clear"})
    s.stop(10.1)
    s2 = Socket(leg, "lonely", 9)
    s2.open(3.0)
    s2.media(3.1, "inbound", "1", "0", [255] * 160)
    s2.line(3.5, close=1005)
    leg.hangup(10.3)
    return f


def tone_frame(index, salt):
    """160 bytes of faint noise, the same everywhere: 32-bit xorshift."""
    x, out = (index * 2654435761 + salt) & 0xFFFFFFFF or 1, []
    for _ in range(160):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        out.append(0xFF - x % 4 if x & 16 else 0x7F - x % 4)
    return out


def shared_chunks():
    f = Fixture("shared-chunks", "one chunk counter for both tracks, numbers as numbers, timestamps in RTP ticks from an odd start; "
                "three frames of the inbound track and one of the outbound track are missing", **SILENT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7)
    gone = {("inbound", 100), ("inbound", 101), ("inbound", 200), ("outbound", 150)}
    for i in range(300):
        for k, track in enumerate(("inbound", "outbound")):
            if (track, i) not in gone:
                s.media(2.0 + i * 0.02 + k * 0.001, track, 7001 + 2 * i + k, 123456 + 160 * i, tone_frame(i, k))
    s.stop(8.1)
    leg.hangup(8.3)
    return f


def one_track():
    f = Fixture("one-track", "the inbound track alone, as Telnyx streams it by default; inbound is the agent's by configuration",
                options="-o calls.party=inbound=agent", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7)
    s.audio(2.0, "../audio/call-8s-mono.wav", 400)
    s.stop(10.1)
    leg.hangup(10.3)
    return f


def l16():
    f = Fixture("l16", "linear samples at 8 kHz, little-endian as Telnyx is seen to send them", **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7, encoding="L16")
    s.audio(2.0, "../audio/call-8s.wav", 800, encoding="L16")
    s.stop(10.1)
    leg.hangup(10.3)
    return f


def g722():
    f = Fixture("g722", "a wideband stream of a narrowband leg, not decoded but rated, as narrow; then a codec that nobody knows", **SILENT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7, encoding="G722", rate=16000)
    for i in range(300):
        if i not in (50, 51, 52):
            s.media(2.0 + i * 0.02, "inbound", str(i + 1), str(20 * i), tone_frame(i, 0))
    s.start(8.1, encoding="HYPERVOX", rate=96000)
    for i in range(300, 310):
        s.media(2.2 + i * 0.02, "inbound", str(i + 1), str(20 * i), tone_frame(i, 0))
    s.stop(8.6)
    leg.hangup(8.8)
    return f


def amr_wb():
    """Tight frames by their table of contents: 12.65, silence, 23.85; two damaged, one lost before the carrier."""
    f = Fixture("amr-wb", "AMR-WB not decoded: its modes, silence and damage upstream are read from the heads of the payloads",
                **SILENT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0, codec="AMR-WB", sampling_rate=16000)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7, encoding="AMR-WB", rate=16000)
    size = {2: 33, 8: 61, 9: 7, 14: 2}
    for i in range(1000):
        mode = 9 if 600 <= i < 650 else 14 if i == 820 else 2 if i < 700 else 8
        damaged = i in (810, 811)
        payload = bytes((0xF0 | mode >> 1, (mode & 1) << 7 | (0 if damaged else 0x40)))
        s.media(2.0 + i * 0.02, "inbound", str(i + 1), str(20 * i), (payload + bytes(tone_frame(i, 0)))[:size[mode]])
    s.stop(22.1)
    leg.hangup(22.3)
    return f


def opus():
    """One packet a frame of 20 ms: hybrid super-wideband at varying sizes, silence of one byte, then narrowband."""
    f = Fixture("opus", "Opus not decoded: band, bit rate and silence are read from the heads of the payloads; three are missing",
                **SILENT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(1.0, codec="OPUS", sampling_rate=48000)
    s = Socket(leg)
    s.open(1.5)
    s.start(1.7, encoding="OPUS", rate=48000)
    for i in range(1000):
        config, size = (13, 55 + i % 16) if i < 700 else (1, 22)
        if 300 <= i < 350:
            size = 1
        if i not in (500, 520, 540):
            s.media(2.0 + i * 0.02, "inbound", str(i + 1), str(20 * i), (bytes((config << 3,)) + bytes(tone_frame(i, 0)))[:size])
    s.stop(22.1)
    leg.hangup(22.3)
    return f


def late_media():
    f = Fixture("late-media", "the hang-up comes while the stream runs: it has 5 s more, the rest is ignored; the socket never closes",
                **SHORT)
    leg = Leg(f, direction="incoming")
    leg.initiated(0.0)
    leg.answered(0.5)
    s = Socket(leg)
    s.open(0.6)
    s.start(0.8)
    s.audio(1.0, "../audio/call-8s.wav", 800)
    leg.hangup(1.995, late=0.005)
    return f


def echo():
    f = Fixture("echo", "what the agent says comes back in the caller's track after 180 ms, 16 dB weaker: measured, and a finding",
                **ECHO)
    leg = Leg(f, direction="incoming", client_state=STATE)
    called(leg, "call.wav", 24, answer=1.0)
    return f


def one_way():
    f = Fixture("one-way", "the caller is heard, far too loud; what we send is silence all along. The carrier says that the sound is "
                "bad, our stream of it is whole: disputed", **ONE_WAY)
    leg = Leg(f, direction="incoming", client_state=STATE)
    called(leg, "call.wav", 24, answer=1.0,
           stats={"inbound": {"jitter_max_variance": "118.42", "jitter_packet_count": "0", "mos": "3.12", "packet_count": "1180",
                              "skip_packet_count": "64"}, "outbound": {"packet_count": "1204", "skip_packet_count": "0"}})
    return f


def unfinished():
    f = Fixture("unfinished", "no end at all: one leg on hold, one that only rings; printed as they stand", **SILENT)
    one, two = Leg(f, 1, "incoming", client_state=STATE), Leg(f, 2, "outgoing")
    one.initiated(0.0)
    one.answered(1.0)
    two.initiated(5.0)
    one.hook(6.0, "call.hold")
    return f


def sessions():
    return [
        clean_outbound(), telephone_sample(), random_loss(), bursty_loss(),
        stalls("stalls", "jitter of 8 ms and three stalls of 0.15, 0.6 and 1.5 s, no frame lost", None),
        stalls("stalls-asr", "the stalls again for a consumer that just reads: nothing is discarded",
               "-o quality.consumer=asr_stream"),
        reordering(), late_pcma(), format_change(), hangup_first(),
        unanswered("no-answer", "dialled, rings for 30 s, nobody answers", "timeout", "unknown", "487", 30.0),
        unanswered("busy", "dialled, busy", "user_busy", "callee", "486", 2.75),
        unanswered("cancelled", "an inbound call whose caller gives up before the answer", "originator_cancel", "caller", "487",
                   12.0, "incoming"),
        unanswered("cause-unknown", "dialled, ends with a cause nobody has heard of", "subscriber_absent", "callee", "480", 5.0),
        machine("machine", "dialled, answered by a machine", "call.machine.detection.ended", "machine",
                "call.machine.greeting.ended", "ended"),
        machine("machine-premium", "dialled, premium detection says a business", "call.machine.premium.detection.ended",
                "human_business", "call.machine.premium.greeting.ended", "no_beep_detected"),
        dtmf("dtmf", "three keys, told by webhook and by stream: each counts once", True),
        dtmf("dtmf-stream", "three keys that only the stream tells, out of order", False),
        reconnect(), takeover(), two_legs(), media_only(), bad_input(), shared_chunks(), one_track(), lost(), after_call(),
        l16(), g722(), amr_wb(), opus(), late_media(), unfinished(), echo(), one_way(),
    ]


def main(shared, out, *names):
    make_sound(shared, out)
    for f in sessions():
        if not names or f.name in names:
            f.write(out)


main(*sys.argv[1:])
