"""What is wrong between us and a Redis, in words (contract 1, `check --connect`), and the least that an ACL user needs."""
import socket
import subprocess
import threading

import pytest

import harness
from fake_telnyx import Call
from harness import ROOT, until
from redis_tools import Queue, queued_legs

TOOL = harness.BINARY.parent / "tools" / "redis_check"

# The line that docs/servers.md gives, without `select`, which only a database other than 0 takes.
RECIPE = next(line.split() for line in (ROOT / "docs/servers.md").read_text().splitlines()
              if line.strip().startswith("ACL SETUSER sidetone "))
COMMANDS = [word[1:] for word in RECIPE if word[0] == "+" and word != "+select"]
KEYS, CHANNELS = (next(word for word in RECIPE if word[0] == sign) for sign in "~&")


def user(commands=COMMANDS, keys=KEYS, channels=CHANNELS):
    return f"agent on >secret resetchannels {channels} {keys} -@all " + " ".join("+" + c for c in commands)


def acl_url(server):
    return f"redis://agent:secret@127.0.0.1:{server.port}"


def check(url, prefix="sidetone:", timeout_ms=10000):
    done = subprocess.run([str(TOOL), url, prefix, str(timeout_ms)], capture_output=True, text=True, timeout=60, check=False)
    harness.assert_no_sanitizer(done.stderr)
    assert "secret" not in done.stdout
    return done.returncode, done.stdout.splitlines()


def test_all_is_well(make_redis):
    server = make_redis()
    assert check(server.url) == (0, ["redis: fine"])
    assert server.client().keys("*") == []  # it looked, and left nothing


def test_nobody_there():
    status, [line] = check("redis://127.0.0.1:1")
    assert status == 1 and "refused" in line and "127.0.0.1 port 1" in line


def test_no_such_host():
    status, [line] = check("redis://nowhere.invalid")
    assert status == 1 and "nowhere.invalid" in line


def test_no_answer(redis_server):
    redis_server.pause()
    try:
        status, [line] = check(redis_server.url, timeout_ms=200)
        assert status == 1 and "no answer in time" in line
    finally:
        redis_server.resume()


def test_passwords(make_redis):
    server = make_redis(requirepass="secret")
    assert check(f"redis://:secret@127.0.0.1:{server.port}") == (0, ["redis: fine"])
    status, [line] = check(f"redis://:secretive@127.0.0.1:{server.port}")
    assert status == 1 and f"127.0.0.1 port {server.port}: WRONGPASS" in line
    status, [line] = check(f"redis://127.0.0.1:{server.port}")
    assert status == 1 and f"127.0.0.1 port {server.port}: NOAUTH" in line


def test_another_server_than_redis():
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]

        def answer():
            link, _ = door.accept()
            with link:
                link.recv(65536)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        status, [line] = check(f"redis://127.0.0.1:{port}")
        thread.join()
    assert status == 1 and f"127.0.0.1 port {port}" in line and "no Redis" in line


def test_tls_is_refused_in_words_where_it_is_missing():
    status, [line] = check("rediss://127.0.0.1:1")
    assert status == 1 and ("stunnel" in line or "refused" in line)


@pytest.mark.parametrize("policy, status", [("noeviction", 0), ("volatile-ttl", 0), ("allkeys-lfu", 1), ("allkeys-random", 1)])
def test_eviction_policy(make_redis, policy, status):
    got, lines = check(make_redis(maxmemory_policy=policy).url)
    assert got == status
    assert (policy in lines[0]) == (status == 1)


def test_a_replica(make_redis):
    main, replica = make_redis(), make_redis()
    replica.client().replicaof("127.0.0.1", main.port)
    until("a replica", lambda: replica.client().info("replication").get("master_link_status") == "up")
    status, lines = check(replica.url)
    assert status == 1 and any("replica" in line for line in lines)


def test_no_memory(make_redis):
    status, lines = check(make_redis(maxmemory="1mb", maxmemory_policy="noeviction").url)
    assert status == 1 and len(lines) == 1 and "OOM" in lines[0]


def test_clusters(make_redis):
    cluster = make_redis(nodes=3)
    for node in cluster.nodes:
        assert check(node.url, "{sidetone}:") == (0, ["redis: fine"])
    status, lines = check(cluster.url, "sidetone:")
    assert status == 1 and "{sidetone}:" in lines[0]


# ---- ACL users


def test_the_least_that_a_user_needs(make_redis, make_agent, signer):
    server = make_redis(users=[user()])
    assert check(acl_url(server)) == (0, ["redis: fine"])
    client = server.client()
    with Queue(acl_url(server)) as queue:
        queue.looked(0)
        queue.add([1, 2])
        stats = queue.stats()
        assert stats["trouble"] == "" and stats["added"] == 2
    assert queued_legs(client) == ["leg1", "leg2"]
    agent = make_agent(f"redis.url={acl_url(server)}", signer=signer)
    call = Call(agent)
    call.initiated()
    until("a hash", lambda: client.hgetall(f"sidetone:call:{call.id}"))
    call.hangup()
    until("gone", lambda: client.get(f"sidetone:ended:{call.id}") and not client.exists(f"sidetone:call:{call.id}"))
    until("swept", lambda: client.zcard("sidetone:calls") == 0)
    assert agent.get("/readyz").json()["status"] == "ready"
    log = client.acl_log()
    assert not log, log


@pytest.mark.parametrize("missing", [c for c in COMMANDS if c != "client|setname"])
def test_each_missing_command_is_named(make_redis, missing):
    server = make_redis(users=[user([c for c in COMMANDS if c != missing])])
    status, lines = check(acl_url(server))
    assert status == 1
    assert any(missing.upper().replace("|", " ") in line.upper().replace("|", " ") for line in lines), lines


def test_a_missing_name_is_forgiven(make_redis):
    assert check(acl_url(make_redis(users=[user([c for c in COMMANDS if c != "client|setname"])])))[0] == 0


def test_keys_and_channels(make_redis):
    server = make_redis(users=[user(keys="~sidetone:call*")])
    status, lines = check(acl_url(server))
    assert status == 1 and any("sidetone:outbox" in line for line in lines)
    assert not any("XADD on sidetone:calllogs" in line for line in lines)
    server = make_redis(users=[user(channels="&other")])
    status, [line] = check(acl_url(server))
    assert status == 1 and "PUBLISH on sidetone:live" in line
