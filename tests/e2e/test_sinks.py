"""The whole way: webhooks and media of one leg at one agent or at several, MongoDB and Redis behind them, and what the
servers' absence does. Read back with pymongo and redis-py."""
import base64
import json
import time

import pymongo
import pytest

from fake_telnyx import Call, derived_key
from harness import event_ids, object_id, sidetone, sidetone_of, until

LOOSE = ("_id", "createdAt", "updatedAt", "__v")


@pytest.fixture
def options(mongo, redis):
    return (f"mongo.uri={mongo.uri}", f"mongo.database={mongo.database}", f"redis.url={redis.url}",
            f"redis.prefix={redis.prefix}")


@pytest.fixture
def agents(make_agent, signer, options):
    return [make_agent(*options, signer=signer) for _ in range(3)]


def settled(mongo, leg, facts):
    """The leg's document once it has so many webhooks and is complete."""
    def look():
        document = mongo.db.calllogs.find_one({"telnyx.callControlId": leg})
        good = document and len(document["telnyx"].get("webhookEvents", ())) == facts and sidetone_of(document).get("complete")
        return document if good else None
    return until(f"the settled document of {leg}", look)


def entries(redis, leg):
    rows = redis.client.xrange(f"{redis.prefix}calllogs")
    return [fields for _, fields in rows if fields["callControlId"] == leg]


def quiet(agent):
    """Nothing waits in the outbox."""
    return until("an empty outbox", lambda: not any(v for k, v in agent.metrics().items()
                                                    if k.startswith("sidetone_outbox_rows") and 'state="pending"' in k))


def plain(document):
    """Comparable: dates and ids as text, agents' names and the database's own members gone."""
    out = json.loads(json.dumps(document, default=str))
    for key in LOOSE:
        out.pop(key, None)
    out["metadata"]["sidetone"].pop("agents", None)
    return out


def test_one_call_reaches_mongodb_the_queue_and_the_live_keys(make_agent, signer, options, mongo, redis):
    agent = make_agent(*options, "redis.live_interval_ms=200", signer=signer)
    call = Call(agent)
    call.initiated()
    call.answered()
    stream = call.stream().start().media(250)
    key = f"{redis.prefix}call:{call.id}"
    until("the live hash", lambda: redis.client.hget(key, "status") == "answered")
    assert redis.client.zscore(f"{redis.prefix}calls", call.id)
    stream.end()
    call.hangup()
    document = settled(mongo, call.leg, 3)
    local = agent.complete(call.leg)
    assert document["callLogId"] == call.id and document["status"] == "completed"
    assert event_ids(local) == [str(row["_id"]) for row in document["telnyx"]["webhookEvents"]]
    assert document["quality"]["mos"] == local["quality"]["mos"]
    assert document["outcome"]["result"] == "connected" and document["tags"] == ["no-lead"]
    last = until("the queue's entry", lambda: (rows := entries(redis, call.leg)) and rows[-1])
    queued = json.loads(last["document"])
    assert last["id"] == str(document["_id"]) and int(last["revision"]) == sidetone_of(document)["revision"]
    assert "webhookEvents" not in queued["telnyx"] and "media" not in queued["metadata"]["sidetone"]
    assert queued["status"] == "completed" and queued["quality"]["mos"] == document["quality"]["mos"]
    until("no live key", lambda: not redis.client.exists(key) and redis.client.zscore(f"{redis.prefix}calls", call.id) is None)
    quiet(agent)
    assert agent.get("/readyz").json() == {"status": "ready", "reasons": []}


def play(agent_of, leg=None, session=None):
    """The same facts wherever they go: agent_of() names the agent for the next one."""
    call = Call(agent_of(), leg=leg, session=session, direction="outgoing")
    told = [call.event(kind, **more) for kind, more in (
        ("call.initiated", {"direction": "outgoing", "start_time": call.start_time}),
        ("call.answered", {"start_time": call.start_time}),
        ("call.machine.detection.ended", {"result": "human"}),
        ("call.dtmf.received", {"digit": "5"}),
        ("call.bridged", {}),
        ("call.hangup", {"hangup_cause": "normal_clearing", "start_time": call.start_time}),
        ("call.cost", {"status": "success", "total_cost": "0.0042", "billed_duration_secs": 60}))]
    for event in told:
        agent = agent_of()
        assert agent.webhook(event).status_code == 200
        assert agent_of().webhook(event).status_code == 200, "redelivered, perhaps to another one"
    return call, told


