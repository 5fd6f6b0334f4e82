"""Documents in a real MongoDB against the fold: every fixture, and what applications and people do to them, read back
with pymongo."""
import base64
import datetime
import json
import time

import pytest
from bson import ObjectId

from fake_telnyx import Call
from harness import FIXTURES, call_log_id, sidetone, sidetone_of, until

# Legs that nobody hangs up end minutes later; what is no call leaves no document.
NAMES = sorted({path.parent.name for path in FIXTURES.glob("*/events.jsonl")} -
               {"lost", "unfinished", "media-only", "bad-input"})
# Agent names and what the database and the settles keep for themselves (contract 4).
LEFT_OUT = ("_id", "createdAt", "updatedAt", "__v")


def comparable(document):
    document = {key: value for key, value in document.items() if key not in LEFT_OUT}
    for key in ("agents", "wrote", "joined"):
        document["metadata"]["sidetone"].pop(key, None)
    return document


def relaxed(value):
    """As the fold writes it: dates and ids in Extended JSON."""
    if isinstance(value, dict):
        return {key: relaxed(member) for key, member in value.items()}
    if isinstance(value, list):
        return [relaxed(member) for member in value]
    if isinstance(value, ObjectId):
        return {"$oid": str(value)}
    if isinstance(value, datetime.datetime):
        return {"$date": value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"}
    return value


@pytest.fixture
def key_file(tmp_path, signer):
    file = tmp_path / "seed"
    file.write_text(signer.seed + "\n")
    return file


def play(agent, key_file, *names):
    done = sidetone("replay", "--to", f"http://{agent.public}", "--sign-key", key_file, "--speed", "max", "--fresh",
                    *(FIXTURES / name for name in names), timeout=120)
    assert done.returncode == 0, done.stderr


def settled(agent, mongo, count):
    """Local CallLogs and documents by leg, once all legs are there at the local revision."""
    def look():
        local = {}
        for row in agent.stored():
            document = agent.call(row["callLogId"])
            if document:
                local[document["telnyx"]["callControlId"]] = document
        stored = {d["telnyx"]["callControlId"]: relaxed(d) for d in mongo.db.calllogs.find()}
        if len(local) != count or local.keys() != stored.keys():
            return None
        finished = all(sidetone_of(d)["complete"] and
                       sidetone_of(d)["revision"] == stored[leg]["metadata"]["sidetone"].get("revision")
                       for leg, d in local.items())
        return (local, stored) if finished else None
    return until(f"{count} documents settled", look, 60)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_the_fold(make_agent, signer, key_file, mongo, name):
    agent = make_agent(f"mongo.uri={mongo.uri}", f"mongo.database={mongo.database}", signer=signer)
    play(agent, key_file, name)
    local, stored = settled(agent, mongo, len((FIXTURES / name / "expect.jsonl").read_text().splitlines()))
    for leg, document in local.items():
        assert comparable(stored[leg]) == comparable(document)
        assert stored[leg]["isActive"] is True and stored[leg]["__v"] == 0


# ---- what others have in the same documents


LEAD = "64b7f0c2a1b2c3d4e5f60718"


def state(**keys):
    return base64.b64encode(json.dumps(keys).encode()).decode()


@pytest.fixture
def make_mongo_agent(make_agent, signer, mongo):
    def make(*options):
        return make_agent(f"mongo.uri={mongo.uri}", f"mongo.database={mongo.database}", *options, signer=signer)
    return make


def at_revision(mongo, call, revision):
    """The leg's document once it is settled so far."""
    query = {"telnyx.callControlId": call.leg, "metadata.sidetone.revision": revision}
    return until(f"revision {revision}", lambda: mongo.db.calllogs.find_one(query))


def test_what_people_write_stays(make_mongo_agent, mongo):
    agent = make_mongo_agent()
    call = Call(agent)
    call.tell("call.answered")
    document = at_revision(mongo, call, 1)
    assert document["tags"] == ["no-lead", "no-direction"]
    assert document["callLogId"] == call_log_id(call.leg)
    assert document["isActive"] is True and document["notes"] == []
    mongo.db.calllogs.update_one({"_id": document["_id"]}, {
        "$set": {"outcome.result": "qualified", "quality.issues": [{"type": "other"}], "isActive": False,
                 "quality.network": "wifi"},
        "$addToSet": {"tags": "vip"}, "$push": {"notes": {"text": "by hand"}}})
    call.client_state = state(leadId=LEAD)
    call.initiated()
    document = at_revision(mongo, call, 2)
    assert document["leadId"] == ObjectId(LEAD) and document["tags"] == ["vip"]
    call.hangup()
    document = at_revision(mongo, call, 3)
    assert document["status"] == "completed" and document["endedAt"]
    assert document["outcome"] == {"result": "qualified"}
    assert document["notes"] == [{"text": "by hand"}] and document["quality"]["issues"] == [{"type": "other"}]
    assert document["isActive"] is False and document["tags"] == ["vip"]


def test_an_outcome_of_ours_is_followed(make_mongo_agent, mongo):
    call = Call(make_mongo_agent())
    call.hangup(cause="user_busy")
    document = at_revision(mongo, call, 1)
    assert document["outcome"]["result"] == document["metadata"]["sidetone"]["wrote"]["outcome"]["result"] == "busy"
    call.answered()
    document = at_revision(mongo, call, 2)
    assert document["outcome"]["result"] == document["metadata"]["sidetone"]["wrote"]["outcome"]["result"] == "connected"
    mongo.db.calllogs.update_one({"_id": document["_id"]}, {"$set": {"outcome.result": "not-interested"}})
    call.tell("call.machine.detection.ended", result="machine")
    assert at_revision(mongo, call, 3)["outcome"]["result"] == "not-interested"


def test_issues_and_a_rating_beside_those_of_people(make_mongo_agent, mongo):
    """The socket breaks off and comes again: an outage, which costs half a point. Then somebody rates the call."""
    agent = make_mongo_agent()
    call = Call(agent)
    call.initiated()
    call.answered()
    for _ in range(2):
        stream = call.stream().start()
        stream.play({"inbound": lambda i: b"\xff" * 160}, 3)
        stream.sync()
        stream.drop()
        time.sleep(2.2)  # the sender's own silence, not a wait for the agent
    call.hangup()
    document = until("a rating", lambda: (lambda d: d if "overallRating" in d.get("quality", {}) else None)(
        mongo.db.calllogs.find_one({"telnyx.callControlId": call.leg}) or {}))
    issues = document["quality"]["issues"]
    assert [(row["type"], row["severity"], row["resolved"]) for row in issues] == [("dropped", "critical", True)]
    assert issues[0]["description"].startswith("stream outage: 2.")
    assert isinstance(issues[0]["_id"], ObjectId) and issues[0]["resolvedAt"] > issues[0]["timestamp"]
    wrote = document["metadata"]["sidetone"]["wrote"]
    assert wrote["issues"] == [issues[0]["_id"]]
    ours = {name: document["quality"][name] for name in ("overallRating", "ratedBy", "ratedAt")}
    assert ours == {name: wrote["quality"][name] for name in ours}
    assert ours["ratedBy"] == "system" and ours["ratedAt"] == document["endedAt"]
    assert ours["overallRating"] == max(1, round(document["quality"]["mos"] * 2) / 2 - 0.5)
    mongo.db.calllogs.update_one({"_id": document["_id"]}, {
        "$set": {"quality.overallRating": 2, "quality.ratedBy": "lead"}, "$push": {"quality.issues": {"type": "echo"}}})
    revision = document["metadata"]["sidetone"]["revision"]
    call.tell("call.cost", status="success", total_cost="0.01", billed_duration_secs=60)
    document = at_revision(mongo, call, revision + 1)
    assert (document["quality"]["overallRating"], document["quality"]["ratedBy"]) == (2, "lead")
    assert document["quality"]["ratedAt"] == ours["ratedAt"]
    assert document["quality"]["issues"] == [issues[0], {"type": "echo"}]


@pytest.mark.parametrize("named_by", ["callLogId", "callId"])
def test_a_document_of_the_application_is_joined(make_mongo_agent, mongo, named_by):
    theirs = mongo.db.calllogs.insert_one({"callLogId": "CALL_1_app", "status": "initiated", "campaignId": ObjectId(LEAD),
                                           "telnyx": {}, "tags": ["vip"]}).inserted_id
    call = Call(make_mongo_agent())
    call.client_state = state(**{named_by: "CALL_1_app" if named_by == "callLogId" else str(theirs)})
    call.initiated()
    call.answered()
    document = at_revision(mongo, call, 2)
    assert document["_id"] == theirs and mongo.db.calllogs.count_documents({}) == 1
    assert document["callLogId"] == "CALL_1_app" and document["status"] == "answered"
    assert document["campaignId"] == ObjectId(LEAD) and document["tags"] == ["vip", "no-lead"]


def test_an_id_of_another_leg_is_a_conflict(make_mongo_agent, mongo):
    agent = make_mongo_agent()
    first, second = Call(agent, client_state=state(callLogId="CALL_1_x")), Call(agent)
    first.initiated()
    assert at_revision(mongo, first, 1)["callLogId"] == "CALL_1_x"
    second.client_state = first.client_state
    for revision, tell in enumerate((second.initiated, second.answered), 1):
        tell()
        document = at_revision(mongo, second, revision)
        assert document["callLogId"] == call_log_id(second.leg)
        assert document["metadata"]["sidetone"]["callLogIdConflict"] == "CALL_1_x"
    assert at_revision(mongo, first, 1)["callLogId"] == "CALL_1_x"


def test_a_lead_is_looked_up_once(make_mongo_agent, mongo):
    mongo.db.leads.insert_one({"_id": ObjectId(LEAD), "phone": "+15550100001"})
    call = Call(make_mongo_agent("mongo.lead_lookup=yes"))
    call.initiated()
    document = at_revision(mongo, call, 2)  # the look-up is a fact too
    assert document["leadId"] == ObjectId(LEAD) and document["tags"] == []
    mongo.db.leads.delete_many({})
    call.answered()
    assert at_revision(mongo, call, 3)["leadId"] == ObjectId(LEAD)
