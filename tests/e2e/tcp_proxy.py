"""A TCP proxy before the agent's media port that knows where WebSocket messages begin and end. Each way through it
spoils a call in one manner; when every frame went on, and by when the agent had certainly read it, is written down.

How the second is known: behind the frames of every write goes a ping of the proxy's own with the write's number. The
agent reads both at once and answers from within that read, so its one clock reading lies between Write.early_s and
Write.late_s, however busy the machine is. The client sees neither ping nor pong."""
import collections
import dataclasses
import json
import math
import selectors
import socket
import threading
import time

from harness import DEADLINE_S
from wire import PING, TEXT, frame

PONG = 10


# ---- ways: take() says what goes on when: [(due_s, [message, …])]. FIFO: nothing overtakes what is still to go.


class Clean:
    cut_after = None  # the connection ends behind so many frames

    def take(self, n, message, now_s):  # n: from 1
        return [(now_s, [message])]


class Step(Clean):
    """From one frame on everything is later."""

    def __init__(self, at, add_s):
        self.at, self.add_s = at, add_s

    def take(self, n, message, now_s):
        return [(now_s + (self.add_s if n >= self.at else 0), [message])]


class HeadOfLine(Clean):
    """Every so many frames a segment is lost, and all behind it waits until it was sent again."""

    def __init__(self, every, hold_s):
        self.every, self.hold_s = every, hold_s

    def take(self, n, message, now_s):
        return [(now_s + (self.hold_s if n % self.every == self.every // 2 else 0), [message])]


class Bunches(Clean):
    def __init__(self, size):
        self.size, self.kept = size, []

    def take(self, n, message, now_s):
        self.kept.append(message)
        if len(self.kept) < self.size:
            return []
        kept, self.kept = self.kept, []
        return [(now_s, kept)]


class SwappedPairs(Clean):
    """Of every so many frames one waits for the next and goes behind it."""

    def __init__(self, every):
        self.every, self.kept = every, []

    def take(self, n, message, now_s):
        if n % self.every == self.every // 2:
            self.kept = [message]
            return []
        kept, self.kept = self.kept, []
        return [(now_s, [message, *kept])]


class Cut(Clean):
    """The first connection only; the next one of the same call goes through."""

    def __init__(self, after):
        self.cut_after = after


# ---- messages


@dataclasses.dataclass
class Frame:
    chunk: int
    timestamp_ms: int
    came_s: float  # into the proxy


@dataclasses.dataclass
class Write:
    early_s: float  # just before it
    frames: list
    late_s: float = math.inf  # the agent's answer was here


def split(buffer, masked):
    """The next whole WebSocket frame: (opcode, its bytes, its payload in clear), or None."""
    if len(buffer) < 2:
        return None
    size, at = buffer[1] & 0x7F, 2
    if size > 125:
        form = 2 if size == 126 else 8
        size, at = int.from_bytes(buffer[2:2 + form], "big"), 2 + form
        if len(buffer) < at:
            return None
    at += 4 if masked else 0
    if len(buffer) < at + size:
        return None
    payload = bytes(buffer[at:at + size])
    if masked and size:
        key = (bytes(buffer[at - 4:at]) * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return buffer[0] & 0x0F, bytes(buffer[:at + size]), payload


class Link:
    """One connection through the proxy."""

    def __init__(self, client, target, way):
        self.client, self.way = client, way
        self.server = socket.create_connection(target, timeout=DEADLINE_S)
        for end in (client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.from_client, self.from_server = bytearray(), bytearray()
        self.greeted = {client: False, self.server: False}
        self.queue = collections.deque()  # (due_s, bytes, Frame or None)
        self.writes, self.answered = [], 0
        self.came = self.sent = 0  # frames
        self.gone = False

    # ---- towards the agent

    def client_said(self, data, now_s):
        self.from_client += data
        self._pass_head(self.client, self.from_client, self.server)
        while self.greeted[self.client] and (found := split(self.from_client, masked=True)):
            opcode, whole, payload = found
            del self.from_client[:len(whole)]
            message = json.loads(payload) if opcode == TEXT else {}
            if message.get("event") != "media":
                self._queue(now_s, whole, None)
                continue
            self.came += 1
            media = message["media"]
            came = Frame(int(media["chunk"]), int(media["timestamp"]), now_s)
            for due_s, messages in self.way.take(self.came, (whole, came), now_s):
                for one in messages:
                    self._queue(due_s, *one)

    def _queue(self, due_s, data, came):
        last_s = self.queue[-1][0] if self.queue else 0
        self.queue.append((max(due_s, last_s), data, came))

    @property
    def due_s(self):
        return self.queue[0][0] if self.queue else math.inf

    def flush(self, now_s):
        """All that is due; frames in one write."""
        while not self.gone and self.due_s <= now_s:
            pieces, frames = [], []
            while self.due_s <= now_s and (self.queue[0][2] or not frames):
                _, piece, came = self.queue.popleft()
                pieces.append(piece)
                frames += [came] if came else []
            if frames:
                pieces.append(frame(PING, str(len(self.writes)).encode()))
                self.sent += len(frames)
                self.writes.append(Write(time.monotonic(), frames))
            self.server.sendall(b"".join(pieces))

    # ---- towards the client

    def server_said(self, data, now_s):
        self.from_server += data
        self._pass_head(self.server, self.from_server, self.client)
        while self.greeted[self.server] and (found := split(self.from_server, masked=False)):
            opcode, whole, payload = found
            del self.from_server[:len(whole)]
            if opcode == PONG:
                self._answered(int(payload), now_s)
            else:
                self.client.sendall(whole)

    def _answered(self, index, now_s):
        """One answer may speak for earlier ones (RFC 6455 5.5.3)."""
        for write in self.writes[self.answered:index + 1]:
            write.late_s = now_s
        self.answered = index + 1

    def _pass_head(self, end, buffer, other):
        at = buffer.find(b"\r\n\r\n")
        if not self.greeted[end] and at >= 0:
            other.sendall(buffer[:at + 4])
            del buffer[:at + 4]
            self.greeted[end] = True

    # ---- its end

    @property
    def cut_due(self):
        """Everything has been read: a reset of a connection takes unread bytes along."""
        enough = self.way.cut_after is not None and self.sent >= self.way.cut_after
        return enough and self.answered == len(self.writes)

    def close(self):
        self.gone = True
        self.client.close()
        self.server.close()


class Proxy:
    """listen(Clean()) gives an address and the list that its links come into; `with proxy:` runs it."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.select = selectors.DefaultSelector()
        self.links, self.listeners, self.fault = [], [], None
        self.wake, self.waked = socket.socketpair()
        self.select.register(self.waked, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def listen(self, *ways):
        """The first connection goes the first way, and so on. Not while the proxy runs."""
        listener = socket.create_server(("127.0.0.1", 0))
        links, left = [], list(ways)
        self.listeners.append(listener)
        self.select.register(listener, selectors.EVENT_READ, lambda: self._accept(listener, links, left))
        return "%s:%d" % listener.getsockname(), links

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wake.close()
        self.thread.join(DEADLINE_S)
        for end in (*self.listeners, self.waked, *(link for link in self.links if not link.gone)):
            end.close()
        self.select.close()
        assert self.fault is None, self.fault

    def _run(self):
        try:
            while self._turn():
                pass
        except Exception as fault:  # told by __exit__, in the test's own thread
            self.fault = fault

    def _turn(self):
        due_s = min((link.due_s for link in self.links if not link.gone), default=math.inf)
        pause_s = None if due_s == math.inf else max(0, due_s - time.monotonic())
        for key, _ in self.select.select(pause_s):
            if key.data is None:
                return False
            key.data()
        now_s = time.monotonic()
        for link in self.links:
            link.flush(now_s)
        return True

    def _accept(self, listener, links, left):
        link = Link(listener.accept()[0], self.target, left.pop(0))
        self.links.append(link)
        links.append(link)
        self.select.register(link.client, selectors.EVENT_READ, lambda: self._heard(link, link.client))
        self.select.register(link.server, selectors.EVENT_READ, lambda: self._heard(link, link.server))

    def _heard(self, link, end):
        if link.gone:  # by an event of the same turn
            return
        try:
            data = end.recv(65536)
        except ConnectionResetError:
            data = b""
        now_s = time.monotonic()  # behind what was read, or an answer would seem older than it is
        if data and end is link.client:
            link.client_said(data, now_s)
        elif data:
            link.server_said(data, now_s)
        if not data or link.cut_due:
            self.select.unregister(link.client)
            self.select.unregister(link.server)
            link.close()
