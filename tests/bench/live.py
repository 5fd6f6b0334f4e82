"""From the tick to the figure in Redis: 1,000 live calls (known by their webhooks), a tick a second. A subscriber of the
channel compares the clock with `updated_at` of each message. What publishing costs: CPU of the same agent with the
same calls, with and without Redis."""
import contextlib
import json
import time
import uuid

import harness
import services

CALLS = 1000
LISTEN_S = 12
FILL_RATE = 400


def answered(path, signer, count, host, prepare):
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())

    def body(_):
        payload = {"call_control_id": f"v3:{uuid.uuid4()}-live", "from": "+15550100001", "to": "+15550100002", "start_time": at}
        return json.dumps({"data": {"event_type": "call.answered", "id": str(uuid.uuid4()), "occurred_at": at, "payload": payload,
                                    "record_type": "event"}, "meta": {"attempt": 1}}).encode()
    prepare(path, signer, count, host, body)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def listen(server, prefix, seconds):
    """Delays in ms of every message that comes within `seconds`."""
    late = []
    with contextlib.closing(server.client()) as client, contextlib.closing(client.pubsub()) as channel:
        channel.subscribe(prefix + "live")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = channel.get_message(ignore_subscribe_messages=True, timeout=0.2)
            if message and message["type"] == "message":
                late.append(time.time() * 1000 - json.loads(message["data"])["updated_at"])
    return late


def one(folder, signer, play, prepare, redis):
    """(delays in ms, CPU share of a core) with CALLS live calls."""
    home, requests, prefix = folder / f"live-{uuid.uuid4().hex[:8]}", folder / "requests", "{bench}:"
    home.mkdir(parents=True)
    options = [f"redis.url={redis.url}", f"redis.prefix={prefix}"] if redis else []
    agent = harness.Agent(home, "log.level=error", *options, signer=signer).start()
    try:
        answered(requests, signer, CALLS, agent.public, prepare)
        assert play(agent, FILL_RATE, requests)["ok"] == CALLS
        requests.unlink()
        services.until("all calls live", lambda: len(agent.live()) == CALLS, 30)
        before, begin = cpu_s(agent.process.pid), time.monotonic()
        late = listen(redis, prefix, LISTEN_S) if redis else time.sleep(LISTEN_S) or []
        return late, (cpu_s(agent.process.pid) - before) / (time.monotonic() - begin)
    finally:
        agent.finish()


def live(folder, signer, play, prepare):
    with contextlib.ExitStack() as stack:
        redis = services.Redis(folder / "redis")
        stack.callback(redis.stop)
        redis.start()
        late, with_redis = one(folder, signer, play, prepare, redis)
    _, without = one(folder, signer, play, prepare, None)
    assert len(late) > CALLS * (LISTEN_S - 3), f"{len(late)} messages of {CALLS} calls in {LISTEN_S} s"
    at = lambda share: sorted(late)[min(len(late) - 1, int(share * len(late)))]
    print(f"From the tick to the figure at a subscriber, {CALLS:,} live calls, a tick a second, {len(late):,} messages\n")
    print("| p50 ms | p99 ms | longest ms | CPU with Redis | CPU without | share of publishing |")
    print("|---|---|---|---|---|---|")
    print(f"| {at(0.5):.1f} | {at(0.99):.1f} | {at(1):.1f} | {100 * with_redis:.1f} % | {100 * without:.1f} % | "
          f"{100 * (with_redis - without):.1f} % of a core |", flush=True)
