"""TLS on the public listener (contract 2 and 3): HTTP and media over it, ALPN, versions, mistakes, reload."""
import json
import signal
import socket
import ssl
import subprocess
import warnings

import pytest
import requests
import websockets

from fake_telnyx import TOKEN_HEADER, Call, event, mulaw_tracks
from harness import DEADLINE_S, delivery_of, sidetone, sidetone_of, until
from secure import TlsAgent, make_certificate, shown_owner
from wire import Wire, head


@pytest.fixture
def tls(tmp_path, signer):
    certificate, key = make_certificate(tmp_path)
    agent = TlsAgent(tmp_path, f"listen.tls_certificate={certificate}", f"listen.tls_private_key={key}",
                     "telnyx.stream_token=t0ken", signer=signer)
    agent.certificate = certificate
    yield agent.start()
    agent.finish()


def context(certificate, **more):
    made = ssl.create_default_context(cafile=str(certificate))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def connect(agent, made):
    plain = socket.create_connection(("127.0.0.1", agent.public_port), timeout=DEADLINE_S)
    return made.wrap_socket(plain, server_hostname="127.0.0.1")


def read_all(one):
    out = b""
    while data := one.recv(65536):
        out += data
    return out


# ---- what works without TLS works with it


def test_webhooks(tls):
    call = Call(tls)
    for _ in range(3):  # keep-alive
        call.tell("call.dtmf.received", digit="1")
    assert tls.leg(call.leg)["telnyx"]["callControlId"] == call.leg
    assert tls.post(b"{}").status_code == 401


def test_a_large_body_and_chunks(tls):
    body = json.dumps(event("call.answered", {"call_control_id": "v3:large", "pad": "x" * 1000000})).encode()
    assert tls.webhook(body).status_code == 200
    pieces = (body[i:i + 70000] for i in range(0, len(body), 70000))
    assert tls.post(pieces, tls.signer.headers(body)).status_code == 200
    assert tls.metric("sidetone_webhooks_total", result="duplicate") == 1


def test_media(tls):
    call = Call(tls)
    call.answered()
    stream = call.stream(scheme="wss", ssl=context(tls.certificate), headers={TOKEN_HEADER: "t0ken"}).connected().start()
    sound = mulaw_tracks()
    for i in range(400):
        stream.send(*[stream.frame(sound[track](i), track) for track in sound])
    stream.end()
    call.hangup()
    document = tls.complete(call.leg)
    for track in sound:
        assert (delivery_of(document, track)["received_frames"], delivery_of(document, track)["missing_frames"]) == (400, 0)
    speech = sidetone_of(document)["speech"]
    assert speech["agent"]["talk_ms"] + speech["lead"]["talk_ms"] > 2000


def test_a_refused_media_socket(tls):
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        Call(tls).stream(scheme="wss", ssl=context(tls.certificate), headers={TOKEN_HEADER: "wrong"})
    assert refused.value.status_code == 401


def test_many_frames_in_one_record_and_one_in_many(tls):
    call = Call(tls)
    stream = call.stream(scheme="wss", ssl=context(tls.certificate), headers={TOKEN_HEADER: "t0ken"}).start()
    stream.media(300)
    stream.send(stream.frame(b"\xff" * 60000), stream.frame(b"\xff" * 60000))
    stream.end()
    call.hangup()
    assert delivery_of(tls.complete(call.leg))["received_frames"] == 302


def test_a_byte_a_record(tls):
    with connect(tls, context(tls.certificate)) as one:
        for byte in head("GET", "/telnyx/webhooks", [("Connection", "close")]):
            one.sendall(bytes([byte]))
        assert read_all(one).startswith(b"HTTP/1.1 405 ")


def test_curl(tls):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", str(tls.certificate), "--http2", "-o", "/dev/null",
                           "-w", "%{http_code} %{http_version}", "--max-time", str(DEADLINE_S),
                           f"https://{tls.public}/telnyx/webhooks"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "405 1.1"), done.stderr


# ---- the handshake


@pytest.mark.parametrize("offered", (["h2", "http/1.1"], ["http/1.1"], ["http/1.0", "http/1.1", "h2"]))
def test_alpn_is_http_1_1(tls, offered):
    made = context(tls.certificate)
    made.set_alpn_protocols(offered)
    with connect(tls, made) as one:
        assert one.selected_alpn_protocol() == "http/1.1"


