"""The queue of the analytics loader (contract 5), read back by redis-py from real servers."""
import json
import time

import pytest
import redis as redis_py

from fake_telnyx import Call
from harness import DEADLINE_S, until
from redis_tools import Queue, entries, queued_legs


def test_one_entry_a_leg_and_batch(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        assert queue.looked(0) == -1
        queue.document("ended", 7)
        queue.document("up", 2, ended=False)
        done = queue.deliver([(1, "ended"), (2, "up"), (3, "ended"), (4, "unknown")], 4)
        assert {n: r[0] for n, r in done.items()} == {1: "done", 2: "done", 3: "done", 4: "done"}
        assert queue.stats()["added"] == 1
    [entry] = entries(client)
    assert json.loads(entry.pop("document")) == {"leg": "ended"}
    assert entry == {"callLogId": "CALL_ended", "callControlId": "ended", "revision": "7"}
    assert client.hget("sidetone:outbox", "a1") == "4"
    [group] = client.xinfo_groups("sidetone:calllogs")
    assert (group["name"], group["last-delivered-id"]) == ("loader", "0-0")


def test_a_large_batch_goes_in_several_transactions_and_the_field_comes_last(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        for n in range(1, 9):
            queue.document(f"leg{n}", n, padding=1_500_000)
        queue.deliver([(n, f"leg{n}") for n in range(1, 9)], 8)
    assert queued_legs(client) == [f"leg{n}" for n in range(1, 9)]
    assert client.hget("sidetone:outbox", "a1") == "8"
    assert int(client.hget("sidetone:outbox", "a1:additions")) == 4  # two documents of 1.5 MB in 4 MB


def test_redis_away_at_the_start_and_again(make_redis):
    server = make_redis()
    url = server.url
    server.kill()
    with Queue(url) as queue:
        assert queue.look(0) == -1
        queue.document("leg1", 1)
        (result, kind, reason) = queue.deliver([(1, "leg1")], 1)[1]
        assert (result, kind) == ("away", "network") and "refused" in reason
        server.start()
        queue.add([1])
        server.kill()
        assert queue.deliver([(2, "leg1")], 2)[2][0] == "away"
        server.start()
        until("the loss is seen", lambda: queue.look(2) == 0)  # it had nothing on disk
        queue.add([1, 2])
        assert queued_legs(server.client()) == ["leg1", "leg2"]


def test_a_server_that_hangs_costs_the_timeout(redis_server):
    with Queue(redis_server.url, timeout_ms=200) as queue:
        queue.add([1])
        redis_server.pause()
        try:
            queue.document("leg2", 1)
            begin = time.monotonic()
            (result, kind, _) = queue.deliver([(2, "leg2")], 2)[2]
            assert (result, kind) == ("away", "timeout")
            assert time.monotonic() - begin < DEADLINE_S  # and without it never
        finally:
            redis_server.resume()
        queue.add([2])


# ---- what Redis may refuse


def refusal(queue, server):
    queue.document("late", 1)

    def look():
        queue.look(-1)
        result = queue.deliver([(99, "late")], 99)[99]
        return result if result[1] not in ("network", "-") else None

    return until("a refusal", look)


def test_wrong_password(make_redis):
    server = make_redis(requirepass="right")
    with Queue(f"redis://:wrong@127.0.0.1:{server.port}") as queue:
        result, kind, reason = refusal(queue, server)
        assert (result, kind) == ("away", "auth") and "wrong" not in reason.replace("WRONGPASS", "")
    with Queue(f"redis://127.0.0.1:{server.port}") as queue:
        assert refusal(queue, server)[:2] == ("away", "auth")
    with Queue(server.url) as queue:
        queue.add([1])


def test_password_and_database_of_the_url(make_redis):
    server = make_redis(requirepass='"p@ss w/rd"')
    with Queue(f"redis://:p%40ss%20w%2Frd@127.0.0.1:{server.port}/3") as queue:
        queue.add([1])
    client = redis_py.Redis(host="127.0.0.1", port=server.port, password="p@ss w/rd", db=3, decode_responses=True)
    assert queued_legs(client) == ["leg1"]


def test_unix_socket(make_redis, tmp_path):
    path = tmp_path / "r.sock"
    server = make_redis(unixsocket=path)
    with Queue(f"unix://{path}?db=2") as queue:
        queue.add([1])
    assert queued_legs(server.client(db=2)) == ["leg1"]


def test_a_replica_that_may_not_write(make_redis):
    main, replica = make_redis(), make_redis()
    replica.client().replicaof("127.0.0.1", main.port)
    until("a replica", lambda: replica.client().info("replication").get("master_link_status") == "up")
    with Queue(replica.url) as queue:
        assert refusal(queue, replica)[:2] == ("away", "readonly")
        replica.client().replicaof("NO", "ONE")
        queue.add([1])


def test_no_memory_in_redis(make_redis):
    server = make_redis(maxmemory="1mb", maxmemory_policy="noeviction")
    with Queue(server.url) as queue:
        assert refusal(queue, server)[:2] == ("away", "oom")
        server.client().config_set("maxmemory", 0)
        queue.add([1])
    assert queued_legs(server.client()) == ["leg1"]


def test_writes_stopped_by_a_failed_snapshot(make_redis):
    server = make_redis(save="3600 1")
    with Queue(server.url) as queue:
        queue.add([1])
        client = server.client()

        def snapshot(wanted):
            client.bgsave()
            until(f"a snapshot {wanted}", lambda: client.info("persistence")["rdb_bgsave_in_progress"] == 0
                  and client.info("persistence")["rdb_last_bgsave_status"] == wanted)

        (server.folder / "dump.rdb").mkdir()
        snapshot("err")
        assert refusal(queue, server)[:2] == ("away", "misconf")
        (server.folder / "dump.rdb").rmdir()
        snapshot("ok")
        queue.add([2])


def test_a_server_that_still_reads_its_data(make_redis):
    server = make_redis(key_load_delay=20000, loading_process_events_interval_bytes=1024)
    client = server.client()
    pipe = client.pipeline()
    for n in range(400):
        pipe.set(f"filler{n}", "x" * 1000)
    pipe.execute()
    client.config_set("key-load-delay", 0)
    server.snapshot()
    server.kill()
    server._spawn()  # not start(): that waits for the end of the loading
    with Queue(server.url) as queue:
        assert refusal(queue, server)[:2] == ("away", "loading")
        until("loaded", server.ready)
        queue.add([1])


# ---- the lost tail


def test_a_look_that_is_allowed_again_is_no_trouble_any_more(redis_server):
    """Not only at the next trimming, up to a minute later."""
    client = redis_server.client()
    rights = ("agent", "on", ">secret", "resetchannels", "~*", "+@all")
    client.execute_command("ACL", "SETUSER", *rights, "-xgroup")
    with Queue(f"redis://agent:secret@127.0.0.1:{redis_server.port}") as queue:
        until("the refusal", lambda: queue.look(0) and "group loader: NOPERM" in queue.stats()["trouble"])
        client.xgroup_create("sidetone:calllogs", "loader", "0", mkstream=True)  # BUSYGROUP from now on
        client.execute_command("ACL", "SETUSER", *rights)
        until("no trouble", lambda: queue.look(0) and not queue.stats()["trouble"])


def test_a_lost_tail_goes_again(redis_server):
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 11))
        redis_server.snapshot()
        queue.add(range(11, 21))
        redis_server.kill()
        redis_server.start()
        assert queued_legs(redis_server.client()) == [f"leg{n}" for n in range(1, 11)]
        assert until("the way back", lambda: (row if (row := queue.look(20)) >= 0 else None)) == 10
        queue.add(range(11, 21))
        assert queue.look(20) == -1
    assert queued_legs(redis_server.client()) == [f"leg{n}" for n in range(1, 21)]


