"""Live figures in Redis while calls run (contract 5), read back by redis-py."""
import json
import statistics
import time

import pytest

from fake_telnyx import Call, mulaw_tracks
from harness import until

NUMBERS = {"duration_ms", "mos", "jitter_ms", "loss_pct", "agent_talk_ms", "lead_talk_ms", "talk_ratio", "silence_ms",
           "overlap_ms", "interruptions_agent", "interruptions_lead", "updated_at"}
TEXTS = {"status", "direction", "from", "to", "speaking"}


@pytest.fixture
def live_agent(make_agent, signer):
    """live_agent(url, prefix, …): an agent that publishes there."""
    def make(url, prefix="sidetone:", *options):
        return make_agent(f"redis.url={url}", f"redis.prefix={prefix}", *options, signer=signer)

    return make


class Keys:
    def __init__(self, client, call, prefix="sidetone:"):
        self.client, self.id, self.prefix = client, call.id, prefix

    def hash(self):
        return self.client.hgetall(f"{self.prefix}call:{self.id}")

    def owner(self):
        return self.client.get(f"{self.prefix}owner:{self.id}")

    def member(self):
        return self.client.zscore(f"{self.prefix}calls", self.id)

    def ended(self):
        return self.client.ttl(f"{self.prefix}ended:{self.id}")

    def live(self):
        """What must be gone after the end."""
        return self.hash() or self.owner() or self.member() is not None


def messages(client, prefix, count, call_id=None, deadline_s=20):
    """The next messages of the channel."""
    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(f"{prefix}live")
        seen, end = [], time.monotonic() + deadline_s
        while len(seen) < count:
            assert time.monotonic() < end, f"{len(seen)} messages of {count}"
            message = listener.get_message(timeout=1)
            if message and (call_id is None or call_id in message["data"]):
                seen.append((time.monotonic(), json.loads(message["data"])))
        return seen


def test_a_call_while_it_runs(live_agent, redis):
    agent = live_agent(redis.url, redis.prefix)
    call = Call(agent)
    keys = Keys(redis.client, call, redis.prefix)
    call.initiated()
    before_media = until("a hash", keys.hash)
    assert before_media["status"] == "initiated" and "mos" not in before_media
    assert keys.owner().split()[0] == "0"
    call.answered()
    stream = call.stream().start().play(mulaw_tracks(), 6)
    figures = until("figures of media", lambda: (h if "mos" in (h := keys.hash()) else None))
    assert set(figures) <= NUMBERS | TEXTS
    assert (figures["status"], figures["direction"], figures["from"], figures["to"]) == (
        "answered", "inbound", "+15550100001", "+15550100002")
    assert figures["speaking"] in ("agent", "lead", "both", "none")
    assert 1 <= float(figures["mos"]) <= 4.5 and float(figures["agent_talk_ms"]) + float(figures["lead_talk_ms"]) > 500
    assert abs(int(figures["updated_at"]) - time.time() * 1000) < 60_000
    assert until("a life", lambda: max(0, redis.client.pttl(f"{redis.prefix}call:{call.id}"))) <= 5000
    assert keys.owner().split()[0] == "1"
    assert keys.member() == pytest.approx(time.time() * 1000, abs=60_000)
    [row] = agent.live()
    assert row["callLogId"] == call.id and set(figures) == set(row) - {"callLogId"}
    rows = [row for _, row in messages(redis.client, redis.prefix, 6)]
    first = rows[0]
    assert set(first) == set(figures) | {"callLogId"}
    assert all(isinstance(first[name], (int, float)) for name in NUMBERS & set(first))
    assert all(isinstance(first[name], str) for name in TEXTS)
    # By the agent's own clock; the machine may be late with some of them: the usual one counts.
    gaps_ms = [after["updated_at"] - before["updated_at"] for before, after in zip(rows, rows[1:])]
    assert min(gaps_ms) > 0 and 800 < statistics.median(gaps_ms) < 1500
    count, total = (agent.metric(f"sidetone_frame_to_metric_seconds_{name}") for name in ("count", "sum"))
    assert count > 3 and 0 < total / count < 2
    stream.end()


