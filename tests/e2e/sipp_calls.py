"""Calls between two sipp on loopback (Debian's sip-tester), captured by tcpdump: SIP, SDP and RTP that nobody here wrote."""
import os
import re
import signal
import socket
import subprocess

from harness import until

SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]
HEAD = """Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:a@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:b@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
Contact: <sip:a@[local_ip]:[local_port]>
Max-Forwards: 70
"""
SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio %(port)d RTP/AVP %(type)d 101
a=rtpmap:%(type)d %(name)s/8000
a=rtpmap:101 telephone-event/8000
a=ptime:20
"""
NO_BODY = "Content-Length: 0\n"
ANSWER = "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]%s\n[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:b@[local_ip]:[local_port]>\n"


def free_ports(count):
    """Even ports of loopback, each with the next one free too: RTP and its RTCP."""
    found, held = [], []
    while len(found) < count:
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        pair[0].bind(("127.0.0.1", 0))
        port = pair[0].getsockname()[1]
        held += pair
        try:
            if port % 2 == 0:
                pair[1].bind(("127.0.0.1", port + 1))
                found.append(port)
        except OSError:
            pass
    for sock in held:
        sock.close()
    return found


def send(text, **more):
    attributes = "".join(f' {name}="{value}"' for name, value in more.items())
    return f"<send{attributes}><![CDATA[\n{text}\n]]></send>\n"


def play(action, ms):
    return f'<nop><action><exec {action}/></action></nop>\n<pause milliseconds="{ms}"/>\n'


def caller(sdp, action, ms):
    return ('<?xml version="1.0" encoding="us-ascii"?>\n<scenario name="caller">\n' +
            send("INVITE sip:b@[remote_ip]:[remote_port] SIP/2.0\n" + HEAD + "CSeq: 1 INVITE\n" + SDP % sdp, retrans="500") +
            '<recv response="100" optional="true"/>\n<recv response="180" optional="true"/>\n<recv response="200"/>\n' +
            send("ACK sip:b@[remote_ip]:[remote_port] SIP/2.0\n" + HEAD + "CSeq: 1 ACK\n" + NO_BODY) + play(action, ms) +
            send("BYE sip:b@[remote_ip]:[remote_port] SIP/2.0\n" + HEAD + "CSeq: 2 BYE\n" + NO_BODY, retrans="500") +
            '<recv response="200"/>\n</scenario>\n')


def callee(sdp, action):
    return ('<?xml version="1.0" encoding="us-ascii"?>\n<scenario name="callee">\n<recv request="INVITE"/>\n' +
            send(ANSWER % ";tag=[call_number]" + SDP % sdp, retrans="500") + '<recv request="ACK"/>\n' +
            f"<nop><action><exec {action}/></action></nop>\n" + '<recv request="BYE"/>\n' +
            send(ANSWER % "" + NO_BODY) + "</scenario>\n")


def record(folder, actions, ms, payload_type, name):
    """One call; `actions` are what the caller and the callee play. The path of the capture."""
    sip_a, sip_b, rtp_a, rtp_b = free_ports(4)
    path = folder / "call.pcap"
    filters = " or ".join(f"port {port}" for port in (sip_a, sip_b, rtp_a, rtp_b))
    with open(folder / "tcpdump.log", "wb") as log:
        dump = subprocess.Popen([*SUDO, "tcpdump", "-i", "lo", "-n", "-U", "--immediate-mode", "-w", str(path), f"udp and ({filters})"],
                                stdout=log, stderr=log)
    sides = [("callee", callee(dict(port=rtp_b, type=payload_type, name=name), actions[1]), sip_b, rtp_b, []),
             ("caller", caller(dict(port=rtp_a, type=payload_type, name=name), actions[0], ms), sip_a, rtp_a, [f"127.0.0.1:{sip_b}"])]
    running = []
    try:
        until("tcpdump listens", lambda: b"listening on" in (folder / "tcpdump.log").read_bytes())
        for side, scenario, sip, rtp, target in sides:
            (folder / f"{side}.xml").write_text(scenario)
            with open(folder / f"{side}.log", "wb") as log:
                running.append(subprocess.Popen([*SUDO, "sipp", "-sf", f"{side}.xml", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(sip),
                                                 "-mp", str(rtp), "-m", "1", "-nostdin", "-timeout", "60s", *target], cwd=folder, stdout=log,
                                                stderr=log))
            if side == "callee":
                until("sipp is bound", lambda: re.search(rf"^\s*\d+: 0100007F:{sip_b:04X} ", open("/proc/net/udp").read(), re.M))
        for process in reversed(running):
            assert process.wait(60) == 0, "\n".join((folder / f"{side}.log").read_text(errors="replace")[-3000:] for side in ("callee", "caller"))
        until("the end of the call is captured", lambda: path.read_bytes().count(b"CSeq: 2 BYE") >= 2)
    finally:
        for process in [*running, dump]:
            if process.poll() is None:
                subprocess.run([*SUDO, "kill", "-INT", str(process.pid)], check=False)
                process.wait(20)
    return path
