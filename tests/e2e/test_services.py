"""The servers that other tests lean on do what those tests take for granted: MongoDB keeps what it acknowledged through
kill -9, Redis loses or keeps its tail as told, links break the way they are told to."""
import socket
import threading
import time

import pymongo
import pytest
import redis as redis_py
from pymongo.write_concern import WriteConcern

from harness import DEADLINE_S, until

MAJORITY = WriteConcern(w="majority", wtimeout=5000)


def connect(server):
    return pymongo.MongoClient(server.uri, serverSelectionTimeoutMS=5000)


def rows_of(server, collection="rows"):
    with connect(server) as client:
        return client.t[collection].count_documents({})


# ---- MongoDB


def test_acknowledged_inserts_survive_kill_9(mongo_server):
    with connect(mongo_server) as client:
        rows = client.t.get_collection("rows", write_concern=MAJORITY)
        for n in range(300):
            assert rows.insert_one({"_id": n}).acknowledged
        mongo_server.kill()
    mongo_server.start()
    assert rows_of(mongo_server) == 300


def test_kill_9_amid_writes_loses_nothing_and_leaves_the_unique_index_agreeing(mongo_server):
    """Each round kills while a thread writes: every acknowledged row is there, and none is half there."""
    acknowledged = []

    def write(uri, first):
        with pymongo.MongoClient(uri, retryWrites=False, serverSelectionTimeoutMS=5000) as client:
            for n in range(first, first + 100000):
                try:
                    client.t.rows.update_one({"key": n}, {"$set": {"value": n}}, upsert=True)
                except pymongo.errors.PyMongoError:
                    return
                acknowledged.append(n)

    with connect(mongo_server) as client:
        client.t.rows.create_index("key", unique=True)
    for turn in range(5):
        first, before = turn * 100000, len(acknowledged)
        writer = threading.Thread(target=write, args=(mongo_server.uri, first))
        writer.start()
        until("50 rows", lambda: len(acknowledged) >= before + 50)
        mongo_server.kill()
        writer.join()
        mongo_server.start()
        with connect(mongo_server) as client:
            there = {row["key"] for row in client.t.rows.find({"key": {"$gte": first}})}
            assert there >= {n for n in acknowledged if n >= first}
            for n in there:
                with pytest.raises(pymongo.errors.DuplicateKeyError):
                    client.t.rows.insert_one({"key": n})
            client.t.rows.delete_many({"key": max(there)})
            client.t.rows.insert_one({"key": max(there)})


def test_a_clean_stop_and_a_start_keep_port_data_and_indexes(mongo_server):
    port = mongo_server.port
    with connect(mongo_server) as client:
        rows = client.t.rows
        rows.create_index("a", unique=True)
        rows.create_index([("b", 1), ("c", -1)])
        rows.create_index("s", unique=True, sparse=True)
        rows.create_index([("words", "text"), ("more", "text")], name="words")
        rows.create_index("at", expireAfterSeconds=3600)
        rows.insert_one({"_id": 1, "a": 1})
        before = rows.index_information()
    assert len(before) == 6
    mongo_server.stop()
    mongo_server.start()
    assert mongo_server.port == port
    with connect(mongo_server) as client:
        assert set(client.t.rows.index_information()) == set(before)
        with pytest.raises(pymongo.errors.DuplicateKeyError):
            client.t.rows.insert_one({"_id": 2, "a": 1})
        client.t.rows.insert_many([{"_id": 3, "a": 3}, {"_id": 4, "a": 4}])  # sparse: both without s


