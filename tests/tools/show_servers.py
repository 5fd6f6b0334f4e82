#!/usr/bin/python3
"""make demo's look at the servers that MONGODB_URI and REDIS_URL name, with clients nobody here wrote.

    show_servers.py live PREFIX                  the live keys of the calls that are up, once there are figures
    show_servers.py stored DATABASE PREFIX ID    the document in MongoDB and the queue's entry of the call ID
"""
import json
import os
import sys
import time

DEADLINE_S = 30


def until(look):
    end = time.monotonic() + DEADLINE_S
    while not (seen := look()):
        if time.monotonic() > end:
            sys.exit(f"nothing within {DEADLINE_S} s")
        time.sleep(0.2)
    return seen


def redis_client():
    import redis
    return redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


def live(prefix):
    client = redis_client()

    def figures():
        for call in client.zrange(f"{prefix}calls", 0, -1):
            row = client.hgetall(f"{prefix}call:{call}")
            if "mos" in row:
                return call, row
        return None

    call, row = until(figures)
    print(f"\nRedis, while the call runs: {prefix}calls holds {call}, {prefix}call:{call} is")
    for name in sorted(row):
        print(f"  {name:22} {row[name]}")


def document_of(database, call):
    import pymongo
    with pymongo.MongoClient(os.environ["MONGODB_URI"]) as client:
        document = until(lambda: client[database].calllogs.find_one({"callLogId": call, "metadata.sidetone.complete": True}))
    sidetone = document["metadata"]["sidetone"]
    print(f"\nMongoDB, {database}.calllogs:")
    for name, value in (("_id", document["_id"]), ("callLogId", document["callLogId"]), ("status", document["status"]),
                        ("outcome.result", document["outcome"]["result"]), ("quality.mos", document["quality"]["mos"]),
                        ("webhooks", len(document["telnyx"]["webhookEvents"])), ("revision", sidetone["revision"]),
                        ("agents", ", ".join(sidetone["agents"]))):
        print(f"  {name:22} {value}")


def entry_of(prefix, call):
    client = redis_client()
    rows = until(lambda: [r for r in client.xrange(f"{prefix}calllogs") if r[1]["callLogId"] == call])
    number, entry = rows[-1]
    print(f"\nRedis, the loader's queue {prefix}calllogs, entry {number}:")
    for name, value in entry.items():
        shown = f"{len(value)} bytes of JSON, status {json.loads(value)['status']}" if name == "document" else value
        print(f"  {name:22} {shown}")
    print(f"  live keys now          {client.zcard(f'{prefix}calls')}")


if sys.argv[1] == "live":
    live(sys.argv[2])
else:
    if os.environ.get("MONGODB_URI"):
        document_of(sys.argv[2], sys.argv[4])
    if os.environ.get("REDIS_URL"):
        entry_of(sys.argv[3], sys.argv[4])
