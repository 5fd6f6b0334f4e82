"""Fixtures of the end-to-end tests. `agent` is a fresh one with a key; `make_agent` makes any other kind.
`mongo` and `redis` are servers of the session with a name of this test's own in them; `mongo_server`, `redis_server`
and `toxiproxy` are this test's to break."""
import contextlib
import secrets
import sys
from pathlib import Path
from types import SimpleNamespace

import pymongo
import pytest

import harness

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "services"))
import services  # noqa: E402


def pytest_configure(config):
    if not harness.BINARY.exists():
        raise pytest.UsageError(f"there is no {harness.BINARY}: run make first, or set SIDETONE")


@pytest.fixture
def signer():
    return harness.Signer()


@pytest.fixture
def make_agent(tmp_path):
    """make_agent(*options, signer=…): started here, stopped and looked at when the test ends."""
    made = []

    def make(*options, **more):
        home = tmp_path / f"agent{len(made) + 1}"
        home.mkdir()
        agent = harness.Agent(home, *options, **more)
        made.append(agent)
        return agent.start()

    yield make
    faults = []
    for agent in made:
        try:
            agent.finish()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def agent(make_agent, signer):
    return make_agent(signer=signer)


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory):
    """One agent for tests that do not mind each other's calls."""
    one = harness.Agent(tmp_path_factory.mktemp("agent"), signer=harness.Signer()).start()
    yield one
    one.finish()


# ---- real servers


@contextlib.contextmanager
def running(server):
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def session_mongo(tmp_path_factory):
    with running(services.shared_mongo(tmp_path_factory.mktemp("mongo"))) as server:
        yield server


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory):
    with running(services.Redis(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def mongo(session_mongo):
    """.uri, .database (a name nobody else uses), .client and .db of pymongo."""
    name = f"sidetone_{secrets.token_hex(6)}"
    with contextlib.closing(pymongo.MongoClient(session_mongo.uri)) as client:
        yield SimpleNamespace(uri=session_mongo.uri, database=name, client=client, db=client[name])
        client.drop_database(name)


@pytest.fixture
def redis(session_redis):
    """.url, .prefix (nobody else uses it), .client of redis-py."""
    prefix = f"sidetone-{secrets.token_hex(6)}:"
    with contextlib.closing(session_redis.client()) as client:
        yield SimpleNamespace(url=session_redis.url, prefix=prefix, client=client)


@pytest.fixture
def mongo_server(tmp_path):
    """One that the test may kill(), stop(), pause() and start() again on the same port and data."""
    with running(services.own_mongo(tmp_path / "mongo")) as server:
        yield server


@pytest.fixture
def make_redis(tmp_path):
    """make_redis(**directives): services.Redis, started; make_redis(nodes=3): a cluster."""
    with contextlib.ExitStack() as made:
        count = iter(range(100))

        def make(nodes=0, **directives):
            folder = tmp_path / f"redis{next(count)}"
            server = services.RedisCluster(folder, nodes, **directives) if nodes else services.Redis(folder, **directives)
            return made.enter_context(running(server))

        yield make


@pytest.fixture
def redis_server(make_redis):
    return make_redis()


@pytest.fixture
def toxiproxy(tmp_path):
    """.link(name, port): a port in front of another one, to slow, cut and leave half open."""
    with running(services.Toxiproxy(tmp_path / "toxiproxy")) as server:
        yield server