def test_a_field_that_is_not_known_any_more_goes(live_agent, redis):
    agent = live_agent(redis.url, redis.prefix)
    call = Call(agent)
    call.initiated()
    keys = Keys(redis.client, call, redis.prefix)
    until("a hash", keys.hash)
    redis.client.hset(f"{redis.prefix}call:{call.id}", "mos", "1.0")
    until("the stray figure gone", lambda: "mos" not in keys.hash() and keys.hash())


def test_the_interval(live_agent, redis):
    agent = live_agent(redis.url, redis.prefix, "redis.live_interval_ms=200")
    calls = [Call(agent) for _ in range(10)]
    for call in calls:
        call.initiated()
    until("all there", lambda: redis.client.zcard(f"{redis.prefix}calls") == 10)
    seen = messages(redis.client, redis.prefix, 60)
    each = {}
    for _, message in seen:
        each.setdefault(message["callLogId"], []).append(message["updated_at"])
    assert len(each) == 10 and min(map(len, each.values())) >= 4  # 6 rounds of 10
    gaps_ms = [after - before for times in each.values() for before, after in zip(times, times[1:])]
    assert 150 <= statistics.median(gaps_ms) <= 400


def test_at_the_end_the_keys_go_and_stay_away(live_agent, redis):
    agent = live_agent(redis.url, redis.prefix, "redis.live_interval_ms=100")
    call = Call(agent)
    call.initiated()
    call.answered()
    stream = call.stream().start().media(50)
    keys = Keys(redis.client, call, redis.prefix)
    until("a hash", keys.hash)
    begin = time.monotonic()
    call.hangup()
    until("gone", lambda: not keys.live())
    assert 298 - (time.monotonic() - begin) < keys.ended() <= 300
    stream.pour(*stream.frames(50))  # it may still come for 5 s
    end = time.monotonic() + 1
    while time.monotonic() < end:  # ten intervals
        assert not keys.live()


def test_when_the_only_agent_dies(live_agent, redis, signer):
    agent = live_agent(redis.url, redis.prefix)
    call = Call(agent)
    call.initiated()
    keys = Keys(redis.client, call, redis.prefix)
    until("a hash", keys.hash)
    agent.kill()
    for kind in ("call", "owner"):  # -2: gone already
        assert redis.client.pttl(f"{redis.prefix}{kind}:{call.id}") in (-2, *range(5001))
    until("the hash gone", lambda: not keys.hash() and not keys.owner())
    assert keys.member() is not None  # nobody is there to remove it
    live_agent(redis.url, redis.prefix)
    until("the member gone", lambda: keys.member() is None)


def test_after_a_restart_the_call_goes_on_and_ends(live_agent, redis):
    agent = live_agent(redis.url, redis.prefix)
    call = Call(agent)
    call.initiated()
    call.answered()
    keys = Keys(redis.client, call, redis.prefix)
    until("a hash", keys.hash)
    agent.kill()
    until("the hash gone", lambda: not keys.hash(), deadline_s=6)
    agent.start()
    assert until("a hash again", keys.hash)["status"] == "answered"
    call.hangup()
    until("gone", lambda: not keys.live(), deadline_s=6)


def test_killed_between_the_hangup_and_its_word_to_redis(live_agent, make_redis):
    server = make_redis()
    agent = live_agent(server.url)
    call = Call(agent)
    call.initiated()
    keys = Keys(server.client(), call)
    until("a hash", keys.hash)
    server.pause()
    call.hangup()
    agent.kill()
    server.resume()
    agent.start()
    until("gone", lambda: not keys.live(), deadline_s=7)


