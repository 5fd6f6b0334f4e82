"""sidetone outbox (contract 1 and 8): beside an agent that runs, and without one."""
import json
import re
import sqlite3

import pytest

from fake_telnyx import Call
from harness import object_id, sidetone, sidetone_of, until

HEAD = ["row", "at", "leg", "kind", "id", "mongo", "redis_queue", "redis_alerts", "tries", "reason"]
PENDING, DONE, DEAD = 0, 1, 2
COLUMNS = "row, leg, kind, id, n, fact, at_ms, body, mongo, redis_queue, redis_alerts"
# Nobody listens there: rows wait.
SINKS = ("mongo.uri=mongodb://127.0.0.1:1/", "redis.url=redis://127.0.0.1:1/0")


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def record_crc(*values):
    """The checksum of a row, said again: type, then the number, or length and bytes."""
    crc = 0
    for value in values:
        kind = 5 if value is None else 1 if isinstance(value, int) else 3
        crc = crc32c(kind.to_bytes(8, "little"), crc)
        if isinstance(value, int):
            crc = crc32c((value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little"), crc)
        elif value is not None:
            data = value.encode()
            crc = crc32c(data, crc32c(len(data).to_bytes(8, "little"), crc))
    return crc


class File:
    """The store's file as another program sees it."""

    def __init__(self, agent):
        self.db = sqlite3.connect(agent.store / "sidetone.db", timeout=10, isolation_level=None)
        self.db.create_function("record_crc", -1, record_crc, deterministic=True)

    def ask(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def set(self, row, tries, reason, **states):
        """As the sink's runner would."""
        self.db.execute("BEGIN IMMEDIATE")
        for sink, state in states.items():
            self.db.execute(f"UPDATE outbox SET {sink} = ? WHERE row = ?", (state, row))
            if state in (PENDING, DEAD):
                number = ("mongo", "redis_queue", "redis_alerts").index(sink)
                self.db.execute("INSERT INTO outbox_tries VALUES (?1, ?2, ?3, ?4, 5, record_crc(?1, ?2, ?3, ?4, 5))",
                                (row, number, tries, reason))
        self.db.execute(f"UPDATE outbox SET crc = record_crc({COLUMNS}) WHERE row = ?", (row,))
        self.db.execute("COMMIT")


def outbox(agent, *words, status=0, options=()):
    more = [word for option in options for word in ("-o", option)]
    done = sidetone("outbox", "-o", f"store.dir={agent.store}", *more, *words)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


def listed(agent, *words, **more):
    head, *rows = [line.split("\t") for line in outbox(agent, "list", *words, **more).splitlines()]
    assert head == HEAD
    return [dict(zip(head, row, strict=True)) for row in rows]


def one_call(agent):
    """Two events and the row that a stream's end leaves."""
    call = Call(agent)
    told = [call.initiated(), call.answered()]
    call.stream().connected().start().media(50).end()
    until("the part", lambda: [row for row in listed(agent) if row["kind"] == "part"])
    return call, [event["data"]["id"] for event in told]


def test_facts_of_a_leg_are_rows(agent):
    call, events = one_call(agent)
    rows = listed(agent)
    assert [row["id"] for row in rows if row["kind"] == "event"] == events
    for row in rows:
        assert row["leg"] == call.leg and row["tries"] == "0" and row["reason"] == ""
        assert (row["mongo"], row["redis_queue"], row["redis_alerts"]) == ("pending", "pending", "-")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["at"])
    assert [int(row["row"]) for row in rows] == list(range(1, len(rows) + 1))
    assert agent.webhook(call.event("call.initiated", identity=events[0])).status_code == 200  # again: no new row
    assert len(listed(agent)) == len(rows)
    assert all(crc == record_crc(*row) for *row, crc in File(agent).ask(f"SELECT {COLUMNS}, crc FROM outbox"))


def test_show_prints_all_of_a_row(agent):
    call, events = one_call(agent)
    file = File(agent)
    file.set(2, 20, "too\tlarge\nit was", mongo=DEAD)
    head, body = outbox(agent, "show", "2").split("\n{", 1)
    lines = dict(line.split("\t", 1) for line in head.splitlines())
    assert lines["row"] == "2" and lines["leg"] == call.leg and lines["kind"] == "event" and lines["id"] == events[1]
    assert lines["mongo"] == "dead\t20\ttoo large it was" and lines["redis_queue"] == "pending\t0\t"
    element = json.loads("{" + body)
    assert element["eventType"] == "call.answered" and element["_id"]["$oid"] == object_id(events[1])
    assert "\n  " in body  # indented
    part = max(listed(agent), key=lambda row: row["kind"] == "part")["row"]
    assert "\npart\t" not in outbox(agent, "show", part) and "kind\tpart" in outbox(agent, "show", part)
    assert "there is no such row" in outbox(agent, "show", "999", status=1)


def test_what_is_listed(agent):
    one_call(agent)
    file = File(agent)
    last = file.ask("SELECT max(row) FROM outbox")[0][0]
    file.set(1, 3, "odd answer", mongo=DEAD)
    file.set(2, 0, "", mongo=DONE)
    dead, = listed(agent, "--dead")
    assert dead["row"] == "1" and dead["tries"] == "3" and dead["reason"] == "mongo: odd answer"
    assert listed(agent, "--dead", "--sink", "redis_queue") == []
    assert [row["row"] for row in listed(agent, "--sink", "mongo")] == ["1", *map(str, range(3, last + 1))]
    assert len(listed(agent, "--sink", "redis_queue")) == last
    assert listed(agent, "--sink", "redis_alerts") == []
    # Without MongoDB configured nobody waits for its rows; what is configured is asked about.
    assert "2" not in [row["row"] for row in listed(agent, options=[SINKS[0]])]
    assert len(listed(agent, options=[SINKS[1]])) == last


def test_retry_and_drop_without_serve(agent):
    one_call(agent)
    file = File(agent)
    file.set(1, 20, "one", mongo=DEAD, redis_queue=DONE)
    file.set(2, 20, "two", mongo=DONE, redis_queue=DEAD)
    file.db.close()
    agent.stop()
    assert "dead" in outbox(agent, "retry", "3", status=1)
    assert outbox(agent, "retry", "1") == "1 row is pending again\n"
    row = listed(agent)[0]
    # What is settled after all is told to the queue again.
    assert (row["mongo"], row["redis_queue"], row["tries"]) == ("pending", "pending", "0")
    assert outbox(agent, "retry", "all") == "1 row is pending again\n"
    assert outbox(agent, "retry", "all") == "0 rows are pending again\n"
    assert listed(agent, "--dead") == []
    assert outbox(agent, "drop", "1") == "row 1 is dropped\n"
    assert "pending or dead" in outbox(agent, "drop", "1", status=1)
    assert "1" not in [row["row"] for row in listed(agent)]
    assert "mongo\tdropped" in outbox(agent, "show", "1")
    assert all(crc == record_crc(*row) for *row, crc in File(agent).ask(f"SELECT {COLUMNS}, crc FROM outbox"))
    agent.start()


def test_a_running_agent_sees_retries_and_drops(make_agent, signer):
    agent = make_agent(*SINKS, signer=signer)
    one_call(agent)

    def rows(state, sink="mongo"):
        return agent.metric("sidetone_outbox_rows", sink=sink, state=state)

    total = len(listed(agent))
    until("all of them pending", lambda: rows("pending") == total)
    assert rows("pending", "redis_queue") == total and rows("pending", "redis_alerts") == 0
    assert 0 < agent.metric("sidetone_outbox_oldest_seconds", sink="mongo") < 60
    assert agent.metric("sidetone_outbox_oldest_seconds", sink="redis_alerts") == 0
    File(agent).set(1, 20, "odd", mongo=DEAD)
    until("a dead row", lambda: rows("dead") == 1)
    assert rows("pending") == total - 1
    outbox(agent, "retry", "all")
    until("no dead row", lambda: rows("dead") == 0 and rows("pending") == total)
    outbox(agent, "drop", "1")
    until("a dropped row", lambda: rows("pending") == total - 1)
    assert rows("pending", "redis_queue") == total - 1


def test_a_sink_that_is_not_configured_has_no_metric(make_agent, signer):
    agent = make_agent(SINKS[1], signer=signer)
    shown = {key for key in agent.metrics() if key.startswith("sidetone_outbox_oldest_seconds{")}
    assert shown == {'sidetone_outbox_oldest_seconds{sink="redis_queue"}',
                     'sidetone_outbox_oldest_seconds{sink="redis_alerts"}'}


@pytest.mark.parametrize("words, said", (
    ((), "a word is needed"), (("look",), "look: no such word; allowed: list, show ROW"), (("list", "1"), "one word too many"),
    (("show",), "show: the number of a row"), (("show", "all"), "show all: the number of a row"),
    (("show", "0"), "show 0"), (("drop", "-1"), "-1"), (("drop", "1x"), "drop 1x"), (("retry",), "retry: the number"),
    (("retry", "some"), "or all"), (("retry", "99999999999999999999"), "retry 99999999999999999999"),
    (("list", "--sink", "kafka"), "there are mongo, redis_queue, redis_alerts"), (("list", "--sink"), "--sink needs a value"),
    (("show", "1", "--dead"), "--sink and --dead go with list"), (("list", "--all"), "--all is not an option"),
))
def test_wrong_words(words, said):
    done = sidetone("outbox", *words)
    assert done.returncode == 2 and done.stdout == "" and said in done.stderr, done.stderr
    assert "try: sidetone outbox --help" in done.stderr


def test_no_store(tmp_path):
    for words in (("list",), ("retry", "all")):
        done = sidetone("outbox", "-o", f"store.dir={tmp_path}/none", *words)
        assert done.returncode == 1 and "there is no store yet" in done.stderr and done.stdout == ""
    assert not (tmp_path / "none").exists()


def test_a_store_of_an_older_version(tmp_path):
    sqlite3.connect(tmp_path / "sidetone.db").executescript("CREATE TABLE calllogs (x); PRAGMA user_version = 1;")
    done = sidetone("outbox", "-o", f"store.dir={tmp_path}", "list")
    assert done.returncode == 1 and "start `sidetone serve` once" in done.stderr


# ---- bad CallLogs


def test_a_bad_calllog_is_made_again_from_its_facts(agent):
    call = Call(agent)
    call.initiated()
    call.hangup()
    good = agent.complete(call.leg)
    agent.stop()
    file = File(agent)
    file.db.execute("UPDATE calllogs SET body = replace(body, 'hangup', 'hangux')")
    file.db.close()
    done = sidetone("calls", "-o", f"store.dir={agent.store}", call.id)
    assert done.returncode == 1 and "damaged" in done.stderr and done.stdout == ""
    agent.start()
    until("the document again", lambda: agent.leg(call.leg))
    again = until("the stored one", lambda: [row for row in agent.stored() if row["callLogId"] == call.id])
    assert len(again) == 1 and sidetone_of(agent.stored(call.id))["revision"] == sidetone_of(good)["revision"]
    assert agent.stored(call.id)["status"] == good["status"]
    assert File(agent).ask("SELECT source, leg, id FROM quarantine") == [("calllogs", call.leg, call.id)]
    until("a word about it", lambda: [line for line in agent.log_lines() if "quarantine" in str(line)])
    assert agent.metric("sidetone_store_quarantined_total") == 1


def test_rows_outlive_kill_9(agent):
    call, _ = one_call(agent)
    before = listed(agent)
    agent.kill()
    assert listed(agent) == before
    agent.start()
    rows = listed(agent)
    assert rows[:len(before)] == before and {row["leg"] for row in rows} == {call.leg}
