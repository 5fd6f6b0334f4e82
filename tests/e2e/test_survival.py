"""What the store survives (contract 8): a full disk, a file that may only be read, no descriptors, damage, clock steps,
no room left under store.max_bytes. Each time the process lives, and nothing acknowledged is lost."""
import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import requests

import harness
from fake_telnyx import Call, event
from harness import Agent, Signer, environment, event_ids, object_id, sidetone_of, until

ROOT_USER = os.geteuid() == 0
NOBODY = 65534


def readiness(agent):
    answer = agent.get("/readyz")
    return answer.status_code, answer.json()


def is_ready(agent):
    status, body = readiness(agent)
    return status == 200 and body["status"] == "ready"


def refused_for(agent, word):
    """True once /readyz says 503 and names the store with such a reason."""
    status, body = readiness(agent)
    return status == 503 and any(r["part"] == "store" and word in r["text"].lower() for r in body["reasons"])


def frames(agent, call):
    return next((row for row in agent.live() if row["callLogId"] == call.id), None)


def live_figures_go_on(agent, stream, call):
    before = agent.metrics()['sidetone_media_frames_total{result="ok"}']
    stream.media(50)
    stream.sync()
    assert frames(agent, call), "the call is still shown"
    assert agent.metrics()['sidetone_media_frames_total{result="ok"}'] >= before + 50


def acknowledged_are_there(agent, call, told):
    wanted = {object_id(one["data"]["id"]) for one in told}
    document = until("the CallLog", lambda: agent.leg(call.leg))
    assert wanted <= set(event_ids(document)), "an acknowledged webhook is lost"


# ---- a full disk


class SmallDisk:
    """A tmpfs where mounting is allowed; else a limit on the size of the process's files."""

    def __init__(self, place):
        self.place, self.mounted = Path(place), False
        self.place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0755", "none", str(self.place)],
                              capture_output=True, check=False)
        self.mounted = done.returncode == 0

    def fill(self, agent):
        if not self.mounted:
            limit_of(agent, resource.RLIMIT_FSIZE, 8192)
            return
        with open(self.place / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def free(self, agent):
        if self.mounted:
            (self.place / "ballast").unlink()
        else:
            limit_of(agent, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)

    def remove(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.place)], check=True)


def limit_of(agent, which, soft):
    _, hard = resource.prlimit(agent.process.pid, which)
    resource.prlimit(agent.process.pid, which, (soft, hard))


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.remove()


@pytest.fixture
def agent_there(small_disk, signer):
    """An agent whose store stands on the small disk."""
    one = Agent(small_disk.place.parent, signer=signer)
    one.store = small_disk.place / "store"
    one.start()
    yield one
    one.finish()


def fill_until_refused(agent, call, disk):
    """The log may have room that it took before: events until one is refused."""
    disk.fill(agent)
    told = []
    for _ in range(4000):
        one = call.event("call.dtmf.received", digit="1", note="x" * 2000)
        status = agent.webhook(one).status_code
        if status == 503:
            return told, one
        assert status == 200
        told.append(one)
    raise AssertionError("a full disk takes everything")


def test_a_full_disk(agent_there, small_disk):
    agent, call = agent_there, Call(agent_there)
    told = [call.initiated(), call.answered()]
    stream = call.stream().start().media(50)
    stream.sync()
    more, refused = fill_until_refused(agent, call, small_disk)
    told += more
    until("503 with the reason", lambda: refused_for(agent, "full") or refused_for(agent, "i/o"))
    for one in told[:3]:
        assert agent.webhook(one).status_code == 200, "a repeated event is no new one"
    assert agent.webhook(refused).status_code == 503
    live_figures_go_on(agent, stream, call)
    assert agent.logged(msg="webhook could not be stored")[0]["reason"]
    small_disk.free(agent)
    until("it to find out by itself", lambda: is_ready(agent))
    assert agent.webhook(refused).status_code == 200
    told += [refused, call.tell("call.bridged")]
    stream.media(50)
    stream.sync()
    until("what was owed", lambda: harness.delivery_of(agent.stored(call.id))["received_frames"] == 150)
    agent.kill()
    agent.start()
    acknowledged_are_there(agent, call, told)