def test_a_field_older_than_what_was_sent(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 11))
        client.hset("sidetone:outbox", "a1", 7)
        client.client_kill_filter(_type="normal", skipme=True)
        queue.deliver([(10, "leg10")], 10)  # finds the connection gone
        assert until("the way back", lambda: (row if (row := queue.look(10)) >= 0 else None)) == 7


def test_a_tail_behind_a_stuck_row_is_missed_too(redis_server):
    """The low-water mark does not move while row 5 is stuck, but what follows it is in the queue."""
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 5))
        queue.add(range(6, 11), low_water=4)
        redis_server.snapshot()
        queue.add(range(11, 16), low_water=4)
        redis_server.kill()
        redis_server.start()
        assert until("the way back", lambda: (row if (row := queue.look(4)) >= 0 else None)) == 4


def test_a_tail_lost_between_two_batches_is_noticed_by_the_next(redis_server):
    """As a failover does it: the connection stays, the data is older."""
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 4))
        raw = redis_py.Redis(port=redis_server.port)
        before = raw.dump("sidetone:outbox"), raw.dump("sidetone:calllogs")
        queue.add(range(4, 7))
        raw.restore("sidetone:outbox", 0, before[0], replace=True)
        raw.restore("sidetone:calllogs", 0, before[1], replace=True)
        queue.document("leg7", 7)
        assert queue.deliver([(7, "leg7")], 7)[7][0] == "done"
        # Were the agent killed now, its next process would still see the hole: the field does not jump over it.
        assert raw.hget("sidetone:outbox", "a1") == b"3"
        queue.document("leg8", 8)
        assert queue.deliver([(8, "leg8")], 8)[8][:2] == ("away", "lost_tail")
        assert raw.hget("sidetone:outbox", "a1") == b"3"
        assert queue.look(8) == 3
        queue.add(range(4, 9))
    with Queue(redis_server.url) as queue:
        assert queue.looked(8) == 8
    assert set(queued_legs(redis_server.client())) == {f"leg{n}" for n in range(1, 9)}


