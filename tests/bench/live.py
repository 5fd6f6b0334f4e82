"""From the tick to the figure in Redis: 1,000 live calls, a tick a second. First calls known by their webhooks alone, then
calls that carry media besides (load_media). A subscriber of the channel compares the clock with `updated_at` of each
message. What publishing costs: CPU of the same agent with the same calls, with and without Redis.

LIVE_LOADS, CALLSxTRACKSxMS of a packet, several separated by blanks, runs others (0 tracks: webhooks alone);
LIVE_SECONDS is how long each is watched."""
import bisect
import collections
import contextlib
import itertools
import json
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path

import harness
import services

BENCH = harness.ROOT / "build/bench"
WAV = harness.FIXTURES / "demo/call.wav"
LISTEN_S = int(os.environ.get("LIVE_SECONDS", "12"))
FILL_RATE = 400
Load = collections.namedtuple("Load", "calls tracks ptime_ms")
# One track is what Telnyx sends unless it is asked for both (stream_track: inbound_track).
LOADS = [Load(*(int(n) for n in word.split("x"))) for word in os.environ.get("LIVE_LOADS", "1000x0x20 1000x2x20 1000x1x20").split()]
WARM_S, RAMP_S, MARGIN_S = 3, 2, 3  # RAMP_S as in load_media.c
CHANNEL = "live"


def share(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def answered(path, signer, legs, host, prepare):
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())

    def body(number):
        payload = {"call_control_id": legs[number], "from": "+15550100001", "to": "+15550100002", "start_time": at}
        return json.dumps({"data": {"event_type": "call.answered", "id": str(uuid.uuid4()), "occurred_at": at, "payload": payload,
                                    "record_type": "event"}, "meta": {"attempt": 1}}).encode()
    prepare(path, signer, len(legs), host, body)