def test_events_are_pushed_sorted_and_once(mongo):
    calls = mongo.db.get_collection("calls", write_concern=MAJORITY)
    calls.create_index("leg", unique=True)
    for event, at in (("c", 3), ("a", 1), ("b", 1), ("d", 2)):
        calls.update_one({"leg": "L", "events._id": {"$ne": event}},
                         {"$push": {"events": {"$each": [{"_id": event, "at": at}], "$sort": {"at": 1, "_id": 1}}},
                          "$max": {"last": at}, "$min": {"first": at}, "$inc": {"n": 1}, "$setOnInsert": {"made": True},
                          "$currentDate": {"updatedAt": True}}, upsert=True)
    with pytest.raises(pymongo.errors.DuplicateKeyError):
        calls.update_one({"leg": "L", "events._id": {"$ne": "a"}}, {"$set": {"x": 1}}, upsert=True)
    document = calls.find_one({"leg": "L"})
    assert [row["_id"] for row in document["events"]] == ["a", "b", "d", "c"]
    assert (document["first"], document["last"], document["n"], document["made"]) == (1, 3, 4, True)
    assert document["updatedAt"] is not None
    calls.update_one({"leg": "L"}, {"$push": {"events": {"$each": [], "$slice": 2}}, "$pull": {"tags": "x"}})
    calls.update_one({"leg": "L"}, {"$set": {"events.$[e].seen": True}}, array_filters=[{"e.at": 1}])
    assert calls.find_one()["events"] == [{"_id": "a", "at": 1, "seen": True}, {"_id": "b", "at": 1, "seen": True}]


def test_a_filter_on_the_revision_lets_only_newer_facts_settle(mongo):
    calls = mongo.db.calls
    calls.insert_one({"_id": 1})

    def settle(revision):
        return calls.update_one({"_id": 1, "meta.revision": {"$not": {"$gte": revision}}},
                                {"$set": {"meta.revision": revision}}).matched_count

    assert [settle(r) for r in (2, 2, 1, 3)] == [1, 0, 0, 1]
    assert calls.find_one()["meta"]["revision"] == 3


def test_an_index_finds_and_the_other_conditions_count(mongo):
    rows = mongo.db.rows
    rows.create_index("leg", unique=True, sparse=True)
    rows.insert_many([{"leg": f"L{n}", "n": n} for n in range(20)] + [{"n": 7}, {"n": 8}])
    assert rows.count_documents({"leg": "L7", "n": 7}) == 1
    assert rows.count_documents({"leg": "L7", "n": 8}) == 0
    assert rows.count_documents({"n": 7}) == 2
    assert rows.count_documents({"leg": {"$exists": False}, "n": 7}) == 1
    assert rows.count_documents({"leg": {"$in": ["L1", "L2", "nobody"]}, "n": {"$gt": 1}}) == 1
    assert rows.count_documents({"$or": [{"leg": "L3"}, {"n": 8}], "n": {"$lt": 9}}) == 3
    assert rows.update_one({"leg": "L9", "n": {"$not": {"$gte": 9}}}, {"$set": {"n": 0}}).matched_count == 0


def test_unordered_bulks_go_on_past_a_refused_row(mongo):
    rows = mongo.db.get_collection("rows", write_concern=MAJORITY)
    rows.create_index("id", unique=True)
    rows.insert_one({"id": "taken"})
    work = [pymongo.UpdateOne({"key": n}, {"$set": {"id": "taken" if n == 50 else n}}, upsert=True) for n in range(100)]
    with pytest.raises(pymongo.errors.BulkWriteError) as refused:
        rows.bulk_write(work, ordered=False)
    errors = refused.value.details["writeErrors"]
    assert [(row["index"], row["code"]) for row in errors] == [(50, 11000)]
    assert rows.count_documents({}) == 100


def test_four_writers_on_one_document_lose_nothing(mongo):
    mongo.db.rows.insert_one({"_id": 1})

    def write(who):
        with pymongo.MongoClient(mongo.uri) as client:
            for n in range(100):
                client[mongo.database].rows.update_one({"_id": 1}, {"$addToSet": {"set": f"{who}.{n}"}, "$inc": {"n": 1}})

    writers = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    document = mongo.db.rows.find_one()
    assert (len(document["set"]), document["n"]) == (400, 400)


def test_a_paused_server_answers_later(mongo_server):
    with connect(mongo_server) as client:
        client.t.rows.insert_one({"_id": 1})
        mongo_server.pause()
        begin = time.monotonic()
        threading.Timer(0.3, mongo_server.resume).start()
        client.t.rows.insert_one({"_id": 2})
        assert time.monotonic() - begin > 0.25
    assert rows_of(mongo_server) == 2


# ---- Redis


def test_redis_loses_its_tail_after_the_snapshot(redis_server):
    port = redis_server.port
    client = redis_server.client()
    client.xadd("stream", {"n": 1})
    redis_server.snapshot()
    client.xadd("stream", {"n": 2})
    redis_server.kill()
    redis_server.start()
    assert redis_server.port == port
    assert [fields for _, fields in redis_server.client().xrange("stream")] == [{"n": "1"}]