def test_kill_9_on_a_full_disk(agent_there, small_disk):
    agent, call = agent_there, Call(agent_there)
    told = [call.initiated()]
    more, _ = fill_until_refused(agent, call, small_disk)
    agent.kill()
    if small_disk.mounted:
        (small_disk.place / "ballast").unlink()
    agent.start()
    acknowledged_are_there(agent, call, told + more)


# ---- read-only


class NobodysAgent(Agent):
    """Root may write everywhere: it runs as somebody else."""

    def command(self):
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if ROOT_USER else []
        return as_nobody + super().command()


@pytest.fixture
def nobodys(signer):
    home = Path(tempfile.mkdtemp(prefix="sidetone-"))
    home.chmod(0o755)
    one = NobodysAgent(home, signer=signer)
    one.store.mkdir(mode=0o700)
    if ROOT_USER:
        os.chown(one.store, NOBODY, NOBODY)
    yield one
    one.finish()
    shutil.rmtree(home)


def test_a_file_that_may_only_be_read(nobodys):
    agent = nobodys.start()
    call = Call(agent)
    told = [call.initiated()]
    agent.stop()
    database = agent.store / "sidetone.db"
    database.chmod(0o444)
    agent.start()
    until("503 with the reason", lambda: refused_for(agent, "read"))
    refused = call.event("call.answered")
    assert agent.webhook(refused).status_code == 503
    other = Call(agent)
    stream = other.stream().start().media(10)
    live_figures_go_on(agent, stream, other)
    database.chmod(0o600)
    until("it to find out by itself", lambda: is_ready(agent))
    assert agent.webhook(refused).status_code == 200
    agent.kill()
    agent.start()
    acknowledged_are_there(agent, call, told + [refused])


def test_a_folder_that_may_only_be_read_is_named(nobodys):
    nobodys.store.chmod(0o500)
    with pytest.raises(AssertionError, match="Permission denied"):
        nobodys.start()
    nobodys.process = None
    nobodys.store.chmod(0o700)


# ---- no descriptors


def test_no_descriptors(agent):
    call = Call(agent)
    told = [call.initiated()]
    stream = call.stream().start().media(10)
    stream.sync()
    assert is_ready(agent)  # both keep-alive connections are up
    open_now = len(os.listdir(f"/proc/{agent.process.pid}/fd"))
    limit_of(agent, resource.RLIMIT_NOFILE, open_now)
    strangers = [requests.Session() for _ in range(5)]
    cpu = cpu_seconds(agent)
    for stranger in strangers:
        with pytest.raises(requests.RequestException):
            stranger.get(f"http://{agent.admin}/livez", timeout=0.3)
    assert cpu_seconds(agent) - cpu < 1.0, "it turns in circles"
    live_figures_go_on(agent, stream, call)
    status = agent.webhook(one := call.event("call.answered")).status_code
    assert status in (200, 503)
    told += [one] if status == 200 else []
    limit_of(agent, resource.RLIMIT_NOFILE, 1024)
    until("new connections", lambda: requests.get(f"http://{agent.admin}/livez", timeout=5).status_code == 200)
    told.append(call.tell("call.bridged"))
    agent.kill()
    agent.start()
    acknowledged_are_there(agent, call, told)


def cpu_seconds(agent):
    fields = Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- damage


def database(agent, sql, *values):
    with contextlib.closing(sqlite3.connect(agent.store / "sidetone.db", timeout=10)) as db, db:
        return db.execute(sql, values).fetchall()


def overwrite(path, offset, count):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * count)


