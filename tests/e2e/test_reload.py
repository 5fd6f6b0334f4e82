"""SIGHUP says what it took and what waits for a restart (contract 2), and calls go on."""
import json
import signal

import pytest
import requests
import websockets

from fake_telnyx import TOKEN_HEADER, Call
from harness import Signer, delivery_of, until
from secure import TlsAgent, make_certificate, shown_owner


def reloaded(agent, times=1):
    return until("the reload", lambda: agent.logged(msg="configuration reloaded")[times - 1:])[0]


def test_sighup_names_what_changed_and_what_needs_a_restart(make_agent, tmp_path):
    old, new = Signer(), Signer()
    config = tmp_path / "sidetone.conf"
    config.write_text(f"[telnyx]\npublic_key = {old.public_key}\n")
    agent = make_agent(config=config)
    config.write_text(f"[agent]\nid = other\n[telnyx]\npublic_key = {new.public_key}\nstream_token = s3cret\n"
                      "[quality]\nplc = yes\n[log]\nnumbers = yes\n")
    agent.signal(signal.SIGHUP)
    line = reloaded(agent)
    assert line["took"] == "telnyx.public_key, telnyx.stream_token, log.numbers"
    assert line["after_restart_only"] == "agent.id, quality.plc"
    agent.signer = new
    Call(agent).initiated()
    # A second time nothing has changed that could be taken; what waits is told again.
    agent.signal(signal.SIGHUP)
    line = reloaded(agent, 2)
    assert "took" not in line and line["after_restart_only"] == "agent.id, quality.plc"
    assert "s3cret" not in agent.log_text() and new.public_key not in agent.log_text()


def test_a_new_stream_token_with_a_call_up(make_agent, tmp_path, signer):
    config = tmp_path / "sidetone.conf"
    config.write_text("[telnyx]\nstream_token = first\n")
    agent = make_agent(config=config, signer=signer)
    call = Call(agent)
    call.initiated()
    stream = call.stream(headers={TOKEN_HEADER: "first"}).start().media(60)
    config.write_text("[telnyx]\nstream_token = second\n")
    agent.signal(signal.SIGHUP)
    assert reloaded(agent)["took"] == "telnyx.stream_token"
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        call.stream(headers={TOKEN_HEADER: "first"})
    assert refused.value.status_code == 401
    assert call.stream().connected(token="first").closed() == 1008
    stream.media(40).end()
    again = call.stream().connected(token="second").start().media(20)
    again.end()
    call.hangup()
    assert delivery_of(agent.complete(call.leg))["received_frames"] == 120


def test_the_admin_token(make_agent, tmp_path):
    config = tmp_path / "sidetone.conf"
    config.write_text("[admin]\ntoken = first\n")
    agent = make_agent(config=config)
    assert agent.get("/metrics", headers={"Authorization": "Bearer first"}).status_code == 200
    config.write_text("[admin]\ntoken = second\n")
    agent.signal(signal.SIGHUP)
    assert reloaded(agent)["took"] == "admin.token"
    assert agent.get("/metrics", headers={"Authorization": "Bearer first"}).status_code == 401
    assert agent.get("/metrics", headers={"Authorization": "Bearer second"}).status_code == 200


def test_a_listener_that_others_reach_keeps_its_token(make_agent, tmp_path):
    """Without one it would not start; the address stays until then, so the token does."""
    config = tmp_path / "sidetone.conf"
    config.write_text("[admin]\ntoken = first\n[listen]\nadmin = 0.0.0.0:0\n")
    agent = make_agent(config=config, admin=None)
    config.write_text("")
    agent.signal(signal.SIGHUP)
    line = reloaded(agent)
    assert line["after_restart_only"] == "listen.admin, admin.token" and "took" not in line
    agent.admin = f"127.0.0.1:{agent.admin_port}"
    assert agent.get("/metrics").status_code == 401
    assert agent.get("/metrics", headers={"Authorization": "Bearer first"}).status_code == 200


def test_opening_what_was_closed_is_said_loudly(make_agent, tmp_path, signer):
    config = tmp_path / "sidetone.conf"
    config.write_text("[telnyx]\ninsecure = yes\nstream_token = first\n")
    agent = make_agent(config=config, signer=signer)
    config.write_text("[telnyx]\ninsecure = yes\n")
    agent.signal(signal.SIGHUP)
    assert reloaded(agent)["took"] == "telnyx.stream_token"
    assert until("the warning", lambda: agent.logged(msg="INSECURE: media is taken without a token, from anywhere"))


def test_certificate_and_key_at_other_paths(tmp_path, signer):
    certificate, key = make_certificate(tmp_path)
    config = tmp_path / "sidetone.conf"

    def configure(certificate, key):
        config.write_text(f"[listen]\ntls_certificate = {certificate}\ntls_private_key = {key}\n")

    configure(certificate, key)
    agent = TlsAgent(tmp_path, config=config, signer=signer)
    agent.certificate = certificate
    agent.start()
    configure(*make_certificate(tmp_path, "second", owner="the second"))
    agent.signal(signal.SIGHUP)
    assert reloaded(agent)["took"] == "listen.tls_certificate, listen.tls_private_key"
    until("the new certificate", lambda: shown_owner(agent) == "the second")
    # What cannot be used is not taken, and told; the next reload starts from what serves.
    configure(tmp_path / "none.pem", key)
    agent.signal(signal.SIGHUP)
    assert reloaded(agent, 2)["after_restart_only"] == "listen.tls_certificate, listen.tls_private_key"
    assert "none.pem" in agent.logged(msg="certificate not reloaded")[0]["why"]
    assert shown_owner(agent) == "the second"
    configure(certificate, key)
    agent.signal(signal.SIGHUP)
    until("the first certificate", lambda: shown_owner(agent) == "127.0.0.1")
    agent.web = requests.Session()
    assert agent.webhook(json.dumps({"data": {}}).encode()).status_code == 400
    agent.finish()
