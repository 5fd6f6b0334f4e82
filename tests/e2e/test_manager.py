"""What a service manager hears (sd_notify), and the watchdog: a stuck loop is not fed, an idle one is."""
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

import pytest
import requests

from fake_telnyx import Call
from harness import DEADLINE_S, assert_no_sanitizer, until
from manager import ManagedAgent, Manager


@pytest.fixture
def manager(tmp_path):
    one = Manager(tmp_path)
    yield one
    one.close()


@pytest.fixture
def managed(tmp_path, manager, signer):
    agent = ManagedAgent(tmp_path, manager, signer=signer)
    yield agent.start()
    agent.finish()


def test_ready_comes_when_the_listeners_are_open(tmp_path, manager):
    """Connected to at the very moment of the word: before it there was none."""
    agent = ManagedAgent(tmp_path, manager)
    with open(tmp_path / "log", "wb") as log:
        agent.log_path = tmp_path / "log"
        agent.env = {**os.environ, "NOTIFY_SOCKET": manager.path}
        agent.process = subprocess.Popen(agent.command(), stderr=log, env=agent.env)
    until("a word", manager.hear)
    assert list(manager.words[0][1]) == ["READY", "STATUS"]
    assert agent._ready().startswith("ready public=127.0.0.1:")
    agent.stop()


