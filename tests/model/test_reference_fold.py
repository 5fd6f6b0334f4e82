"""The judge's fold against the golden fixtures, and against `sidetone replay` on random legs."""
import json
import os
import random
import subprocess
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