def test_a_thousand_members_of_dead_calls(live_agent, redis):
    redis.client.zadd(f"{redis.prefix}calls", {f"CALL_{n}": n for n in range(1000)})
    agent = live_agent(redis.url, redis.prefix)
    call = Call(agent)
    call.initiated()
    until("only the live one", lambda: redis.client.zrange(f"{redis.prefix}calls", 0, -1) == [call.id], deadline_s=6)


# ---- several agents


def two_agents(live_agent, redis):
    return [live_agent(redis.url, redis.prefix, f"agent.id={name}", "redis.live_interval_ms=200") for name in "ab"]


def told_by(agent, call):
    """The same leg at another agent."""
    return Call(agent, leg=call.leg, session=call.session)


def test_a_socket_beats_an_event_and_the_newest_socket_wins(live_agent, redis):
    a, b = two_agents(live_agent, redis)
    call = Call(a)
    at_b = told_by(b, call)
    keys = Keys(redis.client, call, redis.prefix)
    call.initiated()
    until("a has it", lambda: (keys.owner() or "").endswith(" a"))
    at_b.stream().start().media(50)
    until("b has it", lambda: (keys.owner() or "").startswith("1 ") and keys.owner().endswith(" b"))
    call.answered()  # a newer event is no socket
    until("a has heard", lambda: a.live()[0]["status"] == "answered")
    for _, message in messages(redis.client, redis.prefix, 5):
        assert message["callLogId"] == call.id
        assert keys.owner().endswith(" b")
    call.stream().start().media(50)
    until("a has it again", lambda: keys.owner().startswith("1 ") and keys.owner().endswith(" a"))
    for _ in messages(redis.client, redis.prefix, 5):
        assert keys.owner().endswith(" a")


def test_before_media_the_newest_event_decides(live_agent, redis):
    a, b = two_agents(live_agent, redis)
    call = Call(a)
    keys = Keys(redis.client, call, redis.prefix)
    call.initiated(occurred_at="2026-01-01T00:00:01.000000Z")
    until("a has it", lambda: (keys.owner() or "").endswith(" a"))
    told_by(b, call).answered(occurred_at="2026-01-01T00:00:02.000000Z")
    until("b has it", lambda: keys.owner().endswith(" b"))


def test_when_the_owner_dies_the_other_takes_over(live_agent, redis):
    a, b = two_agents(live_agent, redis)
    call = Call(a)
    call.initiated()
    told_by(b, call).stream().start().media(50)
    keys = Keys(redis.client, call, redis.prefix)
    until("b has it", lambda: (keys.owner() or "").endswith(" b"))
    b.kill()
    until("a has it", lambda: (keys.owner() or "").endswith(" a"), deadline_s=7)
    b.start()


def test_the_end_told_to_one_stops_the_other(live_agent, redis):
    a, b = two_agents(live_agent, redis)
    call = Call(a)
    call.initiated()
    told_by(b, call).stream().start().media(50)
    keys = Keys(redis.client, call, redis.prefix)
    until("b has it", lambda: (keys.owner() or "").endswith(" b"))
    call.hangup()
    until("gone", lambda: not keys.live())
    until("b has heard", lambda: b.logged(msg="the call has ended elsewhere: its live figures stop here"))
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert not keys.live()


# ---- Redis away


def reasons(agent):
    body = agent.get("/readyz").json()
    return body["status"], [r for r in body["reasons"] if r["part"] == "redis"]


def test_away_at_the_start_and_again(live_agent, make_redis):
    server = make_redis()
    server.kill()
    agent = live_agent(server.url)
    call = Call(agent)
    call.initiated()  # upstream nothing changes
    status, [reason] = until("degraded", lambda: (r if (r := reasons(agent))[1] else None))
    assert status == "degraded" and "refused" in reason["text"] and reason["since"].endswith("Z")
    assert agent.get("/readyz").status_code == 200
    server.start()
    keys = Keys(server.client(), call)
    until("a hash", keys.hash)
    until("ready", lambda: reasons(agent) == ("ready", []))
    server.kill()
    until("degraded", lambda: reasons(agent)[0] == "degraded")
    call.hangup()
    server.start()
    until("the end is told", lambda: keys.ended() > 0)
    assert not keys.live()
    until("ready", lambda: reasons(agent) == ("ready", []))


