"""The servers of a chaos run, its agents, the links between them, and everything that can be done to those.

MongoDB and two Redis (one keeps a snapshot only, one an append-only file) live through the whole run, with their data.
A group is some rounds that share a database, a prefix and one to three agents; the next group gets fresh ones."""
import contextlib
import secrets
import threading
import time
from collections import Counter

import paths  # noqa: F401
import harness
import services

# Short ones: a fault lasts well below a second, and a worker that waits out a half-open link is time of the round.
TIMEOUTS = ("mongo.server_selection_ms=500", "mongo.socket_ms=700", "redis.timeout_ms=300", "mongo.interim_s=1",
            "redis.live_interval_ms=200")


class Servers:
    def __init__(self, folder):
        self.mongo = services.own_mongo(folder / "mongo")
        self.redis = {"snapshot": services.Redis(folder / "redis-snapshot"),
                      "appendonly": services.Redis(folder / "redis-appendonly", appendonly="yes")}
        self.toxiproxy = services.Toxiproxy(folder / "toxiproxy")

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            for server in (self.mongo, *self.redis.values(), self.toxiproxy):
                stack.callback(server.stop)
                server.start()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()


class Group:
    """Agents with a database and a prefix of their own."""

    def __init__(self, servers, folder, number, agents=None):
        self.servers, self.folder = servers, folder
        # Five groups, which is what 25 rounds have, see every number of agents, and both kinds of Redis.
        self.count = agents or (3, 2, 1, 2)[number % 4]
        self.redis_kind = ("snapshot", "appendonly")[(number + number // 8) % 2]
        self.redis, self.mongo = servers.redis[self.redis_kind], servers.mongo
        self.name = f"chaos_{secrets.token_hex(4)}"
        self.prefix = f"{{{self.name}}}:"
        self.signer = harness.Signer()
        self.agents, self.links = [], []
        self.locks, self.over = {}, False
        self.done = Counter()
        self.killed_at = {}  # agent number: monotonic time of its newest end

    def __enter__(self):
        for n in range(self.count):
            self.links.append({name: self.servers.toxiproxy.link(f"{self.name}-{n}-{name}", server.port)
                               for name, server in (("mongo", self.mongo), ("redis", self.redis))})
            home = self.folder / f"agent{n}"
            home.mkdir(parents=True)
            self.agents.append(harness.Agent(home, *self.options(n), signer=self.signer).start())
        return self

    def options(self, n):
        links = self.links[n]
        return (f"agent.id={self.agent_id(n)}", f"mongo.uri=mongodb://127.0.0.1:{links['mongo'].port}",
                f"mongo.database={self.name}", f"redis.url=redis://127.0.0.1:{links['redis'].port}",
                f"redis.prefix={self.prefix}", "log.level=debug", *TIMEOUTS)

    def agent_id(self, n):
        return f"chaos{n}"

    def __exit__(self, *_):
        # A fault under way ends first: it would start again what is ended here.
        self.over = True
        for lock in list(self.locks.values()):
            lock.acquire()
        for lock in self.locks.values():
            lock.release()
        for agent in self.agents:
            if agent.alive:
                agent.kill()
        for links in self.links:
            for link in links.values():
                link.remove()

    def forget(self):
        """Its data in the servers that go on."""
        with contextlib.closing(self.mongo_client()) as client:
            client.drop_database(self.name)
        with contextlib.closing(self.redis.client()) as client:
            for key in client.scan_iter(match=f"{{{self.name}}}*", count=1000):
                client.delete(key)

    def mongo_client(self):
        import pymongo
        return pymongo.MongoClient(self.mongo.uri, serverSelectionTimeoutMS=10000, tz_aware=True)

    def stop_agents(self):
        for agent in self.agents:
            agent.stop(within_s=harness.DEADLINE_S)

    # ---- faults

    def fault(self, fault, sleep=time.sleep):
        """One fault from beginning to end. Two on the same thing come one after the other."""
        key, act = self._action(fault)
        with self.locks.setdefault(key, threading.Lock()):
            if self.over:
                return
            self.done[f"{fault.what} {fault.on if fault.on != 'link' else key[1] + ' link'}"] += 1
            act(lambda: sleep(fault.length_s))

    def _action(self, fault):
        if fault.on == "agent":
            n = fault.which % self.count
            return ("agent", n), lambda wait: self._agent_down(n, fault.what, wait)
        if fault.on == "link":
            n, name = fault.which % self.count, ("mongo", "redis")[fault.which // 3 % 2]
            return ("link", name, n), lambda wait: self._link_broken(self.links[n][name], fault.what, wait)
        server = {"redis": self.redis, "mongo": self.mongo}[fault.on]
        return (fault.on,), lambda wait: self._server_down(server, fault.what, wait)

    def _agent_down(self, n, what, wait):
        agent = self.agents[n]
        if what == "kill":
            agent.kill()
        else:
            agent.stop(within_s=harness.DEADLINE_S)
        self.killed_at[n] = time.monotonic()
        wait()
        agent.start()

    @staticmethod
    def _server_down(server, what, wait):
        if what == "snapshot":
            server.snapshot()
            return
        getattr(server, what)()
        wait()
        server.resume() if what == "pause" else server.start()

    @staticmethod
    def _link_broken(link, what, wait):
        {"cut": link.cut, "half_open": link.half_open, "lose_answers": lambda: link.half_open("downstream"),
         "cut_amid": lambda: link.cut_after(400), "slow": lambda: link.slow(100, 80)}[what]()
        wait()
        link.mend()

    # ---- rest

    def sinks(self):
        """{(agent, sink, state): rows} of every agent's outbox."""
        rows = {}
        for n, agent in enumerate(self.agents):
            for name, value in agent.metrics().items():
                if name.startswith("sidetone_outbox_rows{"):
                    labels = dict(part.split("=") for part in name[len("sidetone_outbox_rows{"):-1].split(","))
                    rows[n, labels["sink"].strip('"'), labels["state"].strip('"')] = int(value)
        return rows

    def pending(self):
        rows = self.sinks()
        assert rows, "no sidetone_outbox_rows in /metrics"
        return {key: value for key, value in rows.items() if key[2] == "pending" and value}

    def settled(self, deadline_s):
        """Every outbox is empty: as far as the agents know all is delivered. Seconds it took."""
        begin = time.monotonic()
        services.until("empty outboxes", lambda: not self.pending(), deadline_s)
        return time.monotonic() - begin


