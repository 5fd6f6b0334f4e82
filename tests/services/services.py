"""Real servers for tests: MongoDB, Redis and toxiproxy, on free ports of 127.0.0.1, their data under a folder of the
caller's. A server can be stopped, killed with -9 and started again on the same port and data. Used by the pytest
fixtures, by tests/chaos and by tests/services/run.

MongoDB is, in this order: what MONGODB_URI names (shared servers only: nobody kills it), a `mongod` on the path,
mongo-java-server with our main class (build/services, made by tests/services/build)."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build/services"
DEADLINE_S = 30


class NotBuilt(RuntimeError):
    """A program is missing that `make services` or tests/services/build makes."""


def until(what, look, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.005)


def free_port():
    """Free now. Who binds it later must be ready to find it taken (Server.start tries again)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def answer_of(port, question):
    """What a port says to `question`; b"" if nothing."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as link:
        link.sendall(question)
        return link.recv(4096)
    return b""


class Server:
    """One process on one port. Subclasses say how it is started and when it is ready."""

    def __init__(self, folder, port=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.process = port, None
        self.log_path = self.folder / "log"

    def command(self):
        raise NotImplementedError

    def ready(self):
        raise NotImplementedError

    def start(self):
        """A first start whose free port was taken by somebody else meanwhile gets another one."""
        fixed = self.port is not None
        for _ in range(5):
            self._choose_port()
            self._spawn()
            if until(f"{type(self).__name__} ready", self._ready_or_ended) == "ready":
                return self
            self.process = None
            if fixed:
                break
            self.port = self.bus_port = None
        raise AssertionError(f"{type(self).__name__} ended by itself: {self.log_text()[-2000:]}")

    def _choose_port(self):
        self.port = self.port or free_port()

    def _spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder, start_new_session=True)

    def _ready_or_ended(self):
        if self.process.poll() is not None:
            return "ended"
        return "ready" if self.ready() else None

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        self._end(signal.SIGKILL)

    def stop(self):
        """SIGTERM, and wait for its clean end."""
        self._end(signal.SIGTERM)

    def pause(self):
        """SIGSTOP: it accepts connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def _end(self, number):
        if self.process is None:
            return
        self.process.send_signal(number)
        if number != signal.SIGKILL:
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


# ---- MongoDB


class JavaMongo(Server):
    """mongo-java-server, every command committed before its reply. Wire version 8, no `hello`, no sessions."""

    def command(self):
        if not (BUILT / "jars").is_dir():
            raise NotBuilt("no build/services: run tests/services/build (make services)")
        return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m", "-cp",
                f"{BUILT / 'classes'}:{BUILT / 'jars'}/*", "sidetone.DurableMongo", str(self.folder / "data.h2"),
                str(self.port)]

    def _choose_port(self):
        self.port = self.port or 0

    def _spawn(self):
        self._said = len(self.log_text())
        super()._spawn()

    def ready(self):
        for line in self.log_text()[self._said:].splitlines(True):
            if line.startswith("ready port=") and line.endswith("\n"):
                self.port = int(line.split("=")[1])
                return True
        return False

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.port}"


class Mongod(Server):
    """The real one, where the machine has it."""

    def command(self):
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        return ["mongod", "--bind_ip", "127.0.0.1", "--port", str(self.port), "--dbpath", str(data)]

    def ready(self):
        import pymongo
        client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=200)
        try:
            return bool(client.admin.command("ping"))
        except pymongo.errors.PyMongoError:
            return False
        finally:
            client.close()

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.port}"


class GivenMongo:
    """The one of MONGODB_URI: used, never started or stopped."""

    def __init__(self, uri):
        self.uri = uri

    def start(self):
        return self

    def stop(self):
        pass


def own_mongo(folder, port=None):
    """A MongoDB that a test may break."""
    return (Mongod if shutil.which("mongod") else JavaMongo)(folder, port)


def shared_mongo(folder):
    """A MongoDB that nobody breaks."""
    given = os.environ.get("MONGODB_URI")
    return GivenMongo(given) if given else own_mongo(folder)


# ---- Redis


class Redis(Server):
    """redis-server with any directive: Redis(folder, appendonly="yes", maxmemory_policy="allkeys-lru"). `users` are ACL
    lines ("loader on >secret ~sidetone:* +@all"). By default nothing is written to disk but by snapshot()."""

    def __init__(self, folder, port=None, users=(), **directives):
        super().__init__(folder, port)
        self.users, self.bus_port = list(users), None
        self.directives = {"save": '""', "appendonly": "no", "daemonize": "no", **directives}

    def command(self):
        rows = {"bind": "127.0.0.1", "port": self.port, "dir": self.folder, **self.directives}
        if rows.get("cluster_enabled") == "yes":
            # The default, port + 10000, may be taken or above 65535.
            self.bus_port = self.bus_port or free_port()
            rows["cluster_port"] = self.bus_port
        lines = [f"{name.replace('_', '-')} {value}" for name, value in rows.items()]
        lines += [f"user {user}" for user in self.users]
        path = self.folder / "redis.conf"
        path.write_text("\n".join(lines) + "\n")
        return ["redis-server", str(path)]

    def ready(self):
        """An answer of any kind (also: authenticate first), unless it still reads its data."""
        answer = answer_of(self.port, b"PING\r\n")
        return bool(answer) and b"LOADING" not in answer

    @property
    def password(self):
        return self.directives.get("requirepass")

    @property
    def url(self):
        who = f":{self.password}@" if self.password else ""
        return f"redis://{who}127.0.0.1:{self.port}"

    def client(self, **more):
        import redis
        return redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True, **{"password": self.password, **more})

    def snapshot(self):
        """What is written after this is lost by kill(), unless appendonly is on."""
        with contextlib.closing(self.client()) as client:
            client.save()


