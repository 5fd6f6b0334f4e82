"""Drain of queued CallLogs to MongoDB, against a bare libmongoc loop with the same operations and the same indexes.

The agent takes one webhook (a hang-up) of each of ROWS legs while its link to MongoDB is cut; then the link is mended and
the rows drain. The bare loop gets the same rows, makes the same operations (the time for that is taken off) and sends
them over the same kind of link into an empty collection with the same indexes, on the same server, in batches of the same
size."""
import contextlib
import json
import os
import subprocess
import time
import uuid

import bson
import pymongo
from bson import json_util

import harness
import services

BENCH = harness.ROOT / "build/bench"
ROWS = int(os.environ.get("DRAIN_ROWS", "100000"))
FILL_RATE = 400
BATCH = 1000
WARM_ROWS = 3000
OURS = "calllogs"


def hangups(path, signer, count, host, prepare):
    """Writes the requests; returns the legs they are of."""
    at, legs = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()), []

    def body(_):
        leg = f"v3:{uuid.uuid4()}-drain"
        legs.append(leg)
        payload = {"call_control_id": leg, "call_leg_id": leg[3:39], "call_session_id": leg[3:39], "from": "+15550100001",
                   "connection_id": "2900000000000000001", "to": "+15550100002", "start_time": at, "end_time": at,
                   "hangup_cause": "normal_clearing", "hangup_source": "caller", "sip_hangup_cause": "200"}
        return json.dumps({"data": {"event_type": "call.hangup", "id": str(uuid.uuid4()), "occurred_at": at, "payload": payload,
                                    "record_type": "event"}, "meta": {"attempt": 1}}).encode()
    prepare(path, signer, count, host, body)
    return legs


def queued(document):
    """The row of the outbox that made this document."""
    (event,) = document["telnyx"]["webhookEvents"]
    return {"leg": document["telnyx"]["callControlId"], "id": str(event["_id"]),
            "body": json_util.dumps(event, json_options=json_util.RELAXED_JSON_OPTIONS)}


def copy_indexes(source, target):
    for name, row in source.index_information().items():
        if name == "_id_":
            continue
        keys = row["key"]
        if any(kind == "text" or key == "_fts" for key, kind in keys):
            keys = [(key, "text") for key in row["weights"]] if "weights" in row else [(k, v) for k, v in keys if k[:4] != "_fts"]
        target.create_index(keys, name=name, unique=row.get("unique", False), sparse=row.get("sparse", False))


def agent_drains(folder, toxiproxy, mongo, signer, play, prepare):
    """(rows a second, the database's name, the legs)"""
    name = f"drain_{uuid.uuid4().hex[:8]}"
    link = toxiproxy.link(name, mongo.port)
    home = folder / name
    home.mkdir(parents=True)
    agent = harness.Agent(home, "log.level=error", f"mongo.uri=mongodb://127.0.0.1:{link.port}", f"mongo.database={name}",
                          signer=signer).start()
    try:
        rows = 'sidetone_outbox_rows{sink="mongo",state="pending"}'
        services.until("the indexes", lambda: agent.metrics()[rows] == 0 and indexes_of(mongo, name), 60)
        link.cut()
        requests = folder / "requests"
        legs = hangups(requests, signer, ROWS, agent.public, prepare)
        seen = play(agent, FILL_RATE, requests)
        requests.unlink()
        assert seen["ok"] == ROWS, seen
        services.until("all rows queued", lambda: agent.metrics()[rows] == ROWS, 30)
        link.mend()
        begin = services.until("the first row", lambda: agent.metrics()[rows] < ROWS and time.monotonic(), 60)
        left = agent.metrics()[rows]
        services.until("the last row", lambda: agent.metrics()[rows] == 0, 3600)
        return left / (time.monotonic() - begin), name, legs
    finally:
        agent.finish()
        link.remove()


def indexes_of(mongo, name):
    with contextlib.closing(pymongo.MongoClient(mongo.uri)) as client:
        return len(client[name][OURS].index_information()) > 5


def documents(collection, legs):
    """Of these legs. In pieces by the unique index: the stand-in would hold a whole answer in memory."""
    for start in range(0, len(legs), BATCH):
        yield from collection.find({"telnyx.callControlId": {"$in": legs[start:start + BATCH]}})


def bare_drains(folder, toxiproxy, mongo, name, legs):
    """Rows a second of the loop that makes the documents of these legs in `name` again."""
    twin, path = f"bare_{uuid.uuid4().hex[:8]}", folder / "operations"
    with contextlib.closing(pymongo.MongoClient(mongo.uri)) as client:
        with open(path, "wb") as out:
            for document in documents(client[name][OURS], legs):
                out.write(bson.encode(queued(document)))
        copy_indexes(client[name][OURS], client[twin][OURS])
        link = toxiproxy.link(twin, mongo.port)
        done = subprocess.run([str(BENCH / "bare_drain"), f"mongodb://127.0.0.1:{link.port}", twin, OURS, str(BATCH), str(path)], capture_output=True,
                              text=True, check=True)
        link.remove()
        path.unlink()
        client.drop_database(twin)
    seen = dict(word.split("=") for word in done.stdout.split())
    assert int(seen["rows"]) == len(legs), f"{seen} of {len(legs)} legs"
    assert seen["rows"] == seen["matched"], f"not every settle found its document: {seen}"
    return int(seen["rows"]) / float(seen["seconds"])


def drain(folder, signer, play, prepare):
    mongo, toxiproxy = services.own_mongo(folder / "mongo"), services.Toxiproxy(folder / "toxiproxy")
    with contextlib.ExitStack() as stack:
        for server in (mongo, toxiproxy):
            stack.callback(server.stop)
            server.start()
        ours, name, legs = agent_drains(folder, toxiproxy, mongo, signer, play, prepare)
        print(f"Drain of {ROWS:,} queued CallLogs to MongoDB ({type(mongo).__name__}), batches of {BATCH}\n")
        print("| | rows a second |")
        print("|---|---|")
        print(f"| sidetone | {ours:,.0f} |", flush=True)
        bare_drains(folder, toxiproxy, mongo, name, legs[:WARM_ROWS])
        bare = bare_drains(folder, toxiproxy, mongo, name, legs)
    print(f"| bare libmongoc loop, same operations and indexes | {bare:,.0f} |")
    print(f"| ratio | {ours / bare:.2f} |", flush=True)