def test_any_agent_takes_any_webhook(agents, make_agent, signer, options, mongo, redis):
    turn = iter(range(10**6))
    call, told = play(lambda: agents[next(turn) % 3])
    document = settled(mongo, call.leg, len(told))
    assert [str(row["_id"]) for row in document["telnyx"]["webhookEvents"]] == [
        object_id(e["data"]["id"]) for e in sorted(told, key=lambda e: (e["data"]["occurred_at"][:23],
                                                                       object_id(e["data"]["id"])))]
    for agent in agents:
        quiet(agent)
    assert mongo.db.calllogs.count_documents({}) == 1
    document = mongo.db.calllogs.find_one({"telnyx.callControlId": call.leg})
    assert sidetone_of(document)["revision"] == len(told)
    newest = max(entries(redis, call.leg), key=lambda e: int(e["revision"]))
    assert int(newest["revision"]) == len(told)
    # The same facts at one agent alone, in another database: the same document.
    alone = make_agent(*options[:1], f"mongo.database={mongo.database}_alone", signer=signer)
    for event in told:
        assert alone.webhook(event).status_code == 200
    quiet(alone)
    other = mongo.client[f"{mongo.database}_alone"].calllogs.find_one({"telnyx.callControlId": call.leg})
    mongo.client.drop_database(f"{mongo.database}_alone")
    assert plain(document) == plain(other)


def test_media_at_one_agent_and_the_end_at_another(agents, mongo, redis):
    call = Call(agents[0])
    call.initiated()
    call.agent = agents[1]
    call.answered()
    stream = call.stream().start().media(300)
    stream.sync()
    call.agent = agents[2]
    call.hangup()
    # The one with the stream learns of the end through Redis and MongoDB, and closes the socket 5 s later.
    assert stream.closed() == 1000
    document = settled(mongo, call.leg, 3)
    assert document["status"] == "completed" and not sidetone_of(document)["partial"]
    assert sidetone_of(document)["quality"]["delivery"]["inbound"]["received_frames"] == 300
    for agent in agents:
        until("no live call", lambda a=agent: a.metric("sidetone_calls_live") == 0)
        quiet(agent)
    assert max(int(e["revision"]) for e in entries(redis, call.leg)) == sidetone_of(
        mongo.db.calllogs.find_one({"telnyx.callControlId": call.leg}))["revision"]


def test_servers_away_change_nothing_upstream(make_agent, signer, mongo_server, redis_server, tmp_path):
    mongo_server.stop()
    redis_server.stop()
    agent = make_agent(f"mongo.uri={mongo_server.uri}", "mongo.server_selection_ms=500", f"redis.url={redis_server.url}",
                       "redis.timeout_ms=500", signer=signer)
    calls = [Call(agent) for _ in range(20)]
    for call in calls:
        call.initiated()
        call.hangup("no_answer")
    health = until("what is away", lambda: (r := agent.get("/readyz")) and len(r.json()["reasons"]) >= 2 and r)
    assert health.status_code == 200 and health.json()["status"] == "degraded"
    assert {"mongo", "redis"} <= {reason["part"] for reason in health.json()["reasons"]}
    assert agent.metric("sidetone_outbox_rows", sink="mongo", state="pending") == 40
    agent.kill()
    agent.start()
    mongo_server.start()
    redis_server.start()
    quiet(agent)
    with pymongo.MongoClient(mongo_server.uri) as client:
        documents = list(client.bmad_v4.calllogs.find())
    assert sorted(d["telnyx"]["callControlId"] for d in documents) == sorted(call.leg for call in calls)
    assert all(d["status"] == "no-answer" and sidetone_of(d)["revision"] == 2 for d in documents)
    with redis_server.client() as client:
        assert client.xlen("sidetone:calllogs") >= 20
    until("ready again", lambda: agent.get("/readyz").json()["status"] == "ready")


def test_mongodb_away_is_seen_with_nothing_to_deliver(make_agent, signer, mongo_server):
    agent = make_agent(f"mongo.uri={mongo_server.uri}", "mongo.server_selection_ms=500", signer=signer)
    until("the indexes", lambda: agent.get("/readyz").json()["status"] == "ready")
    mongo_server.stop()
    health = until("it is away", lambda: (r := agent.get("/readyz")) and r.json()["reasons"] and r)
    assert health.status_code == 200 and health.json()["reasons"][0]["part"] == "mongo"
    line = until("the log", lambda: agent.logged(msg="a sink is away: its rows wait on disk"))[-1]
    assert line["sink"] == "mongo" and line["why"]
    mongo_server.start()
    until("ready again", lambda: agent.get("/readyz").json()["status"] == "ready")
    until("the log", lambda: agent.logged(msg="a sink is back", sink="mongo"))


