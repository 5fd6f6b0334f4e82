"""SIGHUP says what it took and what waits for a restart (contract 2)."""
import signal

from fake_telnyx import Call
from harness import Signer, until


def test_sighup_names_what_changed_and_what_needs_a_restart(make_agent, tmp_path):
    old, new = Signer(), Signer()
    config = tmp_path / "sidetone.conf"
    config.write_text(f"[telnyx]\npublic_key = {old.public_key}\n")
    agent = make_agent(config=config)
    config.write_text(f"[telnyx]\npublic_key = {new.public_key}\nstream_token = s3cret\n[quality]\nplc = yes\n"
                      "[log]\nnumbers = yes\n")
    agent.signal(signal.SIGHUP)
    line = until("the reload", lambda: agent.logged(msg="configuration reloaded"))[0]
    assert line["took"] == "telnyx.public_key, log.numbers"
    assert line["after_restart_only"] == "telnyx.stream_token, quality.plc"
    agent.signer = new
    Call(agent).initiated()
    # A second time nothing has changed that could be taken; what waits is told again.
    agent.signal(signal.SIGHUP)
    line = until("the second reload", lambda: agent.logged(msg="configuration reloaded")[1:])[0]
    assert "took" not in line and line["after_restart_only"] == "telnyx.stream_token, quality.plc"
    assert "s3cret" not in agent.log_text() and new.public_key not in agent.log_text()
