"""The real binary from outside: started, asked, stopped. Nothing in here waits a fixed time: until() looks
again at something that can be seen until it is so, or says what was seen instead."""
import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import nacl.signing
import requests

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SIDETONE", ROOT / "build/sidetone")).resolve()
SHARED = Path(os.environ.get("SIDETONE_SHARED", "../shared"))
if not SHARED.is_absolute():
    SHARED = (ROOT / SHARED).resolve()
FIXTURES = ROOT / "fixtures"

# Generous: the machine may be busy and the build a sanitizer's. A test that waits so long has failed.
DEADLINE_S = 20
ALIASES = ("MONGODB_URI", "REDIS_URL", "POSTGRES_URL", "TELNYX_API_KEY", "TELNYX_PUBLIC_KEY", "CREDENTIALS_DIRECTORY")
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")


def until(what, look, deadline_s=DEADLINE_S):
    """The first true value of look(). Looking again costs a turn of the scheduler, not a guess."""
    end = time.monotonic() + deadline_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}; last seen: {seen!r}"
        time.sleep(0.01)


def environment(**more):
    """Ours without what would configure the binary."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SIDETONE_") and k not in ALIASES}
    return {**clean, **more}


def assert_no_sanitizer(text):
    for word in SANITIZER_WORDS:
        assert word not in text, text


def sidetone(*words, env=None, cwd=None, stdin=None, timeout=60):
    """A command that ends by itself."""
    done = subprocess.run([str(BINARY), *map(str, words)], env=env or environment(), cwd=cwd, input=stdin,
                          capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode >= 0, f"died of signal {-done.returncode}: {done.stderr}"
    assert_no_sanitizer(done.stderr)
    return done


def shared(*parts):
    path = SHARED.joinpath(*parts)
    assert path.exists(), f"SIDETONE_SHARED does not hold {'/'.join(parts)} (it is {SHARED})"
    return path


def call_log_id(leg):
    """data-model.md 8.4: the derived one."""
    digest = hashlib.sha256(leg.encode()).digest()
    return "CALL_0_" + base64.b32encode(digest).decode().lower()[:26]


class Signer:
    """Telnyx's key pair."""

    def __init__(self, seed=None):
        self.key = nacl.signing.SigningKey(seed) if seed else nacl.signing.SigningKey.generate()
        self.seed = base64.b64encode(bytes(self.key)).decode()
        self.public_key = base64.b64encode(bytes(self.key.verify_key)).decode()

    def sign(self, body, timestamp, separator=b"|"):
        return base64.b64encode(self.key.sign(str(timestamp).encode() + separator + body).signature).decode()

    def headers(self, body, timestamp=None):
        timestamp = int(time.time()) if timestamp is None else timestamp
        return {"telnyx-timestamp": str(timestamp), "telnyx-signature-ed25519": self.sign(body, timestamp)}


