#!/usr/bin/python3
"""Every allocation of our own code fails once (contract 8: that request fails, and nothing else).

Offline (replay of fixtures), at the start of `serve`, and in a `serve` that lives through all of it. After each failure:
no signal; exit status or log speak of memory, or nothing is missing from the result; no webhook has got a 200 that is
not on disk. With a stride of k every k-th allocation, from a seed's offset on."""
import argparse
import json
import mmap
import os
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/tools")]

import make_captures  # noqa: E402
import requests  # noqa: E402
from fake_telnyx import Call  # noqa: E402
from harness import BINARY, Agent, Signer, environment, event_ids, object_id, until  # noqa: E402

LIBRARY = ROOT / "build/oom/fail_alloc.so"
CONTROL = struct.Struct("<qQQQ")  # countdown, fired, count, address


class Control:
    def __init__(self, folder):
        self.path = Path(folder) / "control"
        self.path.write_bytes(bytes(4096))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 4096)

    def arm(self, countdown):
        self.map[:CONTROL.size] = CONTROL.pack(countdown, 0, 0, 0)

    @property
    def fired(self):
        return CONTROL.unpack(self.map[:CONTROL.size])[1]

    @property
    def count(self):
        return CONTROL.unpack(self.map[:CONTROL.size])[2]

    @property
    def where(self):
        return hex(CONTROL.unpack(self.map[:CONTROL.size])[3])

    def environment(self):
        return environment(LD_PRELOAD=str(LIBRARY), OOM_CONTROL=str(self.path))


FAULTS = []


def fault(part, number, control, text):
    FAULTS.append(f"{part}, allocation {number} (asked for at {control.where}): {text}")
    print(FAULTS[-1], flush=True)


# ---- offline


def run(control, countdown, command, file):
    control.arm(countdown)
    return subprocess.run([str(BINARY), command, str(file)], env=control.environment(), capture_output=True,
                          timeout=60, check=False)


def offline(control, command, file, numbers):
    whole = run(control, -1, command, file)
    assert whole.returncode == 0, whole.stderr
    tried = 0
    for number in numbers(control.count):
        done = run(control, number, command, file)
        if not control.fired:
            continue
        tried += 1
        said = b"memory" in done.stderr
        if done.returncode < 0:
            fault(file.name, number, control, f"died of signal {-done.returncode}")
        elif done.returncode != 0 and not said:
            fault(file.name, number, control, f"says only {done.stderr[-200:]}")
        elif done.returncode == 0 and done.stdout != whole.stdout and not said:
            fault(file.name, number, control, "another result, and not a word")
    print(f"{command} {file.name}: {tried} allocations refused", flush=True)


# ---- the start of serve


def starting(control, folder, signer, numbers):
    home = Path(folder) / "start"
    home.mkdir()
    agent = Agent(home, signer=signer, env=control.environment())
    control.arm(-1)
    agent.start()
    count, tried = control.count, 0
    agent.stop()
    for number in numbers(count):
        control.arm(number)
        try:
            agent.start()
        except AssertionError:
            status = agent.process.poll()
            if status is None or status < 0 or "memory" not in agent.log_text().lower():
                fault("start", number, control, f"ended with {status}: {agent.log_text()[-300:]}")
            agent.process = None
            tried += control.fired
            continue
        tried += control.fired
        control.arm(-1)
        agent.kill()
    print(f"start of serve: {tried} allocations refused", flush=True)


# ---- a serve that goes on


class Live:
    def __init__(self, control, folder, signer):
        home = Path(folder) / "live"
        home.mkdir()
        self.control = control
        control.arm(-1)
        self.agent = Agent(home, signer=signer, env=control.environment()).start()
        self.acknowledged, self.calls = [], []

    def post(self, told):
        try:
            answer = self.agent.webhook(told)
        except requests.RequestException:
            return
        if answer.status_code == 200:
            self.acknowledged.append((told["data"]["payload"]["call_control_id"], told["data"]["id"]))

    def story(self):
        """A short call: webhooks, a stream, a look at it. Whatever of it fails, fails."""
        call = Call(self.agent, leg=f"v3:OOM-{uuid.uuid4()}")
        self.post(call.event("call.initiated", direction="incoming", state="parked", start_time=call.start_time))
        self.post(call.event("call.answered", start_time=call.start_time, **{"custom.key": "a key with a dot"}))
        try:
            stream = call.stream().connected().start().media(12)
            stream.sync()
            for path in ("/metrics", "/api/v1/calls", f"/api/v1/calls/{call.id}", "/api/v1/calls/CALL_0_nobody"):
                self.agent.get(path)
            stream.end()
        except Exception:  # pylint: disable=broad-except
            pass  # refused or closed: a failed request is all that is promised
        self.post(call.event("call.hangup", hangup_cause="normal_clearing", hangup_source="caller"))
        return call

    def try_one(self, number):
        self.control.arm(number)
        call = self.story()
        fired = self.control.fired
        self.control.arm(-1)
        if not self.agent.alive:
            fault("serve", number, self.control, f"ended with {self.agent.process.poll()}")
            self.agent.process = None
            self.agent.start()
            return fired
        self.post(call.event("call.cost", total_cost="0.01"))
        return fired

    def check(self):
        until("the log to speak of memory", lambda: self.agent.logged(msg="memory was refused"))
        self.agent.kill()
        with sqlite3.connect(self.agent.store / "sidetone.db") as db:
            stored = {row[0] for row in db.execute("SELECT id FROM events")}
        lost = [one for _, one in self.acknowledged if one not in stored]
        if lost:
            FAULTS.append(f"serve: {len(lost)} of {len(self.acknowledged)} acknowledged events are not on disk")
        self.agent.start()
        holes = [one for leg, one in self.acknowledged if object_id(one) not in event_ids(self.agent.leg(leg))]
        if holes:
            FAULTS.append(f"serve: {len(holes)} acknowledged events are in no CallLog after a restart")
        self.agent.stop()


def live(control, folder, signer, numbers):
    one = Live(control, folder, signer)
    control.arm(-1)
    one.story()
    count = control.count
    tried = sum(one.try_one(number) for number in numbers(count + count // 4))
    one.check()
    print(f"serve at work: {tried} allocations refused, {len(one.acknowledged)} webhooks acknowledged, all on disk",
          flush=True)


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--stride", type=int, default=1)
    asked.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asked = asked.parse_args()
    print(f"stride {asked.stride}, seed {asked.seed}", flush=True)
    chosen = random.Random(asked.seed)

    def numbers(count):
        return range(chosen.randrange(asked.stride), count, asked.stride)

    signer = Signer()
    with tempfile.TemporaryDirectory(prefix="sidetone-oom-") as folder:
        control = Control(folder)
        for name in ("demo", "reconnect", "dtmf-stream"):
            offline(control, "replay", ROOT / "fixtures" / name, numbers)
        for name in ("clean", "digits_and_reports"):
            offline(control, "analyze", make_captures.write(name, 1, folder), numbers)
        starting(control, folder, signer, numbers)
        live(control, folder, signer, numbers)
    if FAULTS:
        print(json.dumps(FAULTS, indent=1))
    return 1 if FAULTS else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
