"""Telnyx as a client: webhooks of a call, and media streams over python3-websockets (telnyx-protocol.md 1 and 2).
Streams live on one loop in a thread of its own; every method here waits for it and has a deadline."""
import asyncio
import base64
import concurrent.futures
import contextlib
import datetime
import functools
import hashlib
import hmac
import itertools
import json
import threading
import time
import uuid

import websockets

from harness import DEADLINE_S, ROOT, call_log_id

TOKEN_HEADER = "x-telnyx-streaming-auth-token"


def now(offset_s=0.0):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event(kind, payload=None, *, identity=None, occurred_at=None, attempt=1, **more):
    data = {"event_type": kind, "id": identity or str(uuid.uuid4()), "occurred_at": occurred_at or now(),
            "payload": payload if payload is not None else {}, "record_type": "event", **more}
    return {"data": data, "meta": {"attempt": attempt, "delivered_to": "https://edge.example.net/telnyx/webhooks"}}


def derived_key(token, leg, expiry):
    """Contract 3: what auto_stream puts into the path."""
    code = hmac.new(token.encode(), f"{leg}.{expiry}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(f"{expiry}.".encode() + code).decode().rstrip("=")


class Call:
    """One leg and its webhooks."""

    def __init__(self, agent, leg=None, session=None, direction="incoming", client_state=None):
        self.agent, self.direction, self.client_state = agent, direction, client_state
        self.leg = leg or f"v3:E2E-{uuid.uuid4()}"
        self.session = session or str(uuid.uuid4())
        self.begin = time.time()
        self.start_time = now()
        self.leg_id = str(uuid.uuid4())

    @property
    def id(self):
        return call_log_id(self.leg)

    def event(self, kind, *, identity=None, occurred_at=None, attempt=1, **payload):
        common = {"call_control_id": self.leg, "call_leg_id": self.leg_id, "call_session_id": self.session,
                  "connection_id": "2900000000000000001", "client_state": self.client_state,
                  "from": "+15550100001", "to": "+15550100002"}
        return event(kind, {**common, **payload}, identity=identity, occurred_at=occurred_at, attempt=attempt)

    def tell(self, kind, **payload):
        """Signed, sent, acknowledged; gives back the event."""
        told = self.event(kind, **payload)
        answer = self.agent.webhook(told)
        assert answer.status_code == 200, (kind, answer.status_code)
        return told

    def initiated(self, **more):
        usual = {"direction": self.direction, "state": "parked", "start_time": self.start_time}
        return self.tell("call.initiated", **{**usual, **more})

    def answered(self, **more):
        return self.tell("call.answered", start_time=self.start_time, codec="PCMU", sampling_rate=8000, **more)

    def hangup(self, cause="normal_clearing", **more):
        usual = {"hangup_source": "caller", "sip_hangup_cause": "200", "start_time": self.start_time, "end_time": now()}
        return self.tell("call.hangup", hangup_cause=cause, **{**usual, **more})

    def stream(self, **more):
        return Stream(self.agent, self, **more)


class Loop:
    """The loop of all streams."""

    _one = None

    @classmethod
    def run(cls, coroutine, timeout=DEADLINE_S):
        if cls._one is None:
            cls._one = asyncio.new_event_loop()
            threading.Thread(target=cls._one.run_forever, daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(coroutine, cls._one)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise AssertionError(f"nothing within {timeout} s from the media socket") from None


class Stream:
    """One media socket. Numbers go on by themselves; frame() makes what send() carries."""

    def __init__(self, agent, call, path="/telnyx/media", headers=None, scheme="ws", ssl=None, connect=True):
        self.agent, self.call = agent, call
        self.stream_id = str(uuid.uuid4())
        self.longest_pause_s = 0  # of play()
        self.sequence = itertools.count(1)
        self.chunks = {"inbound": itertools.count(1), "outbound": itertools.count(1)}
        self.uri = f"{scheme}://{agent.public}{path}"
        self.ws = Loop.run(self._open(headers or {}, ssl)) if connect else None

    async def _open(self, headers, ssl):
        return await websockets.connect(self.uri, extra_headers=headers, max_size=None, ping_interval=None, ssl=ssl,
                                        open_timeout=DEADLINE_S, close_timeout=DEADLINE_S)

    # ---- bytes

    def send(self, *messages):
        """Text (str, dict), binary (bytes), or a list of pieces: a fragmented message."""
        async def go():
            for message in messages:
                await self.ws.send(json.dumps(message) if isinstance(message, dict) else message)
        Loop.run(go())

    def pour(self, *messages):
        """As send(), for a socket that the server may close meanwhile."""
        with contextlib.suppress(websockets.ConnectionClosed):
            self.send(*messages)

    def sync(self):
        """A ping is answered behind everything that was sent before it."""
        async def go():
            await (await self.ws.ping())
        Loop.run(go())

    def closed(self, timeout=DEADLINE_S):
        """Waits for the server's close frame; gives its code."""
        async def go():
            await self.ws.wait_closed()
            return self.ws.close_code
        return Loop.run(go(), timeout)

    @property
    def open(self):
        return self.ws.open

    def close(self, code=1000):
        Loop.run(self.ws.close(code))

    def close_without_code(self):
        """What 1005 stands for: an empty close frame, as a live test saw it (telnyx-protocol.md 1.2)."""
        async def go():
            await self.ws.write_frame(True, 8, b"")
            await self.ws.wait_closed()
        Loop.run(go())

    def drop(self):
        """The connection breaks: no close frame."""
        async def go():
            self.ws.transport.abort()
            await self.ws.wait_closed()
        Loop.run(go())

    # ---- frames

    def connected(self, token=None, nested=True):
        frame = {"event": "connected", "version": "1.0.0"}
        if token is not None:
            frame.update({"connected": {TOKEN_HEADER: token}} if nested else {TOKEN_HEADER: token})
        self.send(frame)
        return self

    def start(self, *words, **more):
        self.send(self.started(*words, **more))
        return self

    def started(self, encoding="PCMU", rate=8000, numbers=False, leg=None, **more):
        media_format = {"encoding": encoding, "sample_rate": str(rate) if numbers else rate, "channels": 1}
        start = {"user_id": str(uuid.uuid4()), "call_control_id": leg or self.call.leg,
                 "call_session_id": self.call.session, "from": "+15550100001", "to": "+15550100002",
                 "media_format": media_format, **more}
        return self.numbered({"event": "start", "stream_id": self.stream_id, "start": start}, numbers)

    def numbered(self, frame, numbers=False):
        number = next(self.sequence)
        return {**frame, "sequence_number": number if numbers else str(number)}

    def frame(self, payload=None, track="inbound", numbers=False, chunk=None, timestamp=None, ptime_ms=20):
        chunk = next(self.chunks[track]) if chunk is None else chunk
        timestamp = (chunk - 1) * ptime_ms if timestamp is None else timestamp
        text = (lambda n: n) if numbers else str
        media = {"track": track, "chunk": text(chunk), "timestamp": text(timestamp),
                 "payload": base64.b64encode(payload if payload is not None else b"\xff" * 160).decode()}
        return self.numbered({"event": "media", "stream_id": self.stream_id, "media": media}, numbers)

    def frames(self, count, track="inbound", **more):
        return [self.frame(track=track, **more) for _ in range(count)]

    def media(self, count, tracks=("inbound",), **more):
        """As fast as it goes."""
        self.send(*[self.frame(track=track, **more) for _ in range(count) for track in tracks])
        return self

    def play(self, sound, seconds, ptime_ms=20):
        """Both tracks in real time, one frame each packet time; late ones follow at once."""
        begin = before = time.monotonic()
        for i in range(int(seconds * 1000) // ptime_ms):
            self.send(*[self.frame(sound[track](i), track) for track in sound])
            now_s = time.monotonic()
            self.longest_pause_s, before = max(self.longest_pause_s, now_s - before), now_s
            pause = begin + (i + 1) * ptime_ms / 1000 - time.monotonic()
            if pause > 0:
                time.sleep(pause)  # Telnyx's own pace, not a wait for the agent
        return self

    def stop(self):
        self.send(self.numbered({"event": "stop", "stream_id": self.stream_id,
                                 "stop": {"user_id": "u", "call_control_id": self.call.leg}}))
        return self

    def end(self):
        """Stop and a close without complaint, everything before it taken in."""
        self.stop()
        self.sync()
        self.close()


@functools.lru_cache
def mulaw_tracks(path=ROOT / "fixtures/demo/call.wav"):
    """The raw mu-law bytes of a fixture's stereo file: {'inbound': i -> 160 bytes, …}."""
    raw = path.read_bytes()
    at = raw.index(b"data")
    size = int.from_bytes(raw[at + 4:at + 8], "little")
    data = raw[at + 8:at + 8 + size]
    sides = {"inbound": data[0::2], "outbound": data[1::2]}
    return {track: (lambda i, s=s: s[i * 160:(i + 1) * 160]) for track, s in sides.items()}
