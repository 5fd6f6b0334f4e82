"""The judge sees each kind of wrong, and nothing in what is right; the same seed draws the same plan."""
import copy
import json
import random

import bson
import pytest

import judge
import plan
from reference_fold import reference_fold

NOW_MS = 1_795_000_000_000


def put(document, path, value):
    *above, last = path.split(".")
    for key in above:
        document = document.setdefault(key, {})
    document[last] = value


def document_of(leg, bodies, number):
    """As an agent would leave it, with one closed media part."""
    part = {"n": 3, "state": "closed", "call_control_id": leg, "start_ms": NOW_MS, "first_frame_ms": NOW_MS,
            "last_frame_ms": NOW_MS + 100, "inbound": {"delivery": {"received_frames": 5, "windows": {"r": [1]}}}}
    document = {"_id": bson.ObjectId(f"{number:024x}")}
    for path, value in reference_fold(bodies, [part]).items():
        put(document, path, value)
    for one in document["telnyx"]["webhookEvents"]:
        one["_id"] = bson.ObjectId(one["_id"])
    put(document, "metadata.sidetone.media", {"chaos0_1": part})
    put(document, "metadata.sidetone.agents", ["chaos0"])
    put(document, "metadata.sidetone.quality.delivery.inbound", {"received_frames": 5, "windows": [{"r": 93.2}]})
    return document


def entry_of(document):
    return {"callLogId": document["callLogId"], "callControlId": document["telnyx"]["callControlId"],
            "id": str(document["_id"]), "revision": str(document["metadata"]["sidetone"]["revision"]),
            "document": json.dumps(judge.projected(document))}


@pytest.fixture
def right():
    """(documents, entries, legs) with which nothing is wrong; every leg has ended."""
    documents, entries, legs = [], [], {}
    rng = random.Random(7)
    while len(legs) < 5:
        leg = plan.draw(rng, f"t{len(legs)}", NOW_MS).legs[0]
        bodies = [one.body for one in leg.deliveries]
        if not any(body["data"]["event_type"] == "call.hangup" for body in bodies):
            continue
        document = document_of(leg.name, bodies, len(legs) + 1)
        documents.append(document)
        entries.append(entry_of(document))
        legs[leg.name] = (bodies, {body["data"]["id"] for body in bodies}, [("chaos0", 5)])
    return documents, entries, legs


def kinds(documents, entries, legs, one_agent=True):
    return {kind for kind, _, _ in judge.judge(documents, entries, legs, one_agent)}


def test_what_is_right_is_right(right):
    assert judge.judge(*right, True) == []


def test_an_event_without_an_answer_may_be_there_or_not(right):
    documents, entries, legs = right
    for _, acknowledged, _ in legs.values():
        acknowledged.pop()
    assert judge.judge(documents, entries, legs, True) == []


def test_a_lost_event_is_seen_though_the_document_is_folded_without_it(right):
    documents, entries, legs = right
    leg = documents[0]["telnyx"]["callControlId"]
    bodies = legs[leg][0]
    kept = [body for body in bodies if body["data"]["id"] != bodies[0]["data"]["id"]]
    documents[0] = document_of(leg, kept, 1)
    entries[0] = entry_of(documents[0])
    assert "lost" in kinds(documents, entries, legs)


def test_a_missing_document_and_a_second_one(right):
    documents, entries, legs = right
    assert "lost" in kinds(documents[1:], entries, legs)
    twin = copy.deepcopy(documents[0])
    twin["_id"] = bson.ObjectId()
    assert "twice" in kinds(documents + [twin], entries, legs)
    twin["telnyx"]["callControlId"] = "v3:nobody"
    assert "twice" in kinds(documents + [twin], entries, legs)


def test_an_element_twice_or_of_nobody(right):
    documents, entries, legs = right
    rows = documents[0]["telnyx"]["webhookEvents"]
    rows.append(copy.deepcopy(rows[0]))
    assert "twice" in kinds(documents, entries, legs)
    rows[-1]["_id"] = bson.ObjectId()
    assert "differing" in kinds(documents, entries, legs)


@pytest.mark.parametrize("path, value", (("status", "ringing"), ("metadata.sidetone.complete", False), ("holds", [1]),
                                         ("metadata.sidetone.revision", 1), ("tags", ["no-lead", "x"])))
def test_a_path_that_is_not_the_fold(right, path, value):
    documents, entries, legs = right
    put(documents[0], path, value)
    assert "differing" in kinds(documents, entries, legs)


def test_parts_that_are_missing_or_stay_open(right):
    documents, entries, legs = right
    leg = documents[0]["telnyx"]["callControlId"]
    legs[leg][2].append(("chaos1", 5))
    assert kinds(documents, entries, legs) == {"lost"}
    legs[leg][2].pop()
    documents[0]["metadata"]["sidetone"]["media"]["chaos0_1"]["state"] = "open"
    assert "differing" in kinds(documents, entries, legs)


def test_a_queue_that_is_behind_or_ahead(right):
    documents, entries, legs = right
    assert kinds(documents, entries[1:], legs) == {"queue"}
    stale = dict(entries[0], revision="1")
    assert kinds(documents, [stale] + entries[1:], legs) == {"queue"}
    assert kinds(documents, [stale] + entries, legs) == set(), "an older entry before it is how it should be"
    assert kinds(documents, entries + [stale], legs) == {"queue"}, "one agent's revisions do not fall"
    assert kinds(documents, entries + [stale], legs, one_agent=False) == set()
    assert kinds(documents, entries + [dict(entries[0], callControlId="v3:nobody")], legs) == {"queue"}


def test_a_consumer_keeps_the_first_of_equal_revisions(right):
    documents, entries, legs = right
    inner = json.loads(entries[0]["document"])
    inner["status"] = "active"
    early = dict(entries[0], document=json.dumps(inner))
    assert kinds(documents, [early] + entries, legs) == {"queue"}
    assert kinds(documents, entries + [early], legs) == set()


def test_the_projection_leaves_out_what_the_contract_says(right):
    documents, *_ = right
    left = judge.projected(documents[0])
    assert "webhookEvents" not in left["telnyx"] and "media" not in left["metadata"]["sidetone"]
    assert left["metadata"]["sidetone"]["quality"]["delivery"]["inbound"] == {"received_frames": 5}


def test_a_seed_draws_the_same_plan():
    one, two, other = (plan.draw(random.Random(seed), 3, NOW_MS) for seed in ("a/3", "a/3", "b/3"))
    assert one == two and one != other
    assert any(fault.what == "kill" for fault in one.faults)