class RedisCluster:
    """`nodes` masters without replicas; the 16,384 slots are dealt out evenly, in order. One node is a cluster of a
    single shard."""

    SLOTS = 16384

    def __init__(self, folder, nodes=3, **directives):
        self.nodes = [Redis(Path(folder) / f"node{n}", cluster_enabled="yes", cluster_config_file="nodes.conf",
                            cluster_require_full_coverage="yes", **directives) for n in range(nodes)]

    def start(self):
        for node in self.nodes:
            node.start()
        edges = [self.SLOTS * n // len(self.nodes) for n in range(len(self.nodes) + 1)]
        for n, node in enumerate(self.nodes):
            with contextlib.closing(node.client()) as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", edges[n], edges[n + 1] - 1)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        self._introduce()
        until("cluster_state:ok on every node", self._whole)
        return self

    def _introduce(self):
        with contextlib.closing(self.nodes[0].client()) as client:
            for node in self.nodes[1:]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)

    def _whole(self):
        for node in self.nodes:
            with contextlib.closing(node.client()) as client:
                seen = client.execute_command("CLUSTER", "INFO")
                if isinstance(seen, str):
                    seen = dict(row.split(":") for row in seen.split())
                if seen["cluster_state"] != "ok" or int(seen["cluster_known_nodes"]) != len(self.nodes):
                    return False
        return True

    @property
    def url(self):
        return self.nodes[0].url

    def node_of(self, key):
        """The node that holds the key's slot."""
        with contextlib.closing(self.nodes[0].client()) as client:
            slot = int(client.execute_command("CLUSTER", "KEYSLOT", key))
        return self.nodes[((slot + 1) * len(self.nodes) - 1) // self.SLOTS]

    def stop(self):
        for node in self.nodes:
            node.stop()


# ---- toxiproxy


class Toxiproxy(Server):
    """Links that can be slowed, cut and left half open."""

    def command(self):
        program = BUILT / "toxiproxy"
        if not program.exists():
            raise NotBuilt("no build/services/toxiproxy: run tests/services/build (make services)")
        return [str(program), "-host", "127.0.0.1", "-port", str(self.port)]

    def ready(self):
        return accepts(self.port)

    def api(self, method, path, body=None):
        with requests.Session() as web:
            web.trust_env = False
            answer = web.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, timeout=DEADLINE_S)
        assert answer.status_code < 300, f"toxiproxy: {method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def link(self, name, upstream_port):
        """A new port that leads to upstream_port."""
        made = self.api("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0",
                                             "upstream": f"127.0.0.1:{upstream_port}", "enabled": True})
        return Link(self, name, int(made["listen"].rsplit(":", 1)[1]))


class Link:
    """One proxied port. Every fault stays until mend()."""

    def __init__(self, proxy, name, port):
        self.proxy, self.name, self.port = proxy, name, port

    def _toxic(self, kind, stream, **attributes):
        self.proxy.api("POST", f"/proxies/{self.name}/toxics",
                       {"name": f"{kind}_{stream}", "type": kind, "stream": stream, "attributes": attributes})

    def slow(self, latency_ms, jitter_ms=0):
        """Answers come latency_ms later."""
        self._toxic("latency", "downstream", latency=latency_ms, jitter=jitter_ms)

    def narrow(self, kilobytes_per_s):
        for stream in ("upstream", "downstream"):
            self._toxic("bandwidth", stream, rate=kilobytes_per_s)

    def cut(self):
        """Connections are closed, new ones refused."""
        self.proxy.api("POST", f"/proxies/{self.name}", {"enabled": False})

    def half_open(self, *streams):
        """Nothing passes any more, nothing is closed. One stream only: "upstream" loses questions, "downstream"
        answers."""
        for stream in streams or ("upstream", "downstream"):
            self._toxic("timeout", stream, timeout=0)

    def cut_after(self, count_bytes, stream="downstream"):
        """The connection closes once so many bytes have passed: amid an answer."""
        self._toxic("limit_data", stream, bytes=count_bytes)

    def mend(self):
        for toxic in self.proxy.api("GET", f"/proxies/{self.name}/toxics"):
            self.proxy.api("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self.proxy.api("POST", f"/proxies/{self.name}", {"enabled": True})

    def remove(self):
        self.proxy.api("DELETE", f"/proxies/{self.name}")
