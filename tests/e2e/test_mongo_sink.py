"""The MongoDB sink against a real server, driven by build/tools/sink_driver with the agent's own folder, read back with
pymongo."""
import base64
import contextlib
import json
import random
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from pathlib import Path

import bson
import bson.json_util
import pymongo
import pytest

from harness import BINARY, DEADLINE_S, FIXTURES, assert_no_sanitizer, call_log_id, object_id, sidetone, until
from secure import make_certificate

DRIVER = BINARY.parent / "tools/sink_driver"
AT = "2026-09-15T09:30:%02d.000Z"


class Driver:
    """One process with one sink."""

    def __init__(self, uri, database, *words, agent="driver", selection_ms=20000, socket_ms=20000):
        self.options = ["--uri", uri, "--database", database, "--agent", agent, "--selection-ms", str(selection_ms),
                        "--socket-ms", str(socket_ms), *words]
        self.process = subprocess.Popen([str(DRIVER), *self.options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def ask(self, line):
        self.send(line)
        return self.answer()

    def send(self, line):
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def answer(self):
        text = self.process.stdout.readline()
        assert text, self.process.stderr.read()
        return json.loads(text)

    def begin(self, rows):
        for row in rows:
            self.process.stdin.write(json.dumps(row) + "\n")
        self.send("deliver")

    def deliver(self, rows):
        self.begin(rows)
        return self.answer()["outcomes"]

    def results(self, rows):
        return [(o["result"], o["kind"]) for o in self.deliver(rows)]

    def deliver_until_done(self, rows, deadline_s=DEADLINE_S):
        """As the runner does: what is not done goes again, without its pause."""
        def again():
            nonlocal rows
            outcomes = self.deliver(rows)
            assert all(o["result"] in ("done", "away") for o in outcomes), outcomes
            rows = not_done(rows, outcomes)
            return not rows
        until("every row done", again, deadline_s)

    def look_after(self):
        """Until the indexes are there: a server that has just begun may need longer than the timeouts."""
        until("the indexes", lambda: self.ask("look_after")["indexes_ready"])

    def finish(self):
        _, errors = self.process.communicate(timeout=30)
        assert_no_sanitizer(errors)
        assert (self.process.returncode, errors) == (0, "")


@pytest.fixture
def make_driver():
    with contextlib.ExitStack() as made:
        def make(*words, **more):
            driver = Driver(*words, **more)
            made.callback(driver.finish)
            return driver
        yield make


@pytest.fixture
def driver(make_driver, mongo):
    return make_driver(mongo.uri, mongo.database)


def check(uri, database, *words):
    done = subprocess.run([str(DRIVER), "--uri", uri, "--database", database, "--selection-ms", "1000", *words, "check"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert_no_sanitizer(done.stderr)
    return done.returncode, done.stdout


ROW = iter(range(1, 1 << 40))


def event(leg, name, kind, second, **payload):
    element = {"_id": {"$oid": object_id(name)}, "eventType": kind, "timestamp": {"$date": AT % second},
               "payload": {"call_control_id": leg, **payload}}
    return {"row": next(ROW), "kind": "event", "leg": leg, "id": name, "n": 0, "at_ms": 1789000000000,
            "body": json.dumps(element)}


def state(**keys):
    return {"client_state": base64.b64encode(json.dumps(keys).encode()).decode()}


def call_of(leg, **payload):
    """A short call: three facts."""
    common = {"from": "+15550100002", "to": "+15550100101", "direction": "outgoing", **payload}
    return [event(leg, f"{leg}-1", "call.initiated", 0, **common), event(leg, f"{leg}-2", "call.answered", 5, **common),
            event(leg, f"{leg}-3", "call.hangup", 35, hangup_cause="normal_clearing", hangup_source="callee", **common)]


def settled(mongo, leg):
    return mongo.db.calllogs.find_one({"telnyx.callControlId": leg})


# ---- facts of a fixture, in any order, from two agents


def facts_of(agent, signer, tmp_path, names):
    """Rows and final documents of fixtures, from a real agent's store."""
    key = tmp_path / "seed"
    key.write_text(signer.seed + "\n")
    done = sidetone("replay", "--to", f"http://{agent.public}", "--sign-key", key, "--speed", "max", "--fresh",
                    *[FIXTURES / name for name in names])
    assert done.returncode == 0, done.stderr

    def all_complete():
        stored = [agent.stored(row["callLogId"]) for row in agent.stored()]
        whole = [d for d in stored if d["metadata"]["sidetone"].get("complete")]
        return whole if len(whole) >= len(names) and len(whole) == len(stored) else None
    documents = until("every call complete", all_complete)
    [path] = [p for p in Path(agent.home).rglob("*") if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3"]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        rows = [{"row": next(ROW), "kind": "event", "leg": leg, "id": i, "n": 0, "at_ms": at, "body": body}
                for i, leg, at, body in store.execute("SELECT id, leg, received_at_ms, body FROM events WHERE leg <> ''")]
        rows += [{"row": next(ROW), "kind": "part", "leg": leg, "id": part, "n": n, "at_ms": 1789000000000, "body": body}
                 for leg, part, n, body in store.execute("SELECT leg, part, n, body FROM parts")]
    return rows, documents


def older(row):
    """The same part as it was one write before."""
    body = json.loads(row["body"])
    body["n"] -= 1
    return {**row, "row": next(ROW), "n": row["n"] - 1, "body": json.dumps(body)}


def comparable(document):
    """Contract 4: without _id, createdAt, updatedAt, __v, agent names. Our copies of what people may write are part of
    MongoDB alone."""
    text = bson.json_util.dumps(document, json_options=bson.json_util.RELAXED_JSON_OPTIONS)
    plain = json.loads(re.sub(r"(T\d\d:\d\d:\d\d)Z", r"\1.000Z", text))  # pymongo leaves .000 out
    for name in ("_id", "createdAt", "updatedAt", "__v", "isActive"):
        plain.pop(name, None)
    for name in ("agents", "wrote", "media"):
        plain["metadata"]["sidetone"].pop(name, None)
    return without_empty(plain)


def differences(got, expected, path=""):
    if isinstance(got, dict) and isinstance(expected, dict):
        for name in sorted(set(got) | set(expected)):
            yield from differences(got.get(name), expected.get(name), f"{path}.{name}")
    elif isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        for n, pair in enumerate(zip(got, expected)):
            yield from differences(*pair, f"{path}[{n}]")
    elif got != expected:
        yield path, got, expected


def without_empty(value):
    if isinstance(value, dict):
        kept = {k: without_empty(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    return [without_empty(v) for v in value] if isinstance(value, list) else value


def test_two_agents_any_order_and_duplicates_give_the_document_of_one(make_agent, signer, mongo, make_driver, tmp_path):
    names = ["dtmf", "two-legs", "reconnect", "busy", "machine", "random-loss"]
    rows, documents = facts_of(make_agent(signer=signer), signer, tmp_path, names)
    assert sum(row["kind"] == "part" for row in rows) >= 4
    parts = [older(row) for row in rows if row["kind"] == "part" and row["n"] > 1]
    drivers = [make_driver(mongo.uri, mongo.database, agent=f"agent{k}") for k in range(2)]
    shuffle = random.Random(7)

    def work(driver):
        mine = [row for row in rows + rows + parts if shuffle.random() < 0.7]
        shuffle.shuffle(mine)
        while mine:
            some, mine = mine[:5], mine[5:]
            driver.deliver_until_done(some)

    threads = [threading.Thread(target=work, args=(driver,)) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drivers[0].deliver_until_done(rows)  # whatever the draw left out
    found = list(mongo.db.calllogs.find())
    assert len(found) == len(documents)
    by_leg = {d["telnyx"]["callControlId"]: d for d in found}
    for document in documents:
        assert list(differences(comparable(by_leg[document["telnyx"]["callControlId"]]), comparable(document))) == []


def test_a_batch_again_changes_nothing_but_updated_at(driver, mongo):
    rows = call_of("leg-1") + call_of("leg-2")
    assert driver.results(rows) == [("done", "")] * 6
    before = {d["_id"]: d for d in mongo.db.calllogs.find()}
    assert driver.results(rows) == [("done", "")] * 6
    after = {d["_id"]: d for d in mongo.db.calllogs.find()}
    for document in list(before.values()) + list(after.values()):
        document.pop("updatedAt")
    assert before == after
    assert len(after) == 2 and all(len(d["telnyx"]["webhookEvents"]) == 3 for d in after.values())


# ---- indexes

KEPT_OF_36 = """callLogId_1 telnyx.callControlId_1 callId_1 conversationId_1 from.number_1 to.number_1 answerState_1
outcome.result_1 tags_1 leadId_1_initiatedAt_-1 contactId_1_initiatedAt_-1 campaignId_1_initiatedAt_-1
direction_1_status_1 callType_1_initiatedAt_-1 status_1_initiatedAt_-1 quality.overallRating_1 initiatedAt_-1
answeredAt_-1 endedAt_-1 isActive_1_status_1 leadId_1_direction_1_initiatedAt_-1
assignedAgent_1_status_1_initiatedAt_-1 campaignId_1_outcome.result_1_initiatedAt_-1
direction_1_answerState_1_initiatedAt_-1 callType_1_status_1_quality.overallRating_-1
transcription.fullText_text_aiAnalysis.keywords_text_outcome.notes_text_tags_text""".split()


def test_the_indexes_of_the_data_model_are_made(driver, mongo):
    stats = driver.ask("look_after")
    assert stats == {"indexes_ready": True, "index_refusal": "", "refused_since_ms": 0}
    made = mongo.db.calllogs.index_information()
    assert len(KEPT_OF_36) == 26
    assert set(made) == {"_id_", *KEPT_OF_36, "updatedAt_1__id_1"}
    assert made["callLogId_1"].get("unique") and not made["callLogId_1"].get("sparse")
    assert made["telnyx.callControlId_1"].get("unique") and made["telnyx.callControlId_1"].get("sparse")
    assert sum(bool(index.get("unique")) for index in made.values()) == 2
    assert driver.ask("look_after") == stats


def assert_held(driver, mongo, name):
    before = mongo.db.calllogs.count_documents({})
    [outcome] = driver.deliver(call_of("leg")[:1])
    assert (outcome["result"], outcome["kind"]) == ("away", "index")
    assert outcome["reason"].startswith(f"index {name}: ")
    stats = driver.ask("look_after")
    assert not stats["indexes_ready"] and stats["index_refusal"].startswith(outcome["reason"])
    assert abs(stats["refused_since_ms"] - time.time() * 1000) < 60000
    assert mongo.db.calllogs.count_documents({}) == before
    made = set(mongo.db.calllogs.index_information())
    assert made | {name} == {"_id_", *KEPT_OF_36, "updatedAt_1__id_1"}  # one refusal does not stop the rest


def test_rows_are_held_while_call_log_id_is_not_unique(driver, make_driver, mongo):
    """As Mongoose may have made it (data-model.md 9.1, M7)."""
    mongo.db.calllogs.create_index("callLogId")
    assert_held(driver, mongo, "callLogId_1")
    status, text = check(mongo.uri, mongo.database)
    assert status == 1 and "index callLogId_1 is there with other options; nothing is written until it is unique" in text
    mongo.db.calllogs.drop_index("callLogId_1")
    assert make_driver(mongo.uri, mongo.database).results(call_of("leg")[:1]) == [("done", "")]


@pytest.mark.parametrize("name, document", [("callLogId_1", {"callLogId": "same"}),
                                            ("telnyx.callControlId_1", {"telnyx": {"callControlId": "same"}})])
def test_rows_are_held_while_there_are_duplicates(driver, make_driver, mongo, name, document):
    mongo.db.calllogs.insert_many([{"callLogId": str(n), **document} for n in range(2)])
    assert_held(driver, mongo, name)
    mongo.db.calllogs.delete_many({})
    assert make_driver(mongo.uri, mongo.database).results(call_of("leg")[:1]) == [("done", "")]


def test_a_unique_index_that_is_not_sparse_is_enough_and_is_shown(driver, mongo):
    mongo.db.calllogs.create_index("telnyx.callControlId", unique=True)
    assert driver.results(call_of("leg")) == [("done", "")] * 3
    stats = driver.ask("look_after")
    assert stats["indexes_ready"] and stats["index_refusal"].startswith("index telnyx.callControlId_1: ")


def test_another_refusal_is_shown_and_holds_nothing(driver, mongo):
    mongo.db.calllogs.create_index("from.number", unique=True, sparse=True)
    assert driver.results(call_of("leg")) == [("done", "")] * 3
    stats = driver.ask("look_after")
    assert stats["indexes_ready"] and stats["index_refusal"].startswith("index from.number_1: ")


def test_a_dropped_collection_gets_its_indexes_back_before_rows_after_an_outage(mongo_server, make_driver):
    driver = make_driver(mongo_server.uri, "d", selection_ms=500)
    driver.deliver_until_done(call_of("one"))
    with pymongo.MongoClient(mongo_server.uri) as client:
        client.d.calllogs.drop()
    mongo_server.kill()
    assert driver.results(call_of("two"))[0][0] == "away"
    mongo_server.start()
    driver.deliver_until_done(call_of("two"))
    with pymongo.MongoClient(mongo_server.uri) as client:
        assert len(client.d.calllogs.index_information()) == 28


# ---- one document a leg, whoever else writes


def test_a_call_log_id_of_another_leg_leaves_the_derived_one(driver, mongo):
    wanted = "CALL_1789000000000_abcdefghi"
    assert driver.results(call_of("first", **state(callLogId=wanted))) == [("done", "")] * 3
    assert driver.results(call_of("second", **state(callLogId=wanted))) == [("done", "")] * 3
    assert settled(mongo, "first")["callLogId"] == wanted
    second = settled(mongo, "second")
    assert second["callLogId"] == call_log_id("second")
    assert second["metadata"]["sidetone"]["callLogIdConflict"] == wanted
    assert second["status"] == "completed"


def test_both_legs_of_a_batch_want_one_call_log_id(driver, mongo):
    wanted = "CALL_1789000000000_abcdefghi"
    rows = call_of("first", **state(callLogId=wanted)) + call_of("second", **state(callLogId=wanted))
    assert driver.results(rows) == [("done", "")] * 6
    ids = sorted(d["callLogId"] for d in mongo.db.calllogs.find())
    assert ids in (sorted([wanted, call_log_id("first")]), sorted([wanted, call_log_id("second")]))
    assert mongo.db.calllogs.count_documents({"metadata.sidetone.callLogIdConflict": wanted}) == 1


def test_a_document_of_the_application_is_joined_by_its_call_log_id(driver, mongo):
    mongo.db.calllogs.insert_one({"callLogId": "CALL_1_application", "direction": "outbound", "notes": [{"text": "mine"}]})
    assert driver.results(call_of("leg", **state(callLogId="CALL_1_application"))) == [("done", "")] * 3
    [document] = mongo.db.calllogs.find()
    assert document["telnyx"]["callControlId"] == "leg" and document["notes"] == [{"text": "mine"}]
    assert document["status"] == "completed" and len(document["telnyx"]["webhookEvents"]) == 3


def test_a_document_of_the_application_is_joined_by_its_id(driver, mongo):
    made = mongo.db.calllogs.insert_one({"callLogId": "CALL_1_application"}).inserted_id
    # The first row has no client_state; the next one names the document before the leg's own is made.
    rows = call_of("leg", **state(callId=str(made)))
    rows[0] = event("leg", "leg-1", "call.initiated", 0, direction="outgoing")
    assert driver.results(rows) == [("done", "")] * 3
    [document] = mongo.db.calllogs.find()
    assert document["_id"] == made and document["status"] == "completed"


def test_a_document_of_another_leg_is_not_joined(driver, mongo):
    made = mongo.db.calllogs.insert_one({"callLogId": "theirs", "telnyx": {"callControlId": "other"}}).inserted_id
    assert driver.results(call_of("leg", **state(callId=str(made)))) == [("done", "")] * 3
    assert mongo.db.calllogs.count_documents({}) == 2
    assert mongo.db.calllogs.find_one(made) == {"_id": made, "callLogId": "theirs", "telnyx": {"callControlId": "other"}}


def test_an_outcome_of_a_person_stays(driver, mongo):
    leg = call_of("leg")
    assert driver.results(leg[:2]) == [("done", "")] * 2
    mongo.db.calllogs.update_one({"telnyx.callControlId": "leg"}, {"$set": {"outcome.result": "qualified"}})
    assert driver.results(leg[2:]) == [("done", "")]
    assert settled(mongo, "leg")["outcome"]["result"] == "qualified"
    assert driver.results(call_of("free")) == [("done", "")] * 3
    assert settled(mongo, "free")["outcome"]["result"] == "connected"


def test_a_settle_that_others_overtake_is_not_done(driver, mongo):
    """A main update names `wrote` as it was read: whoever changes it in between makes it match nothing."""
    legs = [f"leg-{n}" for n in range(30)]
    rows = [row for leg in legs for row in call_of(leg)]
    stop, turns = threading.Event(), 0

    def overtake():
        nonlocal turns
        while not stop.is_set():
            turns += 1
            mongo.db.calllogs.update_many({}, {"$set": {"metadata.sidetone.wrote.turn": turns}})
    driver.look_after()
    thread = threading.Thread(target=overtake)
    thread.start()
    outcomes = driver.deliver(rows)
    stop.set()
    thread.join()
    assert {(o["result"], o["kind"]) for o in outcomes} <= {("done", ""), ("retry", "settle")}
    for row, o in zip(rows, outcomes):
        if o["result"] == "done":
            assert settled(mongo, row["leg"])["metadata"]["sidetone"]["revision"] == 3
    driver.deliver_until_done(not_done(rows, outcomes))
    nothing_twice(mongo.client, mongo.database, legs)


# ---- lead look-up

LEAD, SECOND_LEAD, CONTACT = (bson.ObjectId(f"66f0a1b2c3d4e5f6012345{n:02x}") for n in range(3))


@pytest.mark.parametrize("lead, contact, expected", [
    ({"phone": "+15550100101"}, {"phone": {"primary": "+15550100101"}}, (LEAD, None)),
    ({"alternatePhone": "+15550100101"}, None, (LEAD, None)),
    (None, {"phone": {"mobile": "+15550100101"}}, (None, CONTACT)),
    (None, {"phone": {"home": "+15550100101"}, "leadId": SECOND_LEAD}, (SECOND_LEAD, CONTACT)),
    ({"phone": "15550100101"}, {"phone": {"work": "+15550100102"}}, (None, None)),
])
def test_a_lead_is_looked_up_once_and_is_a_fact(make_driver, mongo, lead, contact, expected):
    if lead:
        mongo.db.leads.insert_one({"_id": LEAD, **lead})
    if contact:
        mongo.db.contacts.insert_one({"_id": CONTACT, **contact})
    driver = make_driver(mongo.uri, mongo.database, "--lead-lookup")
    rows = call_of("leg")
    assert driver.results(rows[:1]) == [("done", "")]
    document = settled(mongo, "leg")
    found = {name: value for name, value in zip(("leadId", "contactId"), expected) if value}
    assert document["metadata"]["sidetone"]["leadLookup"] == found
    assert {name: document.get(name) for name in found} == found
    assert ("no-lead" in document.get("tags", [])) == (expected[0] is None)
    mongo.db.leads.insert_one({"_id": bson.ObjectId(), "phone": "+15550100101"})
    assert driver.results(rows[1:]) == [("done", "")] * 2
    assert settled(mongo, "leg")["metadata"]["sidetone"]["leadLookup"] == found


def test_without_the_option_nothing_is_looked_up(driver, mongo):
    mongo.db.leads.insert_one({"_id": LEAD, "phone": "+15550100101"})
    assert driver.results(call_of("leg")) == [("done", "")] * 3
    document = settled(mongo, "leg")
    assert "leadId" not in document and "leadLookup" not in document["metadata"]["sidetone"]


# ---- what cannot be written


def test_what_is_too_large_or_no_fact_is_dead_and_the_rest_is_done(driver, mongo):
    huge = event("leg", "huge", "call.transcription", 7, text="x" * (17 << 20))
    nothing = {**event("leg", "nothing", "call.answered", 6), "body": '{"no":"element"}'}
    outcomes = driver.deliver([huge, nothing, *call_of("leg")])
    assert [(o["result"], o["kind"]) for o in outcomes] == [("dead", "too_large"), ("dead", "refused")] + [("done", "")] * 3
    assert outcomes[0]["reason"] == "document too large: MongoDB takes 16 MiB"
    assert len(settled(mongo, "leg")["telnyx"]["webhookEvents"]) == 3


def test_a_batch_of_many_bytes_goes_in_parts(make_driver, mongo):
    driver = make_driver(mongo.uri, mongo.database, socket_ms=20000)
    rows = [event(f"leg-{n}", f"e{n}", "call.answered", 5, text="x" * (5 << 20)) for n in range(6)]
    assert driver.results(rows) == [("done", "")] * 6
    assert mongo.db.calllogs.count_documents({"status": "answered"}) == 6


# ---- servers that go away


def not_done(rows, outcomes):
    """What a runner would deliver again: a row that is done must have its settle."""
    return [row for row, o in zip(rows, outcomes) if o["result"] != "done"]


def nothing_twice(client, database, legs):
    documents = list(client[database].calllogs.find())
    assert sorted(d["telnyx"]["callControlId"] for d in documents) == sorted(legs)
    for document in documents:
        ids = [e["_id"] for e in document["telnyx"]["webhookEvents"]]
        assert len(ids) == len(set(ids)) == 3
        assert document["status"] == "completed" and document["metadata"]["sidetone"]["revision"] == 3
        assert document["outcome"]["result"] == "connected" and document["tags"] == ["no-lead"]


@pytest.mark.parametrize("after", [1, 25, 60, 90])
def test_a_server_killed_amid_a_batch_is_away_and_then_everything_is_there_once(mongo_server, make_driver, after):
    """`after`: how many documents there are when it is killed: in the facts, or in the settles."""
    driver = make_driver(mongo_server.uri, "d", selection_ms=500)
    legs = [f"leg-{n}" for n in range(60)]
    rows = [row for leg in legs for row in call_of(leg)]
    driver.look_after()
    with pymongo.MongoClient(mongo_server.uri) as client:
        driver.begin(rows)
        field = {} if after <= 60 else {"metadata.sidetone.revision": 3}
        until("a part of the batch", lambda: client.d.calllogs.count_documents(field) >= min(after, 60))
        mongo_server.kill()
    outcomes = driver.answer()["outcomes"]
    assert {(o["result"], o["kind"]) for o in outcomes} <= {("done", ""), ("away", "network"), ("away", "selection")}
    mongo_server.start()
    driver.deliver_until_done(not_done(rows, outcomes))
    with pymongo.MongoClient(mongo_server.uri) as client:
        nothing_twice(client, "d", legs)


def test_a_server_that_is_not_there_is_away_within_the_selection_timeout(mongo_server, make_driver):
    driver = make_driver(mongo_server.uri, "d", selection_ms=700)
    mongo_server.kill()
    driver.begin(call_of("leg"))
    answer = driver.answer()
    assert [(o["result"], o["kind"]) for o in answer["outcomes"]] == [("away", "selection")] * 3
    assert answer["took_s"] < DEADLINE_S  # the driver's own is 30 s
    mongo_server.start()
    driver.deliver_until_done(call_of("leg"))


@pytest.fixture
def link(toxiproxy, mongo_server):
    return toxiproxy.link("mongo", mongo_server.port)


def test_a_half_open_link_is_away_within_the_socket_timeout(link, mongo_server, make_driver):
    driver = make_driver(f"mongodb://127.0.0.1:{link.port}", "d", socket_ms=1000, selection_ms=1000)
    driver.deliver_until_done(call_of("leg-0"))
    link.half_open()
    driver.begin(call_of("leg-1"))
    answer = driver.answer()
    assert [(o["result"], o["kind"]) for o in answer["outcomes"]] == [("away", "timeout")] * 3
    assert 0.9 < answer["took_s"] < DEADLINE_S  # the driver's own is 300 s
    link.mend()
    driver.deliver_until_done(call_of("leg-1"))
    with pymongo.MongoClient(mongo_server.uri) as client:
        nothing_twice(client, "d", ["leg-0", "leg-1"])


def test_answers_lost_after_the_writes_are_repeated_harmlessly(link, mongo_server, make_driver):
    driver = make_driver(f"mongodb://127.0.0.1:{link.port}", "d", socket_ms=1000, selection_ms=1000)
    driver.look_after()
    link.half_open("downstream")
    assert {o["result"] for o in driver.deliver(call_of("leg"))} == {"away"}
    with pymongo.MongoClient(mongo_server.uri) as client:
        until("the facts are there", lambda: client.d.calllogs.count_documents({"telnyx.webhookEvents.2": {"$exists": True}}))
        link.mend()
        driver.deliver_until_done(call_of("leg"))
        nothing_twice(client, "d", ["leg"])


def test_a_link_cut_amid_answers_again_and_again(link, mongo_server, make_driver):
    driver = make_driver(f"mongodb://127.0.0.1:{link.port}", "d", socket_ms=1000, selection_ms=1000)
    legs = [f"leg-{n}" for n in range(8)]
    rows = open_rows = [row for leg in legs for row in call_of(leg)]
    for count_bytes in (200, 700, 1500, 4000, 9000, 20000):
        link.cut_after(count_bytes)
        outcomes = driver.deliver(open_rows)
        assert {o["result"] for o in outcomes} <= {"away", "done"}
        open_rows = not_done(open_rows, outcomes) or rows
        link.mend()
    driver.deliver_until_done(open_rows)
    with pymongo.MongoClient(mongo_server.uri) as client:
        nothing_twice(client, "d", legs)


def test_a_slow_link_gets_smaller_bulks(link, mongo_server, make_driver):
    """200 kB of facts at 100 kB/s need more than the socket's timeout in one bulk, and so do the documents."""
    driver = make_driver(f"mongodb://127.0.0.1:{link.port}", "d", socket_ms=1000, selection_ms=1000)
    legs = [f"leg-{n}" for n in range(30)]
    rows = [row for leg in legs for row in call_of(leg, padding="x" * 1500)]
    driver.look_after()
    link.narrow(100)
    assert ("away", "timeout") in driver.results(rows)
    driver.deliver_until_done(rows, deadline_s=90)
    with pymongo.MongoClient(mongo_server.uri) as client:
        nothing_twice(client, "d", legs)


def test_after_an_interrupt_nothing_is_begun(driver, mongo):
    driver.look_after()
    driver.send("interrupt")
    assert driver.results(call_of("leg")) == [("away", "stopping")] * 3
    assert mongo.db.calllogs.count_documents({}) == 0


@pytest.mark.parametrize("retry", ["true", "false"])
def test_retry_writes_as_the_uri_says_on_a_server_without_sessions(mongo, make_driver, retry):
    driver = make_driver(f"{mongo.uri}/?retryWrites={retry}", mongo.database)
    assert driver.results(call_of("leg")) == [("done", "")] * 3


# ---- reading back


def test_the_reader_leaves_out_what_the_queue_does(driver, mongo):
    assert driver.results(call_of("leg")) == [("done", "")] * 3
    mongo.db.calllogs.update_one({}, {"$set": {
        "telnyx.apiResponse": {"a": 1}, "transcription": {"fullText": "a", "turns": [{"text": "a"}], "language": "en"},
        "metadata.sidetone.media": {"a_0": {"n": 1}}, "metadata.sidetone.speech": {"events": [1], "turns": 4},
        "metadata.sidetone.quality.delivery": {side: {"windows": [1], "mos": 4} for side in ("inbound", "outbound")}}})
    part = driver.ask({"read": ["leg", "nobody"], "whole": False})
    whole = driver.ask({"read": ["leg"], "whole": True, "last": True})
    assert part["rc"] == whole["rc"] == 0 and set(part["documents"]) == {"leg"}
    document, everything = part["documents"]["leg"], whole["documents"]["leg"]
    assert "webhookEvents" not in document["telnyx"] and "apiResponse" not in document["telnyx"]
    assert document["transcription"] == {"language": "en"} and document["telnyx"]["callControlId"] == "leg"
    sidetone_part = document["metadata"]["sidetone"]
    assert "media" not in sidetone_part and sidetone_part["speech"] == {"turns": 4}
    assert sidetone_part["quality"]["delivery"] == {"inbound": {"mos": 4}, "outbound": {"mos": 4}}
    assert len(everything["telnyx"]["webhookEvents"]) == 3 and everything["metadata"]["sidetone"]["media"] == {"a_0": {"n": 1}}


def test_a_reader_without_a_server_says_so(mongo_server, make_driver):
    driver = make_driver(mongo_server.uri, "d", selection_ms=300)
    mongo_server.kill()
    answer = driver.ask({"read": ["leg"], "whole": True, "last": True})
    assert answer["rc"] == -1 and (answer["outcome"]["result"], answer["outcome"]["kind"]) == ("away", "selection")


def test_many_legs_are_read_in_parts(driver, mongo):
    legs = [f"leg-{n}" for n in range(600)]
    mongo.db.calllogs.insert_many([{"callLogId": leg, "telnyx": {"callControlId": leg}} for leg in legs])
    answer = driver.ask({"read": legs, "whole": True, "last": True})
    assert answer["rc"] == 0 and sorted(answer["documents"]) == sorted(legs)


# ---- sidetone check --connect, in words


def test_check_says_what_is_missing_and_what_is_there(mongo, driver):
    status, text = check(mongo.uri, mongo.database)
    assert status == 0 and "mongo: connected, server version " in text
    assert text.count(" is missing\n") == 27
    assert text.endswith("mongo: missing indexes are made when the agent starts\nmongo: fine\n")
    assert mongo.db.calllogs.count_documents({}) == 0
    driver.look_after()
    status, text = check(mongo.uri, mongo.database)
    assert status == 0 and text.splitlines()[1:] == ["mongo: fine"]


@pytest.mark.parametrize("uri, words", [
    ("mongodb://nowhere.invalid/", "mongo: cannot resolve the host's name"),
    ("mongodb+srv://cluster.nowhere.invalid/", "mongo: cannot resolve the SRV record"),
    ("mongodb://127.0.0.1:1/", "mongo: connection refused"),
    ("mongodb://user:redherring@127.0.0.1:1/?w=nonsense=1", "mongo: "),
    ("mongodb://user:red/herring@127.0.0.1/", "mongo: mongo.uri: malformed: "),
    ("mongodb://user:red@herring@127.0.0.1/", "mongo: mongo.uri: malformed: "),
    ("mongodb://user:red%herring@127.0.0.1/", "mongo: mongo.uri: malformed: "),
    ("mongodb://user:1234/herring@127.0.0.1/", "mongo: mongo.uri: malformed: "),
    ("mongodb://user:1234?herring@127.0.0.1/", "mongo: mongo.uri: malformed: "),
    ("mongodb://user@127.0.0.1:1/?tls=true&tlsCertificateKeyFile=/x&tlsCertificateKeyFilePassword=herring", "mongo: "),
])
def test_check_names_the_fault_and_never_the_password(uri, words):
    status, text = check(uri, "d")
    assert status == 1 and text.startswith(words)
    for part in ("red", "herring", "1234"):
        assert part not in text.replace("refused", "").replace("server", "")


def test_check_tells_a_wrong_replica_set(mongo):
    status, text = check(mongo.uri + "/?replicaSet=nobodys", "d")
    assert status == 1 and text.startswith("mongo: no server of the URI's replicaSet")


def test_check_tells_another_server_than_mongodb():
    with socket.create_server(("127.0.0.1", 0)) as door:
        def answer():
            link, _ = door.accept()
            with link:
                link.recv(65536)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        status, text = check(f"mongodb://127.0.0.1:{door.getsockname()[1]}/", "d")
        thread.join()
    assert status == 1 and text.startswith("mongo: what answers there is no MongoDB")


class TlsDoor:
    """A port that takes TLS off and passes the rest on, as a terminator in front of MongoDB does."""

    def __init__(self, folder, upstream_port):
        self.certificate, key = make_certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.upstream_port, self.listener, self.open = upstream_port, socket.create_server(("127.0.0.1", 0)), []
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        with contextlib.suppress(OSError, ValueError):
            inner = socket.create_connection(("127.0.0.1", self.upstream_port))
            outer = self.context.wrap_socket(plain, server_side=True)
            self.open += [inner, outer]
            threading.Thread(target=self._pass, args=(inner, outer), daemon=True).start()
            self._pass(outer, inner)

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError, ValueError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def close(self):
        for one in [self.listener, *self.open]:
            with contextlib.suppress(OSError):
                one.close()


@pytest.fixture
def tls_door(mongo, tmp_path):
    door = TlsDoor(tmp_path, int(mongo.uri.rsplit(":", 1)[1]))
    yield door
    door.close()


def test_tls_by_uri(mongo, make_driver, tls_door, tmp_path):
    uri = f"mongodb://localhost:{tls_door.port}/?tls=true"
    status, text = check(uri, "d")
    assert status == 1 and text.startswith("mongo: TLS failed")  # nobody vouches for the certificate
    status, text = check(mongo.uri + "/?tls=true", "d")
    assert status == 1 and "one side without TLS" in text
    driver = make_driver(f"{uri}&tlsCAFile={tls_door.certificate}", mongo.database)
    assert driver.results(call_of("leg")) == [("done", "")] * 3
    assert settled(mongo, "leg")["status"] == "completed"


def test_check_tells_a_failed_login(mongo):
    """The stand-in has no users: it refuses every login, which is what is to be told."""
    uri = mongo.uri.replace("mongodb://", "mongodb://somebody:swordfish@")
    status, text = check(uri, "d")
    assert status == 1 and text.startswith("mongo: authentication failed") and "swordfish" not in text
