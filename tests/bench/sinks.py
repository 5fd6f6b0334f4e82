#!/usr/bin/python3
"""The part of `make bench` that needs disks and servers. Prints tables; ratios where a ratio says more.

    tests/bench/sinks.py FOLDER [acknowledge|live|drain]...

FOLDER: on the disk to be measured. A run has a folder of its own in it, which it removes; what else is there stays."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "services")]
import drain  # noqa: E402
import harness  # noqa: E402
import live  # noqa: E402

BENCH = TESTS.parent / "build/bench"
RATES = (200, 1000, 2000)
SECONDS = 6
CONNECTIONS = 128
EVENTS_A_LEG = ("call.initiated", "call.answered", "call.dtmf.received", "call.dtmf.received", "call.bridged",
                "call.dtmf.received", "call.hangup", "call.cost")


def share(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


# ---- webhook acknowledgement after commit


def event(leg, kind, at):
    payload = {"call_control_id": leg, "call_leg_id": leg[3:39], "call_session_id": leg[3:39],
               "connection_id": "2900000000000000001", "direction": "incoming", "from": "+15550100001", "to": "+15550100002",
               "start_time": at, "state": "parked", "digit": "5", "hangup_cause": "normal_clearing", "total_cost": "0.0105",
               "client_state": "eyJsZWFkSWQiOiI2NmYwYTFiMmMzZDRlNWY2MDEyMzQ1NjcifQ=="}
    return {"data": {"event_type": kind, "id": str(uuid.uuid4()), "occurred_at": at, "payload": payload, "record_type": "event"},
            "meta": {"attempt": 1, "delivered_to": "https://edge.example.net/telnyx/webhooks"}}


def prepare(path, signer, count, host, body):
    """`count` signed requests, their bodies from body(number)."""
    with open(path, "wb") as out:
        for n in range(count):
            text = body(n)
            headers = {"Host": host, "Content-Type": "application/json", "Content-Length": len(text), **signer.headers(text)}
            head = "POST /telnyx/webhooks HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
            request = head.encode() + text
            out.write(struct.pack(">I", len(request)) + request)


def calls_of_eight():
    """body(number): events of 64 legs at a time, in turn; a leg has eight."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    up, legs = 64, []

    def body(n):
        if n % (up * len(EVENTS_A_LEG)) == 0:
            legs[:] = [f"v3:{uuid.uuid4()}-bench" for _ in range(up)]
        return json.dumps(event(legs[n % up], EVENTS_A_LEG[n // up % len(EVENTS_A_LEG)], at)).encode()
    return body


def play(agent, rate, path):
    host, port = agent.public.rsplit(":", 1)
    done = subprocess.run([str(BENCH / "load_webhooks"), host, port, str(rate), str(CONNECTIONS), str(path)],
                          capture_output=True, text=True, check=True)
    return {k: float(v) for k, v in (word.split("=") for word in done.stdout.split())}


def bare_fdatasync(folder, seconds=3):
    """Appends of 4 KiB, each flushed before the next: what the disk itself takes, in ms."""
    took, end = [], time.monotonic() + seconds
    path = folder / "fdatasync"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        while time.monotonic() < end:
            begin = time.monotonic()
            os.write(fd, b"x" * 4096)
            os.fdatasync(fd)
            took.append((time.monotonic() - begin) * 1000)
    finally:
        os.close(fd)
        path.unlink()
    return took


def on_cores_s(pid):
    """(seconds that all threads ran, seconds that the loop was ready and had no core)"""
    tasks = Path(f"/proc/{pid}/task")
    ran = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
    return ran / 1e9, int((tasks / str(pid) / "schedstat").read_text().split()[1]) / 1e9


def acknowledge(folder, signer):
    home = folder / f"agent-{uuid.uuid4()}"
    home.mkdir(parents=True)
    print(f"Webhook acknowledgement after commit, open loop, {CONNECTIONS} connections, {SECONDS} s each; ms from the moment due\n")
    print("| a second | p50 | p99 | p99.9 | longest | not 200 | bare fdatasync p50, p99 | p99 / fdatasync p99 "
          "| CPU µs a webhook | loop without a core, s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    agent = harness.Agent(home, "log.level=error", signer=signer).start()
    try:
        for rate in RATES:
            disk = bare_fdatasync(folder)
            requests = folder / "requests"
            prepare(requests, signer, rate * SECONDS, agent.public, calls_of_eight())
            before = on_cores_s(agent.process.pid)
            seen = play(agent, rate, requests)
            ran, starved = (now - then for now, then in zip(on_cores_s(agent.process.pid), before))
            requests.unlink()
            bad = seen["sent"] - seen["ok"]
            print(f"| {rate:,} | {seen['p50_ms']:.2f} | {seen['p99_ms']:.2f} | {seen['p999_ms']:.2f} | {seen['max_ms']:.1f} | {bad:.0f} | "
                  f"{share(disk, 0.5):.2f}, {share(disk, 0.99):.2f} | {seen['p99_ms'] / share(disk, 0.99):.1f} | "
                  f"{ran * 1e6 / seen['sent']:.0f} | {starved:.2f} |", flush=True)
    finally:
        agent.finish()


PARTS = {"acknowledge": acknowledge,
         "live": lambda folder, signer: live.live(folder, signer, play, prepare),
         "drain": lambda folder, signer: drain.drain(folder, signer, play, prepare)}


def main(words):
    if not words or any(word not in PARTS for word in words[1:]):
        sys.exit(__doc__)
    folder = Path(words[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before the first measurement\n")
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as run:
        for part in words[1:] or PARTS:
            PARTS[part](Path(run), harness.Signer())
            print()


if __name__ == "__main__":
    main(sys.argv[1:])