def test_it_stops_in_time_while_mongodb_hangs(make_agent, signer, mongo_server, toxiproxy):
    link = toxiproxy.link("mongo", mongo_server.port)
    agent = make_agent(f"mongo.uri=mongodb://127.0.0.1:{link.port}", signer=signer)
    call = Call(agent)
    call.initiated()
    quiet(agent)
    link.half_open()
    call.answered()
    until("a row that waits", lambda: agent.metric("sidetone_outbox_rows", sink="mongo", state="pending") == 1)
    agent.stop()
    assert agent.logged(msg="a server does not answer: what it was to get is in the outbox")
    link.mend()
    agent.start()
    quiet(agent)


def test_without_mongodb_the_queue_has_the_local_fold(make_agent, signer, redis):
    agent = make_agent(f"redis.url={redis.url}", f"redis.prefix={redis.prefix}", signer=signer)
    call = Call(agent)
    call.initiated()
    assert entries(redis, call.leg) == []
    call.hangup("user_busy")
    quiet(agent)
    last = entries(redis, call.leg)[-1]
    assert "id" not in last and json.loads(last["document"])["status"] == "busy" and last["revision"] == "2"
    call.tell("call.cost", status="success", total_cost="0.01", billed_duration_secs=1)
    quiet(agent)
    until("the newer entry", lambda: entries(redis, call.leg)[-1]["revision"] == "3")


def test_check_connect_says_what_is_wrong(options, make_redis):
    def check(*more):
        words = [word for option in (*options, *more) for word in ("-o", option)]
        return sidetone("check", "--connect", *words)
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr
    done = check("mongo.uri=mongodb://127.0.0.1:1", "mongo.server_selection_ms=300", "redis.url=redis://127.0.0.1:1")
    assert done.returncode == 1 and "mongo" in done.stdout and "redis" in done.stdout and "refused" in done.stdout
    locked = make_redis(requirepass="geheim")
    done = check(f"redis.url=redis://:falsch@127.0.0.1:{locked.port}")
    assert done.returncode == 1 and "falsch" not in done.stdout + done.stderr and "geheim" not in done.stdout
    done = check("telnyx.api_key=KEY1", "telnyx.api_base=http://127.0.0.1:1")
    assert done.returncode == 1 and "telnyx.api_base" in done.stdout and "KEY1" not in done.stdout


@pytest.mark.parametrize("option", ("mongo.uri=mongodb://", "mongo.uri=mongodb://h:notaport/", "mongo.uri=mongodb://h/?tsl=true", "redis.url=redis://h:port",
                                    "redis.url=rediss://h:1"))
def test_a_malformed_address_is_wrong_configuration(option, tmp_path):
    for command in ("check", "serve"):
        words = ("-o", option, *(("-o", f"store.dir={tmp_path}") if command == "serve" else ()))
        done = sidetone(command, *words)
        assert done.returncode == 2, (command, done.stderr)
        assert option.split("=")[0] in done.stderr and "notaport" not in done.stderr


def test_a_derived_key_is_for_any_agent(agents, mongo, make_agent, signer, options):
    one, two = (make_agent(*options, "telnyx.stream_token=t", signer=signer) for _ in range(2))
    call = Call(one)
    call.answered()
    call.agent = two
    stream = call.stream(path=f"/telnyx/media/{derived_key('t', call.leg, int(time.time()) + 60)}").start().media(50)
    stream.end()
    call.agent = one
    call.hangup()
    assert sidetone_of(settled(mongo, call.leg, 2))["quality"]["delivery"]["inbound"]["received_frames"] == 50


def test_a_leg_has_4_mib_of_payloads(make_agent, signer, options, mongo):
    """What comes later is stored without: the document stays far below the 16 MiB of MongoDB."""
    agent = make_agent(*options, signer=signer)
    call = Call(agent)
    call.answered()
    for _ in range(140):
        call.tell("call.speak.started", text="x" * 31000)
    call.hangup()
    document = settled(mongo, call.leg, 142)
    cut = [row for row in document["telnyx"]["webhookEvents"] if row["payload"] == {"truncated": True}]
    full = [row for row in document["telnyx"]["webhookEvents"] if len(row["payload"].get("text", "")) == 31000]
    assert 120 < len(full) < 136 and len(cut) >= 5 and document["status"] == "completed"