def test_a_link_that_is_half_open(live_agent, make_redis, toxiproxy):
    server = make_redis()
    link = toxiproxy.link("redis", server.port)
    agent = live_agent(f"redis://127.0.0.1:{link.port}", "sidetone:", "redis.timeout_ms=300")
    call = Call(agent)
    call.initiated()
    keys = Keys(server.client(), call)
    until("a hash", keys.hash)
    link.half_open()
    until("degraded", lambda: reasons(agent)[0] == "degraded")
    until("an answer at once", lambda: agent.get("/livez").elapsed.total_seconds() < 1)
    link.mend()
    until("a hash again", lambda: time.time() * 1000 - int(keys.hash().get("updated_at", 0)) < 1000)


def test_an_end_that_was_lost_on_its_way_is_told_again(live_agent, make_redis, toxiproxy):
    server = make_redis()
    link = toxiproxy.link("redis", server.port)
    agent = live_agent(f"redis://127.0.0.1:{link.port}", "sidetone:", "redis.timeout_ms=300")
    call = Call(agent)
    call.initiated()
    keys = Keys(server.client(), call)
    until("a hash", keys.hash)
    link.half_open("upstream")
    call.hangup()
    until("degraded", lambda: reasons(agent)[0] == "degraded")
    link.mend()
    until("the end is told", lambda: keys.ended() > 0)
    assert not keys.live()


def test_stops_in_time_while_redis_hangs(live_agent, make_redis):
    server = make_redis()
    agent = live_agent(server.url)
    call = Call(agent)
    call.initiated()
    until("a hash", Keys(server.client(), call).hash)
    server.pause()
    call.hangup()
    try:
        agent.stop(within_s=5)
    finally:
        server.resume()


def test_a_replica_is_named_and_left(live_agent, make_redis):
    main, replica = make_redis(), make_redis()
    replica.client().replicaof("127.0.0.1", main.port)
    until("a replica", lambda: replica.client().info("replication").get("master_link_status") == "up")
    agent = live_agent(replica.url)
    call = Call(agent)
    call.initiated()
    status, [reason] = until("degraded", lambda: (r if (r := reasons(agent))[1] else None))
    assert status == "degraded" and "READONLY" in reason["text"]
    replica.client().replicaof("NO", "ONE")
    until("a hash", Keys(replica.client(), call).hash)
    until("ready", lambda: reasons(agent)[0] == "ready")


@pytest.mark.parametrize("policy, loses", [("allkeys-lru", True), ("volatile-lru", False), ("noeviction", False)])
def test_an_eviction_policy_that_loses_is_named(live_agent, make_redis, policy, loses):
    server = make_redis(maxmemory_policy=policy)
    agent = live_agent(server.url)
    call = Call(agent)
    call.initiated()
    until("a hash", Keys(server.client(), call).hash)
    if loses:
        status, [reason] = until("degraded", lambda: (r if (r := reasons(agent))[1] else None))
        assert status == "degraded" and policy in reason["text"]
    until("its state", lambda: reasons(agent)[0] == ("degraded" if loses else "ready"))


def test_a_cluster(live_agent, make_redis):
    cluster = make_redis(nodes=3)
    prefix = "{sidetone}:"
    holder = cluster.node_of(prefix)
    stranger = next(node for node in cluster.nodes if node is not holder)
    agent = live_agent(stranger.url, prefix)
    call = Call(agent)
    call.initiated()
    keys = Keys(holder.client(), call, prefix)
    until("a hash", keys.hash)
    call.hangup()
    until("gone", lambda: not keys.live(), deadline_s=3)
    assert keys.ended() > 0
