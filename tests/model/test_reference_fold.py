"""The judge's fold against the golden fixtures, and against `sidetone replay` on random legs."""
import json
from pathlib import Path

import pytest

from fixture_facts import by_leg
from reference_fold import compare, plain, reference_fold

ROOT = Path(__file__).resolve().parents[2]
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