def test_a_start_that_fails_is_never_ready(tmp_path, manager, managed):
    manager.hear()
    second = ManagedAgent(tmp_path, manager)
    second.store = managed.store  # is held
    env = {**os.environ, "NOTIFY_SOCKET": manager.path}
    done = subprocess.run(second.command(), capture_output=True, text=True, env=env, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1
    assert len(manager.heard("READY")) == 1


def test_status_tells_figures(managed, manager):
    until("ready", lambda: manager.heard("READY"))
    assert manager.heard("STATUS", "0 calls live, 0 streams open")
    call = Call(managed)
    call.initiated()
    stream = call.stream().start().media(5)
    until("the figures", lambda: manager.heard("STATUS", "1 calls live, 1 streams open"))
    stream.end()
    call.hangup()
    until("the figures of the end", lambda: [w for w in manager.heard("STATUS", "0 calls live, 0 streams open")][1:])


def test_sighup(managed, manager):
    before_us = int(time.monotonic() * 1e6)
    managed.signal(signal.SIGHUP)
    until("the second READY", lambda: manager.heard("READY")[1:])
    assert manager.names() == ["READY", "RELOADING", "READY"]
    stamp = int(manager.heard("RELOADING", "1")[0]["MONOTONIC_USEC"])
    assert before_us <= stamp <= time.monotonic() * 1e6
    assert managed.logged(msg="configuration reloaded")


def test_sighup_with_a_mistake_is_over_too(tmp_path, manager):
    config = tmp_path / "sidetone.conf"
    config.write_text("[log]\nlevel = info\n")
    agent = ManagedAgent(tmp_path, manager, config=config).start()
    config.write_text("[log]\nlevel = loud\n")
    agent.signal(signal.SIGHUP)
    until("the second READY", lambda: manager.heard("READY")[1:])
    assert manager.names() == ["READY", "RELOADING", "READY"]
    assert "loud" in agent.logged(level="error", msg="configuration not reloaded")[0]["why"]
    agent.finish()


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_stopping(managed, manager, number):
    until("ready", lambda: manager.heard("READY"))
    managed.signal(number)
    assert managed.process.wait(DEADLINE_S) == 0
    managed.process = None
    assert manager.names() == ["READY", "STOPPING"]
    assert manager.heard("EXTEND_TIMEOUT_USEC")


# ---- the watchdog


def test_an_idle_agent_feeds_twice_an_interval(managed, manager):
    manager.fed(9)
    times = [at for at, word in manager.words if "WATCHDOG" in word]
    gaps = [after - before for before, after in zip(times, times[1:])]
    # The machine may be late with some of them: the usual one counts.
    assert managed.watchdog_s * 0.4 <= statistics.median(gaps) <= managed.watchdog_s * 0.75


def not_fed_for(manager, seconds):
    """Looks all the while: nothing comes."""
    before, end = manager.feeds(), time.monotonic() + seconds
    while time.monotonic() < end:
        if manager.feeds() > before:
            return False
        time.sleep(0.01)
    return True


def test_a_stopped_process_does_not_feed(managed, manager):
    manager.fed()
    managed.signal(signal.SIGSTOP)
    until("it stands still", lambda: Path(f"/proc/{managed.process.pid}/stat").read_text().split(")")[1].split()[0] == "T")
    try:
        assert not_fed_for(manager, 2 * managed.watchdog_s)
    finally:
        managed.signal(signal.SIGCONT)
    manager.fed()


def test_a_slow_disk_is_not_a_stuck_loop(managed, manager):
    """Another process holds the database: a commit waits, the watchdog is fed all the while."""
    manager.fed()
    blocker = sqlite3.connect(next(managed.store.glob("*.db")), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    call = Call(managed)
    body = call.event("call.initiated", direction="incoming")
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests_post(managed, body, timeout=4 * managed.watchdog_s)
    for _ in range(4):
        manager.fed(1)
    blocker.execute("ROLLBACK")
    blocker.close()
    # SQLite waits 5 s for the lock; refused after that, it is sent again.
    assert managed.webhook(body).status_code == 200
    until("the event is in", lambda: managed.leg(call.leg))


def requests_post(agent, event, timeout):
    body = json.dumps(event).encode()
    requests.post(f"http://{agent.public}/telnyx/webhooks", data=body, headers=agent.signer.headers(body),
                  timeout=timeout)


class StuckAgent(ManagedAgent):
    """Its log is a pipe that nobody reads once it is ready: when the pipe is full, the loop hangs in write(2).
    A real way to get a loop stuck; journald's socket is read by journald."""

    def start(self):
        read, write = os.pipe()
        self.pipe = os.fdopen(read, "rb", buffering=0)
        self.runs += 1
        self.log_path = self.home / f"log.{self.runs}"
        self.log_path.write_bytes(b"")
        env = {**os.environ, "NOTIFY_SOCKET": self.manager.path, "WATCHDOG_USEC": str(int(self.watchdog_s * 1e6))}
        self.process = subprocess.Popen(self.command(), stderr=write, env=env)
        os.close(write)
        until("ready", self._read_ready)
        ready = next(line for line in self.log_text().splitlines() if line.startswith("ready "))
        self.public = ready.split()[1].split("=")[1]
        self.admin = ready.split()[2].split("=")[1]
        return self

    def _read_ready(self):
        with open(self.log_path, "ab") as log:
            log.write(self.pipe.read(4096))
        return "ready public=" in self.log_text()

    def fill(self):
        """Refused webhooks, each a line of the log, until one gets no answer."""
        for _ in range(5000):
            try:
                self.post_quick(b"{}")
            except requests.exceptions.ReadTimeout:
                if not_fed_for(self.manager, self.watchdog_s):  # else it was late with one
                    return
        raise AssertionError("the pipe never filled")

    def post_quick(self, body):
        self.web.post(f"http://{self.public}/telnyx/webhooks", data=body, timeout=2)


@pytest.fixture
def stuck(tmp_path, manager, signer):
    agent = StuckAgent(tmp_path, manager, signer=signer).start()
    call = Call(agent)
    call.initiated()
    agent.call = call
    manager.fed()
    agent.fill()
    yield agent
    agent.pipe.close()
    if agent.alive:
        agent.process.kill()
        agent.process.wait()


def test_a_loop_that_hangs_is_not_fed_and_one_that_turns_again_is(stuck, manager):
    assert not_fed_for(manager, 3 * stuck.watchdog_s)
    drained = 0
    while drained < 60000:
        drained += len(stuck.pipe.read(65536))
    manager.fed(2)


def test_what_the_manager_kills_has_lost_nothing(stuck, manager, tmp_path):
    """systemd's watchdog: SIGABRT when an interval passes without a word, then a new start."""
    assert not_fed_for(manager, stuck.watchdog_s)
    stuck.signal(signal.SIGABRT)
    assert stuck.process.wait(DEADLINE_S) == -signal.SIGABRT
    again = ManagedAgent(tmp_path, manager, signer=stuck.signer)
    again.store = stuck.store
    again.start()
    manager.fed()
    assert again.leg(stuck.call.leg)["telnyx"]["callControlId"] == stuck.call.leg
    assert_no_sanitizer(again.log_text())
    again.finish()
