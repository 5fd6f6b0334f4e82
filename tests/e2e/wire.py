"""HTTP and WebSocket by hand, for what no decent client would send."""
import os
import re
import socket
import struct

from harness import DEADLINE_S


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            assert name.lower() not in self.headers, f"{name} twice"
            self.headers[name.lower()] = value.strip()
        self.body = body

    @property
    def closes(self):
        return self.headers.get("connection", "").lower() == "close"


class Wire:
    """A plain TCP connection with a deadline on everything."""

    def __init__(self, address, deadline_s=DEADLINE_S):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=deadline_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def _more(self):
        data = self.socket.recv(65536)
        self.left += data
        return bool(data)

    def answer(self, method="POST"):
        """One whole answer; what follows it stays for the next."""
        while b"\r\n\r\n" not in self.left:
            assert self._more(), f"closed without an answer; got {self.left!r}"
        head, self.left = self.left.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?im)^content-length:\s*(\d+)\s*$", head)
        wanted = int(length.group(1)) if length and method != "HEAD" else 0
        while len(self.left) < wanted:
            assert self._more(), "closed in the middle of a body"
        body, self.left = self.left[:wanted], self.left[wanted:]
        return Answer(head, body)

    def rest(self):
        """Everything up to the end of the connection."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        rest, self.left = self.left, b""
        return rest

    def take(self, count):
        while len(self.left) < count:
            assert self._more(), f"closed; wanted {count} bytes, got {self.left!r}"
        data, self.left = self.left[:count], self.left[count:]
        return data


def head(method, path, headers=(), length=None, host="sidetone.test"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request(address, method, path, headers=(), body=None):
    with Wire(address) as wire:
        wire.send(head(method, path, headers, None if body is None else len(body)) + (body or b""))
        return wire.answer(method)


# ---- WebSocket

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of that key, RFC 6455 1.3


def frame(opcode, payload=b"", fin=True, mask=True, reserved=0, length_bytes=None):
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    size = len(payload)
    form = length_bytes if length_bytes is not None else (0 if size < 126 else 2 if size < 65536 else 8)
    marker = {0: size, 2: 126, 8: 127}[form]
    out = bytes([first, (0x80 if mask else 0) | marker])
    out += size.to_bytes(form, "big") if form else b""
    if not mask:
        return out + payload
    key = os.urandom(4)
    repeated = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return out + key + masked


class Socket(Wire):
    """A WebSocket whose bytes are ours."""

    def __init__(self, address, path="/telnyx/media", headers=UPGRADE):
        super().__init__(address)
        self.send(head("GET", path, headers))
        self.greeting = self.answer("GET")

    def receive(self):
        """(opcode, payload) of the next frame, which must be whole, unmasked and without extensions."""
        first, second = self.take(2)
        assert first & 0x70 == 0 and first & 0x80 and second & 0x80 == 0
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return first & 0x0F, self.take(size)

    def close_code(self):
        """Waits for the server's close frame, past whatever comes before; None: closed without a code."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return struct.unpack(">H", payload[:2])[0] if payload else None

    def ends(self):
        """After the closing handshake the server closes the connection, and says nothing more."""
        return self.rest() == b""