class Agent:
    """One `sidetone serve` on free ports of 127.0.0.1, with a store that outlives its process."""

    def __init__(self, home, *options, signer=None, config=None, env=None, admin="127.0.0.1:0"):
        self.home, self.options, self.env = Path(home), list(options), env
        self.admin_option = admin  # None: as the configuration has it
        self.signer, self.config = signer, config
        self.store = self.home / "store"
        self.process, self.log_path, self.runs = None, None, 0
        self.web = requests.Session()
        self.web.trust_env = False
        self.checked = []

    # ---- life

    def command(self):
        words = [str(BINARY), "serve"]
        if self.config:
            words += ["-c", str(self.config)]
        for option in (f"store.dir={self.store}", "listen.public=127.0.0.1:0"):
            words += ["-o", option]
        if self.admin_option:
            words += ["-o", f"listen.admin={self.admin_option}"]
        if self.signer:
            words += ["-o", f"telnyx.public_key={self.signer.public_key}"]
        for option in self.options:
            words += ["-o", option]
        return words

    def start(self):
        self.runs += 1
        self.log_path = self.home / f"log.{self.runs}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log, env=self.env or environment())
        ready = until("the line `ready`", self._ready)
        addresses = dict(word.split("=", 1) for word in ready.split()[1:])
        self.public, self.admin = addresses["public"], addresses["admin"]
        self.public_port = int(self.public.rsplit(":", 1)[1])
        self.admin_port = int(self.admin.rsplit(":", 1)[1])
        return self

    def _ready(self):
        lines = [line for line in self.log_text().splitlines(True) if line.startswith("ready ")]
        if lines and lines[0].endswith("\n"):
            return lines[0].strip()
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log_text()}"
        return None

    def stop(self, within_s=DEADLINE_S):
        """SIGTERM: the contract's end. Returns the seconds it took; `within_s` where those are the matter."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still there {DEADLINE_S} s after SIGTERM: {self.log_text()}") from None
        took_s = time.monotonic() - begin
        self.process = None
        self._forget_connections()
        assert_no_sanitizer(self.log_text())
        assert status == 0, f"exit status {status}: {self.log_text()}"
        assert took_s <= within_s, f"took {took_s:.1f} s to stop"
        return took_s

    def kill(self):
        """kill -9: no word of farewell, to anybody."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self._forget_connections()
        assert_no_sanitizer(self.log_text())

    def finish(self):
        """For teardowns: it must be alive still, and must end well."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.stop()
        else:
            status, self.process = self.process.returncode, None
            raise AssertionError(f"it had ended with {status} by itself: {self.log_text()}")

    def _forget_connections(self):
        self.web.close()

    def signal(self, number):
        self.process.send_signal(number)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    # ---- its words

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def log_lines(self):
        """JSON lines of the log, as objects."""
        out = []
        for line in self.log_text().splitlines():
            with contextlib.suppress(ValueError):
                if line.startswith("{"):
                    out.append(json.loads(line))
        return out

    def logged(self, **fields):
        return [line for line in self.log_lines() if all(line.get(k) == v for k, v in fields.items())]

    # ---- the public side

    def post(self, body, headers=None, path="/telnyx/webhooks", **more):
        return self.web.post(f"http://{self.public}{path}", data=body, headers=headers or {}, timeout=DEADLINE_S, **more)

    def webhook(self, event, timestamp=None):
        """Signed when the agent has a key."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = self.signer.headers(body, timestamp) if self.signer else {}
        return self.post(body, {"Content-Type": "application/json", **headers})

    # ---- the admin side

    def get(self, path, method="GET", **more):
        return self.web.request(method, f"http://{self.admin}{path}", timeout=DEADLINE_S, **more)

    def metrics(self):
        """{'name{label="value"}': number}"""
        answer = self.get("/metrics")
        assert answer.status_code == 200
        rows = [line.rsplit(" ", 1) for line in answer.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in rows}

    def metric(self, name, **labels):
        inside = ",".join(f'{k}="{v}"' for k, v in labels.items())
        return self.metrics()[f"{name}{{{inside}}}" if inside else name]

    def live(self):
        return self.get("/api/v1/calls").json()

    def call(self, identity):
        answer = self.get(f"/api/v1/calls/{identity}")
        return answer.json() if answer.status_code == 200 else None

    def leg(self, leg):
        return self.call(call_log_id(leg))

    def complete(self, leg):
        """The CallLog once nothing of it is awaited any more."""
        return until(f"complete CallLog of {leg}", lambda: self._if(leg, lambda d: sidetone_of(d)["complete"]))

    def _if(self, leg, condition):
        document = self.leg(leg)
        return document if document and condition(document) else None

    def on_disk(self, call, holds):
        """The stored CallLog once it holds; the row itself follows its facts."""
        def look():
            there = any(row["callLogId"] == call.id for row in self.stored())
            document = self.stored(call.id) if there else None
            return document if document and holds(document) else None
        return until(f"the CallLog of {call.leg} on disk", look)

    def stored(self, identity=None):
        """What `sidetone calls` says of the store: rows, or one document."""
        words = ["calls", "-o", f"store.dir={self.store}"] + ([identity] if identity else [])
        done = sidetone(*words)
        assert done.returncode == 0, done.stderr
        if identity:
            return json.loads(done.stdout)
        head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
        return [dict(zip(head, row)) for row in rows]


def sidetone_of(document):
    return document["metadata"]["sidetone"]


def delivery_of(document, track="inbound"):
    return sidetone_of(document)["quality"]["delivery"][track]


def event_ids(document):
    """_id of each webhook that the document holds."""
    return [row["_id"]["$oid"] for row in document["telnyx"]["webhookEvents"]]


def object_id(event_id):
    """data-model.md 8.4: first 12 bytes of SHA-256(data.id)."""
    return hashlib.sha256(event_id.encode()).hexdigest()[:24]