def test_a_malformed_file_is_set_aside_at_the_start(agent):
    call = Call(agent)
    told = [call.initiated(), call.answered()]
    agent.stop()
    overwrite(agent.store / "sidetone.db", 0, 4096)
    agent.start()
    lines = until("the line about it", lambda: [line for line in agent.log_lines() if "set aside" in line["msg"]])
    assert lines[0]["level"] == "error" and "sidetone.db.corrupt-" in lines[0]["file"]
    assert "rows copied" in lines[0]["file"]
    assert len(list(agent.store.glob("sidetone.db.corrupt-*"))) >= 1
    acknowledged_are_there(agent, call, told)
    call.hangup()
    assert agent.complete(call.leg)["status"] == "completed"


def test_damage_while_it_runs(agent):
    """Every page but the first is gone, under a process that has calls up."""
    call = Call(agent)
    call.initiated()
    agent.stop()
    agent.start()
    stream = call.stream().start().media(10)
    stream.sync()
    path = agent.store / "sidetone.db"
    overwrite(path, 4096, path.stat().st_size - 4096)
    others = [Call(agent) for _ in range(20)]
    told = [other.initiated() for other in others]
    live_figures_go_on(agent, stream, call)
    until("it to be set aside", lambda: [line for line in agent.log_lines() if "set aside" in line["msg"]])
    until("it to be well", lambda: is_ready(agent))
    agent.kill()
    agent.start()
    for other, one in zip(others, told):
        acknowledged_are_there(agent, other, [one])


def test_a_flipped_row_goes_to_quarantine(agent):
    call, other = Call(agent), Call(agent)
    told = [call.initiated(), call.answered()]
    other.initiated()
    agent.kill()
    database(agent, "UPDATE events SET body = replace(body, 'call.answered', 'call.answereD')")
    agent.start()
    until("the count", lambda: agent.metric("sidetone_store_quarantined_total") == 1)
    line = until("the line about it", lambda: [line for line in agent.log_lines() if "quarantine" in line["msg"]])[0]
    assert line["level"] == "error" and "events" in line["row"]
    acknowledged_are_there(agent, call, told[:1])
    assert object_id(told[1]["data"]["id"]) not in event_ids(agent.leg(call.leg))
    assert agent.webhook(told[1]).status_code == 200, "sent again, it is taken again"
    acknowledged_are_there(agent, call, told)
    assert agent.leg(other.leg)


# ---- the clock


def faked(tmp_path, offset):
    (tmp_path / "clock").write_text(offset + "\n")


