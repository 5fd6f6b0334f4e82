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
from reference_facts import derived_id
from reference_fold import compare, options_of, plain, reference_fold

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIDETONE", ROOT / "build" / "sidetone")
FIXTURES = sorted(p.parent for p in (ROOT / "fixtures").glob("*/events.jsonl"))
COUNTED_BY_PARTS = ("metadata.sidetone.revision",)  # n of a part is not in a fixture


@pytest.mark.parametrize("folder", FIXTURES, ids=lambda f: f.name)
def test_golden(folder):
    legs = by_leg(folder)
    documents = [json.loads(line) for line in (folder / "expect.jsonl").read_text().splitlines()]
    assert sorted(d["telnyx"]["callControlId"] for d in documents) == sorted(legs)
    options = (folder / "options").read_text() if (folder / "options").exists() else ""
    for document in documents:
        events, parts = legs[document["telnyx"]["callControlId"]]
        expected = reference_fold(events, parts, options_of(
            document, inbound_is_agent="calls.party=inbound=agent" in options))
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
        expected = reference_fold(events, parts, options_of(documents[leg]))
        wrong = compare(documents[leg], expected, ignore=COUNTED_BY_PARTS if parts else ())
        if wrong:
            found[leg] = wrong
    return found


@pytest.mark.parametrize("seed", range(4))
def test_random_legs(seed, tmp_path):
    write_fixture(random.Random(seed), tmp_path, legs=100)
    assert differences(tmp_path) == {}


def test_a_large_payload_is_cut(tmp_path):
    lines = (ROOT / "fixtures" / "busy" / "events.jsonl").read_text().splitlines()
    large = json.loads(lines[1])
    large["http"]["body"]["data"]["payload"]["sip_headers"] = [{"name": "User-to-User", "value": "x" * 20000}] * 2
    large["http"]["body"]["data"]["payload"]["nobody_knows"] = "y" * 20000
    (tmp_path / "events.jsonl").write_text("\n".join([lines[0], json.dumps(large), *lines[2:]]))
    (document,), ((events, parts),) = replayed(tmp_path).values(), by_leg(tmp_path).values()
    assert document["telnyx"]["webhookEvents"][0]["payload"]["truncated"] is True
    assert compare(document, reference_fold(events, parts)) == []
    document["telnyx"]["webhookEvents"][0]["payload"]["from"] = "+15550100009"
    assert len(compare(document, reference_fold(events, parts))) == 1


def test_an_id_that_is_taken_and_a_lead_that_was_looked_up():
    (events, parts), = by_leg(ROOT / "fixtures" / "busy").values()
    wanted, found = reference_fold(events, parts)["callLogId"], {"leadId": "66f0a1b2c3d4e5f6aaaaaaaa"}
    taken = reference_fold(events, parts, {"conflict": wanted, "lead_lookup": found, "lookup_counts": True})
    assert taken["callLogId"] == derived_id(taken["telnyx.callControlId"])
    assert taken["metadata.sidetone.callLogIdConflict"] == wanted
    assert taken["metadata.sidetone.revision"] == len(events) + 1
    assert taken["leadId"] != found["leadId"]  # client_state has one: it goes before the look-up
    joined = reference_fold(events, parts, {"joined": "Y"})
    assert (joined["callLogId"], joined["metadata.sidetone.callLogIdConflict"]) == ("Y", wanted)
    for event in events:
        event["data"]["payload"].pop("client_state")
    assert reference_fold(events, parts, {"lead_lookup": found})["leadId"] == found["leadId"]
    assert reference_fold(events, parts, {"lead_lookup": found})["tags"] == []


def set_path(document, path, value):
    *above, last = path.split(".")
    for key in above:
        document = document.setdefault(key, {})
    document[last] = value


@pytest.mark.parametrize("path, value", [
    ("status", "failed"), ("duration.talking", 22), ("answerState", "human"),
    ("ringingAt", {"$date": "2026-09-15T09:30:00Z"}), ("billing.cost", 12.3),
    ("endedAt", {"$date": "2026-09-15T09:30:30.251Z"}), ("tags", ["no-lead"]), ("holds", []),
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
