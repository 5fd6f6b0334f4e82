"""Documents in a real MongoDB against the fold: every fixture, read back with pymongo."""
import datetime

import pytest
from bson import ObjectId

from harness import FIXTURES, sidetone, sidetone_of, until

# Legs that nobody hangs up end minutes later; what is no call leaves no document.
NAMES = sorted({path.parent.name for path in FIXTURES.glob("*/events.jsonl")} -
               {"lost", "unfinished", "media-only", "bad-input"})
# Agent names and what the database and the settles keep for themselves (contract 4).
LEFT_OUT = ("_id", "createdAt", "updatedAt", "__v")


def pruned(value):
    """Without the empty documents that an $unset leaves behind."""
    if isinstance(value, dict):
        inner = {key: pruned(member) for key, member in value.items()}
        return {key: member for key, member in inner.items() if member != {}}
    return [pruned(member) for member in value] if isinstance(value, list) else value


def comparable(document):
    document = {key: value for key, value in document.items() if key not in LEFT_OUT}
    for key in ("agents", "wrote", "joined"):
        document["metadata"]["sidetone"].pop(key, None)
    return pruned(document)


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