@pytest.fixture
def stepping(tmp_path, signer):
    """An agent whose wall clock the test moves; the monotonic one goes on as it should."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    faked(tmp_path, "+0")
    sanitizer = os.environ.get("ASAN_OPTIONS", "")
    one = Agent(tmp_path, signer=signer, env=environment(
        LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(tmp_path / "clock"), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", ASAN_OPTIONS=f"{sanitizer}:verify_asan_link_order=0".strip(":")))
    one.start()
    yield one
    one.finish()


def taken(agent, event, step_s):
    """By the moved clock. libfaketime reads its file without a lock, so that with two threads at once one of them may
    see the true time for a moment."""
    until("it to be taken", lambda: agent.webhook(event, timestamp=int(time.time()) + step_s).status_code == 200)


def old_ids_were_forgotten(agent):
    """A round of it has passed: an id that is 73 h old by any clock is gone."""
    database(agent, "INSERT INTO event_ids SELECT 'old', min(seen_at_ms) - 73 * 3600000 FROM event_ids")
    until("old ids to go", lambda: not database(agent, "SELECT 1 FROM event_ids WHERE id = 'old'"))


@pytest.mark.parametrize("step_s", (3600, -3600, 4 * 86400))
def test_a_step_of_the_clock(stepping, tmp_path, step_s):
    agent, call = stepping, Call(stepping)
    told = [call.initiated(), call.answered()]
    stream = call.stream().start().media(100)
    stream.sync()
    faked(tmp_path, f"{step_s:+d}")
    until("the window to move", lambda: agent.webhook(call.event("call.bridged")).status_code == 401)
    late = call.event("call.dtmf.received", digit="1")
    taken(agent, late, step_s)
    told.append(late)
    old_ids_were_forgotten(agent)
    for one in told:
        taken(agent, one, step_s)
    assert agent.metric("sidetone_webhooks_total", result="duplicate") == 3, "no id is forgotten"
    stream.media(100)
    live_figures_go_on(agent, stream, call)
    stream.sync()
    faked(tmp_path, "+0")
    until("the window to be back", lambda: agent.webhook(told[0]).status_code == 200)
    stream.media(100).end()
    told.append(call.hangup())
    document = agent.complete(call.leg)
    delivery = harness.delivery_of(document)
    assert delivery["received_frames"] == 350
    assert document["status"] == "completed"
    acknowledged_are_there(agent, call, told)


# ---- no room under store.max_bytes


def reason_text(agent):
    status, body = readiness(agent)
    texts = [r["text"] for r in body["reasons"] if r["part"] == "store"]
    return status, body["status"], texts[0] if texts else ""


def test_no_room_left(make_agent, signer):
    agent = make_agent("store.max_bytes=4 MiB", signer=signer)
    known, told, seen = [Call(agent) for _ in range(8)], [], set()  # of one leg 4 MiB are kept at most
    for call in known:
        told.append((call, call.initiated()))
    for number in range(1000):
        call = known[number % len(known)]
        one = call.event("call.dtmf.received", digit="1", note="x" * 30000)
        answer = agent.webhook(one)
        seen.add((reason_text(agent)[0], reason_text(agent)[1]))
        if answer.status_code == 503:
            break
        told.append((call, one))
        if reason_text(agent)[0] == 503 and len(told) % 2:
            assert agent.webhook(Call(agent).event("call.initiated")).status_code == 503, "an unknown leg"
    assert seen == {(200, "ready"), (200, "degraded"), (503, "unready")}
    assert reason_text(agent)[2].endswith("% of store.max_bytes used")
    assert answer.status_code == 503
    assert agent.webhook(told[0][1]).status_code == 200, "a repeated event"
    assert (agent.store / "sidetone.db").stat().st_size < 4.6 * 2**20
    agent.kill()
    agent.start()
    for call in known:
        acknowledged_are_there(agent, call, [one for whose, one in told if whose is call])


def test_a_late_webhook_after_the_facts_went(make_agent, signer):
    """The CallLog is what is left of them, and the late one counts as if they were there."""
    agent = make_agent("store.keep_delivered=0 s", signer=signer)
    call = Call(agent)
    told = [call.initiated(), call.answered()]
    call.stream().start().media(100).end()
    told.append(call.hangup())
    before = agent.complete(call.leg)
    until("the facts to go", lambda: database(agent, "SELECT count(*) FROM events")[0][0] == 0)
    agent.stop()
    agent.start()  # nothing is in memory any more
    assert agent.leg(call.leg) == before
    cost = call.tell("call.cost", total_cost="0.0123", billed_duration_secs=60, status="success",
                     cost_parts=[{"call_part": "call-control", "cost": "0.0123", "currency": "USD", "rate": "0.01"}])
    after = until("it in the CallLog", lambda: (d := agent.leg(call.leg)) and len(event_ids(d)) == 4 and d)
    acknowledged_are_there(agent, call, told + [cost])
    changed = {key for key in set(before) | set(after) if before.get(key) != after.get(key)}
    assert changed <= {"telnyx", "metadata", "cost", "costBreakdown", "updatedAt", "billing"}, changed
    assert changed & {"cost", "costBreakdown", "billing"}, "the cost shows"
    assert sidetone_of(after)["media"] == sidetone_of(before)["media"]
    assert sidetone_of(after)["revision"] == sidetone_of(before)["revision"] + 1
    until("it on disk", lambda: agent.stored(call.id) == after)
    agent.kill()
    agent.start()
    assert agent.leg(call.leg) == after
