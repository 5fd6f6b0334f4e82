"""Fixtures of the end-to-end tests. `agent` is a fresh one with a key; `make_agent` makes any other kind."""
import pytest

import harness


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
