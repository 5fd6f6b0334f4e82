"""The unit: hardened as promised, and the agent works within what it leaves."""
import re
import signal
import subprocess

import pytest

from fake_telnyx import TOKEN_HEADER, Call
from harness import BINARY, ROOT, delivery_of, environment, until
from secure import TlsAgent, make_certificate

UNIT = ROOT / "systemd/sidetone.service"
FILTER = ["/usr/bin/python3", str(ROOT / "tests/e2e/unit_filter.py"), str(UNIT)]


def exposure(unit):
    """As systemd tells it; whether it is 1.5 or better."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", unit], capture_output=True,
                          text=True, env=environment(LC_ALL="C.UTF-8"), check=False)
    told = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert told, done.stdout + done.stderr
    return float(told[1]), done.returncode == 0


def test_exposure_is_1_5_or_better():
    level, good = exposure(UNIT)
    assert good and level <= 1.5


@pytest.mark.parametrize("line", ("SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources",
                                  "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "User=sidetone", "ProtectSystem=strict"))
def test_less_hardening_is_noticed(tmp_path, line):
    text = UNIT.read_text()
    assert f"\n{line}\n" in text
    lesser = tmp_path / UNIT.name
    lesser.write_text(text.replace(f"\n{line}\n", "\n"))
    level, good = exposure(lesser)
    assert not good and level > 1.5


def test_systemd_understands_every_line(tmp_path):
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/bin/sidetone", str(BINARY)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class ConfinedAgent(TlsAgent):
    def command(self):
        return [*FILTER, *super().command()]


def test_the_filter_is_in_force():
    done = subprocess.run([*FILTER, "nice", "-n", "5", "true"], capture_output=True, text=True, check=False)
    assert "cannot set niceness" in done.stderr
    done = subprocess.run([*FILTER, "/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_NETLINK)"],
                          capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr


def test_the_agent_works_within_it(tmp_path, signer):
    """Store, TLS, webhooks, media, the admin side, reload, drain: all of it under the unit's seccomp rules."""
    certificate, key = make_certificate(tmp_path)
    # A leak checker traces its own process, which the unit does not allow.
    agent = ConfinedAgent(tmp_path, f"listen.tls_certificate={certificate}", f"listen.tls_private_key={key}",
                          "telnyx.stream_token=t0ken", "agent.drain_s=600", signer=signer,
                          env=environment(ASAN_OPTIONS="detect_leaks=0"))
    agent.certificate = certificate
    agent.start()
    call = Call(agent)
    call.initiated()
    call.answered()
    stream = call.stream(scheme="wss", headers={TOKEN_HEADER: "t0ken"}, ssl=agent.context()).start().media(60)
    agent.signal(signal.SIGHUP)
    until("the reload", lambda: agent.logged(msg="certificate reloaded"))
    assert agent.metric("sidetone_streams_open") == 1
    agent.signal(signal.SIGTERM)
    until("draining", lambda: agent.logged(msg="stopping"))
    stream.end()
    call.hangup()
    until("the end", lambda: agent.process.poll() == 0)
    agent.process = None
    assert delivery_of(agent.stored(call.id))["received_frames"] == 60