# ---- what a process took


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def without_core_s(pid):
    """Seconds that the loop was ready to run and had no core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


# ---- the subscriber


class Subscriber:
    """Notes when bytes come and looks into them later: so it is no load, and its clock is not that of a parser."""

    def __init__(self, server, prefix):
        self.link = socket.create_connection(("127.0.0.1", server.port))
        self.link.settimeout(0.2)
        self.link.sendall(f"SUBSCRIBE {prefix}{CHANNEL}\r\n".encode())
        self.pieces, self.came_ms = [], []

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                self.pieces.append(self.link.recv(1 << 20))
                self.came_ms.append(time.time() * 1000)
                assert self.pieces[-1], "Redis closed the connection"
        self.link.close()

    def rows(self):
        """(moment at which its last byte came, ms; the message)"""
        ends, at = list(itertools.accumulate(len(piece) for piece in self.pieces)), 0
        for line in b"".join(self.pieces).split(b"\r\n"):
            at += len(line) + 2
            if line.startswith(b"{") and line.endswith(b"}") and at <= ends[-1]:
                yield self.came_ms[bisect.bisect_left(ends, at - 2)], json.loads(line)


def delays(subscriber):
    """ms from `updated_at` to the clock, of each message; and from the row before of the same call to the clock: no frame
    that the message is the first to tell of has come earlier."""
    late, from_frame, last = [], [], {}
    for came_ms, row in subscriber.rows():
        late.append(came_ms - row["updated_at"])
        name = row["callLogId"]
        if name in last:
            from_frame.append(came_ms - last[name])
        last[name] = row["updated_at"]
    return late, from_frame


# ---- the media


class Media:
    """load_media beside the agent."""

    def __init__(self, folder, agent, legs, load):
        self.agent, self.load = agent, load
        path = folder / "legs"
        path.write_text("".join(leg + "\n" for leg in legs), encoding="ascii")
        host, port = agent.public.rsplit(":", 1)
        seconds = RAMP_S + WARM_S + LISTEN_S + MARGIN_S
        self.process = subprocess.Popen([str(BENCH / "load_media"), host, port, str(seconds), str(load.ptime_ms), str(load.tracks),
                                         str(WAV), str(path)], stdout=subprocess.PIPE, text=True)

    def warm(self):
        """Every call has a socket, and on average WARM_S of sound."""
        frames = int(self.a_second() * WARM_S)
        services.until("every call streams", lambda: self._alive() and self.agent.metric("sidetone_streams_open") == self.load.calls
                       and frames_of(self.agent) > frames, 60)

    def a_second(self):
        return self.load.calls * self.load.tracks * 1000 / self.load.ptime_ms

    def _alive(self):
        assert self.process.poll() is None, f"load_media ended with {self.process.returncode}"
        return True

    def end(self):
        """What it says of itself, and what the agent made of the frames."""
        text, _ = self.process.communicate(timeout=120 + LISTEN_S)
        assert self.process.returncode == 0, text
        services.until("every stream has ended", lambda: self.agent.metric("sidetone_streams_open") == 0)
        seen = {key: float(value) for key, value in (word.split("=") for word in text.split())}
        return {**seen, "frames": results_of(self.agent), "missing": self.agent.metric("sidetone_media_frames_missing_total")}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def results_of(agent):
    """{"ok": frames, …} without the zeros"""
    head = 'sidetone_media_frames_total{result="'
    return {name[len(head):-2]: count for name, count in agent.metrics().items() if name.startswith(head) and count}


def frames_of(agent):
    return sum(results_of(agent).values())


# ---- one run


def watch(agent, redis, prefix):
    """LISTEN_S of an agent with its calls: delays, and what everybody took, in shares of a core."""
    subscriber = Subscriber(redis, prefix) if redis else None
    pids = {"agent": agent.process.pid, **({"redis": redis.process.pid} if redis else {})}
    frames, starved = frames_of(agent), without_core_s(agent.process.pid)
    used, own, begin = {who: cpu_s(pid) for who, pid in pids.items()}, time.process_time(), time.monotonic()
    if subscriber:
        subscriber.listen(LISTEN_S)
    else:
        time.sleep(LISTEN_S)  # the measured time itself
    took = time.monotonic() - begin
    seen = {who: (cpu_s(pid) - used[who]) / took for who, pid in pids.items()}
    seen.update(subscriber=(time.process_time() - own) / took, starved_s=without_core_s(agent.process.pid) - starved,
                frames_a_s=(frames_of(agent) - frames) / took)
    if subscriber:
        seen["late_ms"], seen["from_frame_ms"] = delays(subscriber)
    return seen


def one(folder, signer, play, prepare, redis, load):
    home, prefix = folder / f"live-{uuid.uuid4().hex[:8]}", "{bench}:"
    home.mkdir(parents=True)
    options = [f"redis.url={redis.url}", f"redis.prefix={prefix}"] if redis else []
    legs = [f"v3:{uuid.uuid4()}-live" for _ in range(load.calls)]
    agent = harness.Agent(home, "log.level=error", *options, signer=signer).start()
    with contextlib.ExitStack() as stack:
        stack.callback(agent.finish)
        answered(home / "requests", signer, legs, agent.public, prepare)
        assert play(agent, FILL_RATE, home / "requests")["ok"] == load.calls
        services.until("all calls live", lambda: len(agent.live()) == load.calls, 30)
        if load.tracks == 0:
            return watch(agent, redis, prefix)
        media = Media(home, agent, legs, load)
        stack.callback(media.kill)
        media.warm()
        seen = watch(agent, redis, prefix)
        return {**seen, "media": {**media.end(), "a_second": media.a_second()}}


# ---- the report


def percent(part):
    return f"{100 * part:.1f} %"


def kept_up(load, seen):
    """The agent took the media as fast as it came, and rows came out at their beat."""
    media = seen.get("media")
    if media and (media["skipped"] or media["cut"] or media["behind_s"] > 1 or seen["frames_a_s"] < 0.98 * media["a_second"]):
        return False
    return "late_ms" not in seen or len(seen["late_ms"]) > load.calls * (LISTEN_S - 1)


def say_media(what, load, seen):
    media = seen["media"]
    results = ", ".join(f"{count:,.0f} {name}" for name, count in media["frames"].items())
    print(f"\n{what}, {'kept up' if kept_up(load, seen) else 'DID NOT KEEP UP'}: {percent(seen['frames_a_s'] / media['a_second'])} of the "
          f"frames as they came, the last {media['behind_s']:.1f} s behind; {media['sent']:,.0f} sent, {media['skipped']:,.0f} skipped, "
          f"{media['cut']:.0f} calls cut; the agent counted {results}, missed {media['missing']:,.0f}; "
          f"{seen['agent'] * 1e6 / seen['frames_a_s']:.1f} µs of CPU a frame. load_media: {percent(media['cpu_s'] / media['seconds'])} of a "
          f"core, its frames {media['late_p99_ms']:.1f} ms late at p99, {media['late_max_ms']:.1f} at most")


def report(load, with_redis, without):
    late, from_frame = with_redis["late_ms"], with_redis["from_frame_ms"]
    fair = kept_up(load, with_redis) and kept_up(load, without)
    publishing = percent(with_redis["agent"] - without["agent"]) + " of a core" if fair else "not known"
    what = f"media on {load.tracks} track(s), frames of {load.ptime_ms} ms" if load.tracks else "known by webhooks"
    print(f"\n**{load.calls:,} live calls, {what}**, a tick a second, {LISTEN_S} s, {len(late):,} messages, "
          f"load average {os.getloadavg()[0]:.1f}\n")
    print("| p50 ms | p99 ms | longest ms | from the frame, at most: p99 ms | CPU with Redis | CPU without | share of publishing "
          "| redis-server | subscriber | loop without a core, s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print(f"| {share(late, 0.5):.1f} | {share(late, 0.99):.1f} | {share(late, 1):.1f} | {share(from_frame, 0.99):,.0f} | "
          f"{percent(with_redis['agent'])} | {percent(without['agent'])} | {publishing} | {percent(with_redis['redis'])} | "
          f"{percent(with_redis['subscriber'])} | {with_redis['starved_s']:.2f} |", flush=True)
    for who, seen in (("With Redis", with_redis), ("Without", without)):
        if "media" in seen:
            say_media(who, load, seen)


def live(folder, signer, play, prepare):
    print("From the tick (`updated_at`) to the figure at a subscriber")
    for load in LOADS:
        with contextlib.ExitStack() as stack:
            redis = services.Redis(folder / f"redis-{uuid.uuid4().hex[:8]}")
            stack.callback(redis.stop)
            redis.start()
            with_redis = one(folder, signer, play, prepare, redis, load)
        without = one(folder, signer, play, prepare, None, load)
        report(load, with_redis, without)
        assert load.tracks or kept_up(load, with_redis), f"{len(with_redis['late_ms'])} messages in {LISTEN_S} s"