def test_a_call_that_the_application_named_is_one_live_call(agents, mongo, redis):
    """Webhooks, which name it, at one agent; the stream, which does not, at another: one name while it runs, and no
    key 6 s after the end."""
    name = "CALL_1700000000000_abcdefghi"
    state = base64.b64encode(json.dumps({"callLogId": name}).encode()).decode()
    call = Call(agents[0], client_state=state)
    call.initiated()
    call.answered()
    call.agent = agents[1]
    stream = call.stream().start().media(100)
    until("its name at the agent with the stream", lambda: [row["callLogId"] for row in agents[1].live()] == [name])
    calls = f"{redis.prefix}calls"
    until("one live call", lambda: redis.client.zrange(calls, 0, -1) == [name]
          and redis.client.keys(f"{redis.prefix}call:*") == [f"{redis.prefix}call:{name}"])
    call.agent = agents[2]
    call.hangup()
    until("no live key", lambda: not redis.client.exists(calls) and not redis.client.keys(f"{redis.prefix}call:*"),
          deadline_s=6)
    assert stream.closed() == 1000  # it has been told


def test_an_agent_that_knows_only_the_stream_hears_of_the_end(make_agent, signer, options, mongo, redis):
    """MongoDB is not in time: the agent with the stream knows the derived name alone."""
    hears, streams = make_agent(*options, signer=signer), make_agent(*options[2:], signer=signer)
    state = base64.b64encode(json.dumps({"callLogId": "CALL_1_named"}).encode()).decode()
    call = Call(hears, client_state=state)
    call.initiated()
    call.agent = streams
    call.stream().start().media(100)
    until("the derived name", lambda: redis.client.exists(f"{redis.prefix}call:{call.id}"))
    call.agent = hears
    call.hangup()
    until("no live key", lambda: not redis.client.exists(f"{redis.prefix}calls") and not redis.client.keys(
        f"{redis.prefix}call:*"), deadline_s=6)
    assert redis.client.exists(f"{redis.prefix}ended:{call.id}")


@pytest.mark.parametrize("theirs, joined", (({"metadata": "text"}, False), ({"metadata": {"sidetone": 5}}, False),
                                            ({"tags": None, "quality": {"issues": None}}, True)))
def test_a_document_of_the_application_of_any_shape_costs_no_calllog(make_agent, signer, options, mongo, theirs, joined):
    """Where it cannot take the leg's facts, the leg has a document of its own, and the conflict is noted."""
    agent = make_agent(*options, signer=signer)
    mongo.db.calllogs.insert_one({"callLogId": "CALL_1_odd", **theirs})
    state = base64.b64encode(json.dumps({"callLogId": "CALL_1_odd"}).encode()).decode()
    call = Call(agent, client_state=state)
    call.initiated()
    call.hangup()
    document = settled(mongo, call.leg, 2)
    quiet(agent)
    assert document["status"] == "failed" and "no-lead" in document["tags"]
    assert (document["callLogId"] == "CALL_1_odd") == joined
    assert sidetone_of(document).get("callLogIdConflict") == (None if joined else "CALL_1_odd")
    assert agent.metric("sidetone_outbox_rows", sink="mongo", state="dead") == 0


def test_an_end_that_mongodb_hears_of_late_still_ends_the_leg(make_agent, signer, mongo_server, redis):
    """Redis tells the agent with the stream at once; what the end was it learns when MongoDB is back."""
    options = (f"mongo.uri={mongo_server.uri}", "mongo.server_selection_ms=500", "mongo.socket_ms=1000",
               f"redis.url={redis.url}", f"redis.prefix={redis.prefix}", "redis.live_interval_ms=200")
    hears, streams = make_agent(*options, signer=signer), make_agent(*options, signer=signer)
    call = Call(hears)
    call.initiated()
    call.agent = streams
    call.answered()
    stream = call.stream().start().media(100)
    for agent in (hears, streams):
        quiet(agent)
    mongo_server.pause()
    call.agent = hears
    call.hangup()
    until("the agent with the stream is told", lambda: streams.logged(
        msg="the call has ended elsewhere: its live figures stop here"))
    until("its question fails", lambda: any(r["part"] == "mongo" for r in hears.get("/readyz").json()["reasons"]))
    assert stream.open
    mongo_server.resume()
    assert stream.closed() == 1000
    until("no live call", lambda: streams.metric("sidetone_calls_live") == 0)