def test_h2_alone_is_never_agreed_to(tls):
    made = context(tls.certificate)
    made.set_alpn_protocols(["h2"])
    try:
        with connect(tls, made) as one:
            assert one.selected_alpn_protocol() is None
    except ssl.SSLError:
        pass  # no_application_protocol is as good


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3))
def test_versions(tls, version):
    with connect(tls, context(tls.certificate, maximum_version=version, minimum_version=version)) as one:
        assert one.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


def test_tls_1_1_is_refused(tls):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    made.options &= ~ssl.OP_NO_TLSv1_1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(tls, made).close()


def test_plain_http_gets_an_end_and_holds_nobody_up(tls):
    with Wire(tls.public) as plain:
        plain.send(head("POST", "/telnyx/webhooks", length=2) + b"{}")
        assert not plain.rest().startswith(b"HTTP/1.1 200")
    with Wire(tls.public) as silent:
        silent.send(b"\x16\x03\x01")  # and waits
        assert tls.webhook(event("call.answered", {"call_control_id": "v3:meanwhile"})).status_code == 200
    assert tls.leg("v3:meanwhile")


def test_clients_that_break_off(tls):
    made = context(tls.certificate)
    for _ in range(5):
        one = connect(tls, made)
        one.sendall(b"POST /telnyx/webhooks HTTP/1.1\r\n")
        one.close()
    for data in (b"", b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x80\x00" * 500):
        with Wire(tls.public) as wire:
            wire.send(data)
    assert tls.webhook(event("call.answered", {"call_control_id": "v3:after"})).status_code == 200


def test_the_admin_side_stays_plain(tls):
    assert tls.get("/livez").status_code == 200


# ---- files


@pytest.mark.parametrize("how", ("no certificate", "no key", "another's key", "text"))
def test_files_that_do_not_do_are_named(tmp_path, how):
    certificate, key = make_certificate(tmp_path)
    _, other = make_certificate(tmp_path, "other")
    (tmp_path / "text").write_text("hello\n")
    certificate = {"no certificate": tmp_path / "none.pem", "text": tmp_path / "text"}.get(how, certificate)
    key = {"no key": tmp_path / "none.key", "another's key": other}.get(how, key)
    named = {"no certificate": "none.pem", "no key": "none.key", "another's key": "other.key", "text": "text"}[how]
    for command in ("check", "serve"):
        done = sidetone(command, "-o", f"store.dir={tmp_path / 'store'}", "-o", "listen.public=127.0.0.1:0", "-o",
                        "listen.admin=127.0.0.1:0", "-o", f"listen.tls_certificate={certificate}", "-o",
                        f"listen.tls_private_key={key}")
        assert done.returncode == 2 and "ready public=" not in done.stderr and done.stdout == ""
        assert named in done.stderr and "listen.tls_certificate" in done.stderr


def test_a_key_of_another_kind(tmp_path):
    certificate, _ = make_certificate(tmp_path)
    key = tmp_path / "ed25519.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    done = sidetone("check", "-o", f"listen.tls_certificate={certificate}", "-o", f"listen.tls_private_key={key}")
    assert done.returncode == 2 and f"{key}: is not the key of {certificate}" in done.stderr


def test_one_file_without_the_other(tmp_path):
    certificate, _ = make_certificate(tmp_path)
    done = sidetone("check", "-o", f"listen.tls_certificate={certificate}")
    assert done.returncode == 2 and "listen.tls_private_key" in done.stderr


def test_sighup_takes_the_new_certificate_and_drops_no_call(tls, tmp_path):
    call = Call(tls)
    stream = call.stream(scheme="wss", ssl=context(tls.certificate), headers={TOKEN_HEADER: "t0ken"}).start().media(60)
    assert shown_owner(tls) == "127.0.0.1"
    make_certificate(tmp_path, owner="the new one")  # in the same files
    tls.signal(signal.SIGHUP)
    until("the new certificate", lambda: shown_owner(tls) == "the new one")
    stream.media(40).end()
    tls.web = requests.Session()
    call.hangup()
    assert delivery_of(tls.complete(call.leg))["received_frames"] == 100


def test_sighup_with_a_bad_certificate_keeps_the_old(tls):
    tls.certificate.write_text("not a certificate\n")
    tls.signal(signal.SIGHUP)
    line = until("the refusal", lambda: tls.logged(level="error", msg="certificate not reloaded"))[0]
    assert str(tls.certificate) in line["why"]
    assert shown_owner(tls) == "127.0.0.1"
