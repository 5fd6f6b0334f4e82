"""The judge's fold against the golden fixtures, and against `sidetone replay` on random legs."""
import json
import os
import random
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from fixture_facts import by_leg
from random_legs import write_fixture
from reference_fold import compare, plain, reference_fold

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIDETONE", ROOT / "build" / "sidetone")
FIXTURES = sorted(p.parent for p in (ROOT / "fixtures").glob("*/events.jsonl"))
COUNTED_BY_PARTS = ("metadata.sidetone.revision",)  # n of a part is not in a fixture


def lost_elements(document):
    """The leg_lost facts of a document: the agent's own, so they are nowhere in what was sent."""
    return [{"_id": e["_id"], "eventType": e["eventType"], "payload": e["payload"],
             "timestamp": round(e["timestamp"].timestamp() * 1000)}
            for e in plain(document)["telnyx"]["webhookEvents"] if e["eventType"] == "sidetone.leg_lost"]


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda f: f.name)
def test_golden(folder):
    legs = by_leg(folder)
    documents = [json.loads(line) for line in (folder / "expect.jsonl").read_text().splitlines()]
    assert sorted(d["telnyx"]["callControlId"] for d in documents) == sorted(legs)
    options = (folder / "options").read_text() if (folder / "options").exists() else ""
    for document in documents:
        events, parts = legs[document["telnyx"]["callControlId"]]
        expected = reference_fold(events, parts, {"inbound_is_agent": "calls.party=inbound=agent" in options,
                                                  "lost": lost_elements(document)})
        assert compare(document, expected, ignore=COUNTED_BY_PARTS if parts else ()) == []


def replayed(folder):
    """{leg: document} of what `sidetone replay` prints."""
    run = subprocess.run([BINARY, "replay", folder], capture_output=True, text=True, check=True)
    return {d["telnyx"]["callControlId"]: d for d in map(json.loads, run.stdout.splitlines())}


def differences(folder):
    documents, legs = replayed(folder), by_leg(folder)
    assert sorted(documents) == sorted(legs)
    found = {}
    for leg, (events, parts) in legs.items():
        expected = reference_fold(events, parts, {"lost": lost_elements(documents[leg])})
        wrong = compare(documents[leg], expected, ignore=COUNTED_BY_PARTS if parts else ())
        if wrong:
            found[leg] = wrong
    return found


@pytest.mark.parametrize("seed", range(4))
def test_random_legs(seed, tmp_path):
    write_fixture(random.Random(seed), tmp_path, legs=100)
    assert differences(tmp_path) == {}


def set_path(document, path, value):
    *above, last = path.split(".")
    for key in above:
        document = document.setdefault(key, {})
    document[last] = value


@pytest.mark.parametrize("path, value", [
    ("status", "failed"), ("duration.talking", 22), ("answerState", "human"), ("ringingAt", {"$date": "2026-09-15T09:30:00Z"}),
    ("endedAt", {"$date": "2026-09-15T09:30:30.251Z"}), ("billing.cost", 12.3), ("tags", ["no-lead"]), ("holds", []),
    ("metadata.sidetone.complete", 1), ("leadId", {"$oid": "66f0a1b2c3d4e5f601234568"}), ("from.country", "DE")])
def test_a_wrong_document_is_seen(path, value):
    folder = ROOT / "fixtures" / "after-call"
    document = json.loads((folder / "expect.jsonl").read_text())
    (events, parts), = by_leg(folder).values()
    set_path(document, path, value)
    found = compare(document, reference_fold(events, parts))
    assert [line.split(":")[0] for line in found] == [path]


def test_the_order_of_facts_does_not_matter():
    folder = ROOT / "fixtures" / "after-call"
    (events, parts), = by_leg(folder).values()
    expected = reference_fold(events, parts)
    for seed in range(20):
        random.Random(seed).shuffle(events)
        assert reference_fold(events + events[:3], parts) == expected


def test_types_of_pymongo_and_of_extended_json_are_equal():
    class ObjectId(str):  # as bson's prints
        pass

    at = datetime(2026, 9, 15, 9, 30)
    assert plain({"a": at, "b": ObjectId("66f0"), "c": [1]}) == plain(
        {"a": {"$date": "2026-09-15T09:30:00Z"}, "b": {"$oid": "66f0"}, "c": [{"$numberLong": "1"}]})
    assert plain({"$date": {"$numberLong": "1789464600000"}}) == plain(at)
