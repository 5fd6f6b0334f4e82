"""Telnyx' pace: the frames of several calls in real time, each call by a clock of its own, all from one thread with
absolute deadlines, so that being late once does not make everything behind it late."""
import heapq
import json
import random
import threading
import time

from wire import CLOSE, TEXT, Socket, frame

PTIME_S = 0.020
RECONNECT_S = 1.0


def quiet_noise(seed, count=64):
    """Payloads of 20 ms PCMU that no two of are equal and nobody would call speech."""
    dice = random.Random(seed)
    return [bytes(dice.choice((0xFF, 0xFE, 0xFD, 0x7F, 0x7E)) for _ in range(160)) for _ in range(count)]


class Talk:
    """One call's inbound track through `address`. When its connection breaks the rest goes on in the next stream, a
    new one to the agent. All bytes are made beforehand: while it talks it only sends."""

    def __init__(self, call, address, count, skew_ppm=0, phase_s=0.0, streams=1):
        self.call, self.address, self.left = call, address, count
        self.period_s = PTIME_S * (1 + skew_ppm * 1e-6)
        self.phase_s = phase_s
        noise = quiet_noise(count)
        self.streams = iter([self._stream(noise) for _ in range(streams)])

    def _stream(self, noise):
        stream = self.call.stream(connect=False)  # it makes the frames only
        head = self._bytes({"event": "connected", "version": "1.0.0"}) + self._bytes(stream.started())
        frames = [self._bytes(stream.frame(noise[i % len(noise)])) for i in range(self.left)]
        stop = {"event": "stop", "stream_id": stream.stream_id, "stop": {"call_control_id": self.call.leg}}
        return head, frames, self._bytes(stream.numbered(stop)) + frame(CLOSE, (1000).to_bytes(2, "big"))

    @staticmethod
    def _bytes(message):
        return frame(TEXT, json.dumps(message).encode())

    def connect(self):
        head, self.frames, self.tail = next(self.streams)
        self.socket = Socket(self.address)
        assert self.socket.greeting.status == 101
        self.socket.send(head)

    def begin(self, at_s):
        self.begin_s, self.sent = at_s + self.phase_s, 0

    @property
    def due_s(self):
        return self.begin_s + self.sent * self.period_s

    def step(self):
        """The next frame; False when it was the last."""
        try:
            self.socket.send(self.frames[self.sent])
        except OSError:
            self.socket.socket.close()
            self.left -= self.sent
            self.connect()
            self.begin(time.monotonic() + RECONNECT_S)
            return True
        self.sent += 1
        if self.sent == self.left:
            self.socket.send(self.tail)
            return False
        return True

    def finish(self):
        """The far end has taken everything in and says so."""
        code = self.socket.close_code()
        self.socket.socket.close()
        return code


class Sender:
    """All talks at once. start(), then join()."""

    def __init__(self, talks):
        self.talks, self.fault = talks, None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        for talk in self.talks:
            talk.connect()
        begin_s = time.monotonic() + PTIME_S
        for talk in self.talks:
            talk.begin(begin_s)
        self.thread.start()
        return self

    def join(self, within_s):
        self.thread.join(within_s)
        assert not self.thread.is_alive(), f"frames left after {within_s} s"
        assert self.fault is None, self.fault

    def _run(self):
        try:
            self._pace()
        except Exception as fault:  # told by join(), in the test's own thread
            self.fault = fault

    def _pace(self):
        due = [(talk.due_s, i) for i, talk in enumerate(self.talks)]
        heapq.heapify(due)
        while due:
            at_s, i = due[0]
            pause_s = at_s - time.monotonic()
            if pause_s > 0:
                time.sleep(pause_s)  # the pace of a telephone call, not a wait for the agent
            if self.talks[i].step():
                heapq.heapreplace(due, (self.talks[i].due_s, i))
            else:
                heapq.heappop(due)