def test_a_tail_behind_a_stuck_row_is_not_jumped_over_either(redis_server):
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 5))
        raw = redis_py.Redis(port=redis_server.port)
        before = raw.dump("sidetone:outbox"), raw.dump("sidetone:calllogs")
        queue.add(range(6, 9), low_water=4)  # row 5 is stuck
        raw.restore("sidetone:outbox", 0, before[0], replace=True)
        raw.restore("sidetone:calllogs", 0, before[1], replace=True)
        queue.document("leg5", 5)
        assert queue.deliver([(5, "leg5")], 8)[5][0] == "done"
        assert raw.hget("sidetone:outbox", "a1") == b"4"
        assert queue.look(8) == 4


def test_flushall(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        queue.looked(0)
        queue.add(range(1, 4))
        client.flushall()
        assert until("the loss is seen", lambda: queue.look(3) == 0, deadline_s=30)  # every 10 s
        queue.add(range(1, 4))
    assert queued_legs(client) == ["leg1", "leg2", "leg3"]
    assert client.xinfo_groups("sidetone:calllogs")[0]["name"] == "loader"


def test_after_a_restart_of_the_agent(redis_server):
    with Queue(redis_server.url) as queue:
        assert queue.looked(0) == -1
        queue.add(range(1, 6))
    with Queue(redis_server.url) as queue:  # nothing is missing: at most what lies above the cursor goes again
        assert queue.looked(5) == 5
    with Queue(redis_server.url) as queue:  # the last answer came, but Redis has lost what it was about
        assert queue.looked(9) == 5
    redis_server.client().delete("sidetone:outbox")
    with Queue(redis_server.url) as queue:
        assert queue.looked(5) == 0


# ---- trimming


def trimmed_by_a_new_agent(server, **options):
    with Queue(server.url, agent="trimmer", **options) as queue:
        queue.looked(0)
        return queue.stats()


def read(client, group, count, acknowledge=True, key="sidetone:calllogs"):
    [[_, got]] = client.xreadgroup(group, "c1", {key: ">"}, count=count)
    if acknowledge:
        client.xack(key, group, *[i for i, _ in got])
    return [i for i, _ in got]


def test_nothing_is_trimmed_that_a_group_has_not_acknowledged(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        queue.add(range(1, 11))
    client.xgroup_create("sidetone:calllogs", "second", "0")
    trimmed_by_a_new_agent(redis_server)
    assert len(entries(client)) == 10
    read(client, "loader", 8)
    trimmed_by_a_new_agent(redis_server)
    assert len(entries(client)) == 10  # the second one has read nothing
    ids = read(client, "second", 6, acknowledge=False)
    client.xack("sidetone:calllogs", "second", *ids[:2], *ids[3:])  # the third is open
    assert trimmed_by_a_new_agent(redis_server)["trimmed"] == 2
    assert queued_legs(client)[0] == "leg3"
    client.xack("sidetone:calllogs", "second", ids[2])
    trimmed_by_a_new_agent(redis_server)
    assert queued_legs(client) == ["leg7", "leg8", "leg9", "leg10"]
    read(client, "loader", 10)
    read(client, "second", 10)
    trimmed_by_a_new_agent(redis_server)
    assert entries(client) == []


def test_at_most_once_a_minute(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url) as queue:
        queue.add(range(1, 4))
        read(client, "loader", 3)
        for _ in range(20):
            queue.look(3)
        assert len(entries(client)) == 3


def test_a_group_that_reads_nothing_is_named_and_holds_no_longer(redis_server):
    client = redis_server.client()
    old_ms = int(time.time() * 1000) - 3 * 3600 * 1000
    for n in range(5):
        client.xadd("sidetone:calllogs", {"callControlId": f"old{n}"}, id=f"{old_ms}-{n}")
    client.xgroup_create("sidetone:calllogs", "loader", "0")
    client.xgroup_create("sidetone:calllogs", "gone", "0")
    read(client, "loader", 4)
    assert trimmed_by_a_new_agent(redis_server, group_timeout_h=4)["idle"] == ""
    assert len(entries(client)) == 5
    stats = trimmed_by_a_new_agent(redis_server, group_timeout_h=2)
    assert (stats["idle"], stats["trimmed"]) == ("gone", 4)
    # A reader that lags is no dead one: it has asked just now.
    assert queued_legs(client) == ["old4"]


def test_a_group_of_any_bytes_is_named(make_agent, signer, redis_server):
    raw = redis_py.Redis(port=redis_server.port)
    raw.xadd("sidetone:calllogs", {"callControlId": "old"}, id=f"{int(time.time() * 1000) - 200 * 3600 * 1000}-0")
    raw.xgroup_create("sidetone:calllogs", b"idle\xff\xc3", "0")
    agent = make_agent(f"redis.url={redis_server.url}", signer=signer)
    reasons = until("the group is named", lambda: agent.get("/readyz").json()["reasons"])
    assert "idle\ufffd\ufffd" in reasons[0]["text"]


def test_when_nobody_reads_only_what_is_older_than_the_timeout_goes(redis_server):
    client = redis_server.client()
    now_ms = int(time.time() * 1000)
    client.xadd("sidetone:calllogs", {"callControlId": "old"}, id=f"{now_ms - 3 * 3600 * 1000}-0")
    client.xadd("sidetone:calllogs", {"callControlId": "new"}, id=f"{now_ms - 1000}-0")
    stats = trimmed_by_a_new_agent(redis_server, group_timeout_h=2)
    assert stats["idle"] == "loader"
    assert queued_legs(client) == ["new"]


def test_above_queue_max_rows_wait(redis_server):
    client = redis_server.client()
    with Queue(redis_server.url, queue_max=5) as queue:
        queue.add(range(1, 5))
        queue.document("leg5", 5)
        queue.document("leg6", 6)
        out = queue.deliver([(5, "leg5"), (6, "leg6")], 6)
        assert out[5][0] == "done" and out[6][:2] == ("away", "queue_full")
        assert queue.stats()["full"] == 1
        assert client.hget("sidetone:outbox", "a1") == "4"  # row 6 is not in the queue
        queue.document("up", 1, ended=False)
        assert queue.deliver([(7, "up")], 4)[7][0] == "done"  # nothing to add needs no room
        read(client, "loader", 4)
        client.xtrim("sidetone:calllogs", maxlen=0, approximate=False)
        queue.add([6])
        assert queue.stats()["full"] == 0


def test_a_batch_larger_than_the_queue_goes_in_parts(redis_server):
    """It would wait for ever for room that there never is."""
    client = redis_server.client()
    with Queue(redis_server.url, queue_max=5) as queue:
        queue.looked(0)
        for n in range(1, 13):
            queue.document(f"leg{n}", n)
        waiting = list(range(1, 13))
        while waiting:
            out = queue.deliver([(n, f"leg{n}") for n in waiting], waiting[-1])
            assert [n for n in waiting if out[n][0] == "done"] == waiting[:5]
            waiting = waiting[5:]
            assert client.xlen("sidetone:calllogs") <= 5
            client.xtrim("sidetone:calllogs", maxlen=0, approximate=False)


# ---- clusters

TAGGED = "{sidetone}:"


@pytest.mark.parametrize("nodes", [1, 3])
def test_cluster(make_redis, nodes):
    cluster = make_redis(nodes=nodes)
    holder = cluster.node_of(TAGGED)
    for node in cluster.nodes:  # whichever is named in the URL
        with Queue(node.url, prefix=TAGGED, agent=f"a{node.port}") as queue:
            queue.looked(0)
            queue.document("leg", 1)
            assert queue.deliver([(1, "leg")], 1)[1][0] == "done"
    assert queued_legs(holder.client(), TAGGED) == ["leg"] * nodes
    assert holder.client().hlen(f"{TAGGED}outbox") == 2 * nodes


def test_a_cluster_wants_a_hash_tag(make_redis):
    cluster = make_redis(nodes=3)
    with Queue(cluster.url) as queue:
        result, kind, reason = refusal(queue, cluster)
        assert (result, kind) == ("away", "crossslot") and "{sidetone}:" in reason


def test_the_slot_moves_while_rows_come(make_redis):
    cluster = make_redis(nodes=3)
    source = cluster.node_of(TAGGED)
    target = next(node for node in cluster.nodes if node is not source)
    s, t = source.client(), target.client()
    slot = int(s.execute_command("CLUSTER", "KEYSLOT", TAGGED))
    source_id, target_id = (c.execute_command("CLUSTER", "MYID") for c in (s, t))
    with Queue(source.url, prefix=TAGGED) as queue:
        queue.looked(0)
        queue.add([1, 2])
        t.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        s.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        # One key there, one here: TRYAGAIN, for as long as it lasts.
        s.execute_command("MIGRATE", "127.0.0.1", target.port, f"{TAGGED}calllogs", 0, 2000)
        queue.document("leg3", 3)
        assert queue.deliver([(3, "leg3")], 3)[3][:2] in (("away", "tryagain"), ("away", "execabort"))
        # Both there, the slot not yet: ASK.
        s.execute_command("MIGRATE", "127.0.0.1", target.port, f"{TAGGED}outbox", 0, 2000)
        assert queue.deliver([(3, "leg3")], 3)[3][0] == "done"
        for node in (target, source):
            node.client().execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        queue.document("leg4", 4)
        assert queue.deliver([(4, "leg4")], 4)[4][0] == "done"  # MOVED
        assert queue.look(4) == -1
    assert queued_legs(t, TAGGED) == ["leg1", "leg2", "leg3", "leg4"]


# ---- from the agent's outbox, without MongoDB


def ended_call(agent):
    call = Call(agent)
    call.initiated()
    call.hangup()
    return call


def queued(client, calls):
    return {c.leg for c in calls} <= set(queued_legs(client))


def test_what_the_loader_reads(make_agent, signer, redis_server):
    agent = make_agent(f"redis.url={redis_server.url}", signer=signer)
    client = redis_server.client()
    call, open_one = Call(agent), Call(agent)
    call.initiated()
    open_one.initiated()
    call.answered()
    call.stream().start().media(100).end()
    call.hangup()
    agent.complete(call.leg)
    until("the entry", lambda: queued(client, [call]))
    stored = agent.call(call.id)

    def newest():
        entry = [e for e in entries(client) if e["callControlId"] == call.leg][-1]
        return entry if int(entry["revision"]) == stored["metadata"]["sidetone"]["revision"] else None

    entry = until("the newest revision", newest)
    assert set(entry) == {"callLogId", "callControlId", "revision", "document"} and entry["callLogId"] == call.id
    document = json.loads(entry["document"])
    assert document["status"] == "completed" and "webhookEvents" not in document["telnyx"]
    assert document["quality"]["audio"] == stored["quality"]["audio"]
    assert open_one.leg not in queued_legs(client)
    revisions = [int(e["revision"]) for e in entries(client) if e["callControlId"] == call.leg]
    assert revisions == sorted(revisions)


def test_the_agent_fills_a_lost_tail(make_agent, signer, redis_server):
    agent = make_agent(f"redis.url={redis_server.url}", signer=signer)
    before = [ended_call(agent) for _ in range(5)]
    until("the first", lambda: queued(redis_server.client(), before))
    redis_server.snapshot()
    after = [ended_call(agent) for _ in range(5)]
    until("the rest", lambda: queued(redis_server.client(), after))
    redis_server.kill()
    redis_server.start()
    assert not queued(redis_server.client(), after)
    until("the tail again", lambda: queued(redis_server.client(), before + after))
    redis_server.client().flushall()
    until("all of it again", lambda: queued(redis_server.client(), before + after))


def test_above_queue_max_the_agent_says_so(make_agent, signer, redis_server):
    agent = make_agent(f"redis.url={redis_server.url}", "redis.queue_max=2", signer=signer)
    client = redis_server.client()
    for _ in range(2):
        ended_call(agent)
    until("two", lambda: client.xlen("sidetone:calllogs") == 2)
    waiting = ended_call(agent)
    body = until("degraded", lambda: (b if (b := agent.get("/readyz").json())["status"] == "degraded" else None))
    assert any("queue_max" in r["text"] for r in body["reasons"])
    assert agent.metric("sidetone_sink_errors_total", sink="redis_queue", kind="queue_full") >= 1
    client.xtrim("sidetone:calllogs", maxlen=0, approximate=False)
    until("room again", lambda: queued(client, [waiting]))
