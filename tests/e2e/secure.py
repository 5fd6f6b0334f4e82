"""An agent with a certificate."""
import ssl
import subprocess

from harness import DEADLINE_S, Agent


def make_certificate(folder, name="first", owner="127.0.0.1"):
    """A self-signed one for 127.0.0.1, by openssl: (certificate, key)."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={owner}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
             "-keyout", key, "-out", certificate]
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    return certificate, key


class TlsAgent(Agent):
    """Its public side is https."""

    certificate = None

    def context(self):
        return ssl.create_default_context(cafile=str(self.certificate))

    def post(self, body, headers=None, path="/telnyx/webhooks", **more):
        return self.web.post(f"https://{self.public}{path}", data=body, headers=headers or {}, timeout=DEADLINE_S,
                             verify=str(self.certificate), **more)


def shown_owner(agent):
    """The certificate's common name as a new client sees it."""
    pem = ssl.get_server_certificate(("127.0.0.1", agent.public_port), timeout=DEADLINE_S)
    text = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True)
    return text.stdout.strip().rsplit("= ", 1)[-1]