def test_redis_with_an_append_only_file_keeps_what_it_acknowledged(make_redis):
    server = make_redis(appendonly="yes", appendfsync="always")
    for n in range(100):
        server.client().xadd("stream", {"n": n})
    server.kill()
    server.start()
    assert server.client().xlen("stream") == 100


def test_redis_knows_passwords_users_and_policies(make_redis):
    server = make_redis(requirepass="door", maxmemory="10mb", maxmemory_policy="allkeys-lru",
                        users=["writer on >secret ~mine:* &* +@all -@dangerous"])
    assert server.client().config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    with pytest.raises(redis_py.exceptions.AuthenticationError):
        server.client(password=None).ping()
    writer = server.client(username="writer", password="secret")
    assert writer.set("mine:a", 1)
    with pytest.raises(redis_py.exceptions.NoPermissionError):
        writer.set("yours:a", 1)


def test_a_cluster_of_one_shard_and_one_of_three_redirect_as_they_should(make_redis):
    alone = make_redis(nodes=1)
    assert alone.nodes[0].client().set("anything", 1)
    cluster = make_redis(nodes=3)
    key = "{sidetone}:calls"
    home = cluster.node_of(key)
    assert home.client().set(key, 1)
    for node in cluster.nodes:
        if node is not home:
            with pytest.raises(redis_py.exceptions.ResponseError, match=f"MOVED .*:{home.port}"):
                node.client().set(key, 1)


def test_names_of_one_test_are_its_own(redis, mongo):
    assert redis.client.set(redis.prefix + "a", 1)
    assert redis_py.Redis.from_url(redis.url).get(redis.prefix + "a") == b"1"
    assert mongo.database not in mongo.client.list_database_names()


# ---- links


def test_a_link_is_slow_then_cut_then_whole_again(redis_server, toxiproxy):
    link = toxiproxy.link("redis", redis_server.port)
    client = redis_py.Redis(port=link.port, socket_timeout=10)
    assert client.ping()
    link.slow(300)
    begin = time.monotonic()
    assert client.ping()
    assert time.monotonic() - begin >= 0.3
    link.mend()

    def quick():
        begin = time.monotonic()
        return client.ping() and time.monotonic() - begin < 0.3

    until("a ping as quick as before", quick)
    link.cut()
    with pytest.raises(redis_py.exceptions.ConnectionError):
        client.ping()
    link.mend()
    assert client.ping()


def test_a_half_open_link_swallows_and_does_not_close(redis_server, toxiproxy):
    link = toxiproxy.link("redis", redis_server.port)
    with socket.create_connection(("127.0.0.1", link.port), timeout=DEADLINE_S) as wire:
        wire.sendall(b"PING\r\n")
        assert wire.recv(100) == b"+PONG\r\n"
        wire.settimeout(0.3)
        link.half_open("downstream")
        wire.sendall(b"SET key 1\r\n")
        with pytest.raises(socket.timeout):
            wire.recv(100)
    until("the lost answer's write", lambda: redis_server.client().get("key") == "1")
    link.mend()
    link.half_open("upstream")
    with socket.create_connection(("127.0.0.1", link.port), timeout=0.3) as wire:
        wire.sendall(b"SET key 2\r\n")
        with pytest.raises(socket.timeout):
            wire.recv(100)
    assert redis_server.client().get("key") == "1"


def test_a_link_closes_amid_an_answer(redis_server, toxiproxy):
    redis_server.client().set("long", "x" * 10000)
    link = toxiproxy.link("redis", redis_server.port)
    link.cut_after(1000)
    with socket.create_connection(("127.0.0.1", link.port), timeout=5) as wire:
        wire.sendall(b"GET long\r\n")
        got = b""
        while piece := wire.recv(65536):
            got += piece
    assert len(got) == 1000


def test_a_narrow_link_takes_its_time(redis_server, toxiproxy):
    redis_server.client().set("long", "x" * 200000)
    link = toxiproxy.link("redis", redis_server.port)
    link.narrow(500)
    begin = time.monotonic()
    assert len(redis_py.Redis(port=link.port, socket_timeout=10).get("long")) == 200000
    assert time.monotonic() - begin > 0.2
