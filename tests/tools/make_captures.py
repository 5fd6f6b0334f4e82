#!/usr/bin/python3
"""Captures of RTP that was never sent: every packet, loss and delay of them is scripted.

  make_captures.py SEED OUT_FOLDER [NAME...]

The same seed gives the same bytes. tests/e2e/test_captures.py writes them with a seed it prints, and lays our
figures beside tshark's. Only what the standard library has."""
import math
import random
import socket
import struct
import sys
from pathlib import Path

ETHERNET, RAW, COOKED, COOKED2 = 1, 101, 113, 276  # link types of the pcap registry
EPOCH_NS = 1_767_225_600_000_000_000  # 2026-01-01
MS = 1_000_000
RTP_PORTS = list(range(5000, 5100, 2))


# ---- wire formats


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_udp(src, dst, payload, options=b"", extensions=b"", fragment=0, protocol=17):
    """One IP packet; `src` and `dst` are (address, port). Protocol 6 is a segment of TCP."""
    udp = struct.pack(">HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
    if protocol == 6:
        udp = struct.pack(">HHIIBBHHH", src[1], dst[1], 1, 1, 5 << 4, 0x18, 1000, 0, 0) + payload
    if ":" in src[0]:
        chain = 0 if extensions else protocol  # hop-by-hop
        head = struct.pack(">IHBB", 6 << 28, len(extensions) + len(udp), chain, 64)
        return (head + socket.inet_pton(socket.AF_INET6, src[0]) + socket.inet_pton(socket.AF_INET6, dst[0]) +
                extensions + udp)
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(udp), 1, fragment, 64, protocol, 0,
                       socket.inet_aton(src[0]), socket.inet_aton(dst[0])) + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp


def framed(packet, link, vlans=()):
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    if link == RAW:
        return packet
    if link == COOKED:
        return struct.pack(">HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\1\0\0", kind) + packet
    if link == COOKED2:
        return struct.pack(">HHIHBB8s", kind, 0, 1, 1, 0, 6, b"\x02\0\0\0\0\1\0\0") + packet
    tags = b"".join(struct.pack(">HH", 0x88A8 if i + 1 < len(vlans) else 0x8100, vlan) for i, vlan in enumerate(vlans))
    return b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1" + tags + struct.pack(">H", kind) + packet


def rtp(sequence, timestamp, ssrc, payload_type, payload, marker=False, sources=(), extension=None, padding=0):
    first = 0x80 | (0x20 if padding else 0) | (0x10 if extension is not None else 0) | len(sources)
    head = struct.pack(">BBHII", first, (0x80 if marker else 0) | payload_type, sequence & 0xFFFF,
                       timestamp & 0xFFFFFFFF, ssrc)
    head += b"".join(struct.pack(">I", source) for source in sources)
    if extension is not None:
        head += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def event_payload(event, end, duration):
    return struct.pack(">BBH", event, 0x8A if end else 0x0A, min(duration, 0xFFFF))


def ntp_of(ns):
    seconds, rest = divmod(ns, 1_000_000_000)
    return (seconds + 2208988800) << 32 | (rest << 32) // 1_000_000_000


def report_block(about, fraction=0, lost=0, highest=0, jitter=0, lsr=0, dlsr=0):
    return struct.pack(">IIIIII", about, fraction << 24 | lost & 0xFFFFFF, highest, jitter, lsr, dlsr)


def rtcp(kind, count, body):
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(ssrc, ntp, timestamp, packets, octets, *blocks):
    return rtcp(200, len(blocks), struct.pack(">IQIII", ssrc, ntp, timestamp, packets, octets) + b"".join(blocks))


def receiver_report(ssrc, *blocks):
    return rtcp(201, len(blocks), struct.pack(">I", ssrc) + b"".join(blocks))


def description(ssrc):
    return rtcp(202, 1, struct.pack(">I", ssrc) + b"\x01\x04test\0\0")


def goodbye(ssrc):
    return rtcp(203, 1, struct.pack(">I", ssrc))


def voip_metrics(ssrc, about, loss=0, discard=0, round_trip_ms=0, end_system_ms=0, r=93, mos_lq=44, mos_cq=43):
    block = struct.pack(">BBHIBBBBHHHHbbBBBBBBBBHHH", 7, 0, 8, about, loss, discard, 0, 0, 0, 0, round_trip_ms,
                        end_system_ms, -20, -60, 50, 16, r, 127, mos_lq, mos_cq, 0, 0, 40, 80, 120)
    return rtcp(207, 0, struct.pack(">I", ssrc) + block)


def sip_with_sdp(first_line, where, types, ptime=None, profile="RTP/AVP"):
    """`types`: {number: "name/clock"}."""
    family = "IP6" if ":" in where[0] else "IP4"
    lines = ["v=0", f"o=- 1 1 IN {family} {where[0]}", "s=-", f"c=IN {family} {where[0]}", "t=0 0",
             f"m=audio {where[1]} {profile} {' '.join(map(str, types))}"]
    lines += [f"a=rtpmap:{number} {name}" for number, name in types.items()]
    lines += [f"a=ptime:{ptime}"] if ptime else []
    sdp = "\r\n".join(lines) + "\r\n"
    head = [first_line, "Call-ID: 1@test", "CSeq: 1 INVITE", "Content-Type: application/sdp", f"Content-Length: {len(sdp)}"]
    return ("\r\n".join(head) + "\r\n\r\n" + sdp).encode()


# ---- files


class Capture:
    def __init__(self, link=ETHERNET, vlans=(), ng=False, nanoseconds=False, snaplen=65535):
        self.link, self.vlans, self.ng, self.nanoseconds, self.snaplen = link, vlans, ng, nanoseconds, snaplen
        self.packets = []

    def add(self, ns, packet):
        """An IP packet at `ns` from the start."""
        self.packets.append((ns, framed(packet, self.link, self.vlans)))

    def udp(self, ns, src, dst, payload, **more):
        self.add(ns, ip_udp(src, dst, payload, **more))

    def write(self, path):
        self.packets.sort(key=lambda packet: packet[0])
        path.write_bytes(self.pcapng() if self.ng else self.pcap())
        return path

    def pcap(self):
        unit = 1 if self.nanoseconds else 1000
        out = [struct.pack("<IHHiIII", 0xA1B23C4D if self.nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, self.snaplen, self.link)]
        for ns, data in self.packets:
            seconds, rest = divmod(EPOCH_NS + ns, 1_000_000_000)
            kept = data[:self.snaplen]
            out.append(struct.pack("<IIII", seconds, rest // unit, len(kept), len(data)) + kept)
        return b"".join(out)

    def pcapng(self):
        def block(kind, body):
            body += bytes(-len(body) % 4)
            return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))
        resolution = struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0)  # 10^-9 s
        out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
               block(1, struct.pack("<HHI", self.link, 0, self.snaplen) + resolution)]
        for ns, data in self.packets:
            kept, when = data[:self.snaplen], EPOCH_NS + ns
            out.append(block(6, struct.pack("<IIIII", 0, when >> 32, when & 0xFFFFFFFF, len(kept), len(data)) + kept))
        return b"".join(out)


class Sender:
    """One RTP stream. Packets are made with sound(), event(), skip(); what the network does to each is `fate`, which
    takes its index and gives the delays in ns of its copies: [] is lost, two are a duplicate."""

    def __init__(self, capture, src, dst, ssrc, payload_type=0, clock=8000, ptime_ms=20, sequence=1000, timestamp=16000,
                 fate=None, skew_ppm=0.0, start_ns=0, marker=True, **header):
        self.capture, self.src, self.dst, self.ssrc, self.payload_type = capture, src, dst, ssrc, payload_type
        self.clock, self.ptime_ms, self.sequence, self.timestamp = clock, ptime_ms, sequence, timestamp
        self.fate, self.skew_ppm, self.now, self.header = fate or (lambda index: [0]), skew_ppm, float(start_ns), header
        self.payload = bytes([0xFF]) * (clock * ptime_ms // 1000)
        self.index, self.marker = 0, marker

    @property
    def step(self):
        return self.clock * self.ptime_ms // 1000

    def send(self, payload_type, timestamp, payload, marker=False):
        packet = rtp(self.sequence, timestamp, self.ssrc, payload_type, payload, marker, **self.header)
        for delay in self.fate(self.index):
            self.capture.udp(int(self.now + delay), self.src, self.dst, packet)
        self.sequence += 1
        self.index += 1

    def tick(self):
        self.now += self.ptime_ms * MS * (1 + self.skew_ppm / 1e6)

    def sound(self, count):
        for _ in range(count):
            self.send(self.payload_type, self.timestamp, self.payload, self.marker)
            self.marker = False
            self.timestamp += self.step
            self.tick()
        return self

    def event(self, event, packets, event_type=101, ends=3, together=False):
        """A digit of that many packets, no sound meanwhile; the end is sent `ends` times."""
        for i in range(packets):
            self.send(event_type, self.timestamp, event_payload(event, False, self.step * (i + 1)), i == 0)
            self.tick()
        for i in range(ends):
            self.send(event_type, self.timestamp, event_payload(event, True, self.step * (packets + 1)))
            if not together and i + 1 < ends:
                self.tick()
        self.tick()
        self.timestamp += self.step * (packets + (1 if together else ends))
        return self

    def pause(self, ms):
        """No packets; the media clock runs on."""
        self.timestamp += self.clock * ms // 1000
        self.now += ms * MS
        return self


# ---- what the network does


def random_loss(rng, share):
    return lambda index: [] if rng.random() < share else [0]


def gilbert(rng, p, q):
    bad = [False]

    def fate(index):
        bad[0] = rng.random() < p if not bad[0] else rng.random() >= q
        return [] if bad[0] and index > 10 else [0]
    return fate


def jitter(rng, most_ms, base=lambda index: [0]):
    """Even, and never so much that packets overtake each other."""
    return lambda index: [delay + rng.randrange(int(most_ms * MS)) for delay in base(index)]


def reordering(rng, share, by_ms):
    return lambda index: [by_ms * MS if index > 10 and rng.random() < share else 0]


def duplicates(rng, share):
    return lambda index: [0, 2 * MS] if rng.random() < share else [0]


# ---- the captures

A, B = ("192.0.2.10", 5004), ("198.51.100.20", 5006)
A6, B6 = ("2001:db8::10", 5004), ("2001:db8::20", 5006)


def clean(rng):
    c = Capture()
    Sender(c, A, B, 0x11111111, fate=jitter(rng, 3), sources=(7, 8), extension=b"\x10\xAA\0\0").sound(600)
    Sender(c, B, A, 0x22222222, 8, fate=jitter(rng, 5), sequence=rng.randrange(60000), timestamp=rng.randrange(2**31)).sound(600)
    return c


def loss_in_vlans(rng):
    c = Capture(vlans=(100, 200))
    lost, delayed = random_loss(rng, 0.03), jitter(rng, 8)
    Sender(c, A, B, rng.randrange(2**32), fate=lambda i: delayed(i) if i < 5 or lost(i) else []).sound(1500)
    return c


def bursts_cooked(rng):
    c = Capture(COOKED)
    Sender(c, A, B, rng.randrange(2**32), 8, fate=jitter(rng, 4, gilbert(rng, 0.01, 0.3))).sound(1500)
    return c


def reordered_cooked2(rng):
    c = Capture(COOKED2)
    Sender(c, A, B, rng.randrange(2**32), fate=reordering(rng, 0.02, 45)).sound(1000)
    return c


def duplicated_raw(rng):
    c = Capture(RAW, nanoseconds=True)
    Sender(c, A, B, rng.randrange(2**32), fate=duplicates(rng, 0.02)).sound(1000)
    return c


def jitter_ipv6(rng):
    """G.722, whose clock is told as 8 kHz, behind a hop-by-hop header."""
    c = Capture()
    s = Sender(c, A6, B6, rng.randrange(2**32), 9, fate=jitter(rng, 15))
    hop_by_hop = bytes([17, 0, 1, 4, 0, 0, 0, 0])
    plain, c.udp = c.udp, lambda ns, src, dst, payload: plain(ns, src, dst, payload, extensions=hop_by_hop)
    s.sound(1000)
    del c.udp
    return c


def skewed_opus_ng(rng):
    """pcapng in nanoseconds; SDP names the codec; the sender's clock is 150 ppm slow."""
    c = Capture(ng=True)
    c.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060),
          sip_with_sdp("INVITE sip:b@example.net SIP/2.0", A, {111: "opus/48000/2", 101: "telephone-event/8000"}))
    c.udp(MS, ("198.51.100.20", 5060), ("192.0.2.10", 5060),
          sip_with_sdp("SIP/2.0 200 OK", B, {111: "opus/48000/2", 101: "telephone-event/8000"}))
    s = Sender(c, A, B, rng.randrange(2**32), 111, 48000, fate=jitter(rng, 2), skew_ppm=150, start_ns=100 * MS)
    s.payload = b"\x68" + bytes(79)  # hybrid super-wideband, one frame of 20 ms, 32 kbit/s
    s.sound(6000)
    return c


def new_ssrc_and_restart(rng):
    """A second SSRC from the same address; then that one begins its numbers anew."""
    c = Capture()
    Sender(c, A, B, 0xAAAA0001, fate=jitter(rng, 3)).sound(400)
    second = Sender(c, A, B, 0xAAAA0002, fate=jitter(rng, 3), sequence=20000, start_ns=8000 * MS).sound(400)
    second.sequence, second.timestamp = 30000, 7_000_000
    second.sound(400)
    return c


def wraps(rng):
    """Both counters pass their ends, with a loss on the way and jitter."""
    c = Capture(RAW)
    delayed = jitter(rng, 6)
    Sender(c, A, B, rng.randrange(2**32), sequence=65400, timestamp=2**32 - 160 * 150,
           fate=lambda i: [] if i in (100, 101, 300) else delayed(i)).sound(700)
    return c


def pauses(rng):
    """Silence is not sent (DTX): the media clock runs on; comfort noise begins each pause."""
    c = Capture()
    s = Sender(c, A, B, rng.randrange(2**32), fate=jitter(rng, 3))
    for _ in range(6):
        s.sound(120)
        s.send(13, s.timestamp, b"\x40")
        s.timestamp += s.step
        s.tick()
        s.pause(rng.randrange(10, 60) * 20)
        s.marker = True
    return c


def digits_and_reports(rng):
    """RFC 2833 both ways of sending the end, and RTCP with SR, RR, XR, BYE: 40 ms and 20 ms of round trip to either
    side of where the capture was taken."""
    c = Capture()
    types = {0: "PCMU/8000", 101: "telephone-event/8000"}
    c.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060), sip_with_sdp("INVITE sip:b@example.net SIP/2.0", A, types, 20))
    c.udp(MS, ("198.51.100.20", 5060), ("192.0.2.10", 5060), sip_with_sdp("SIP/2.0 200 OK", B, types, 20))
    there = Sender(c, A, B, 0xD1610001, fate=jitter(rng, 2), start_ns=50 * MS)
    there.sound(200).event(1, 5).sound(50).event(11, 6, together=True).sound(300)
    Sender(c, B, A, 0xD1610002, fate=jitter(rng, 2), start_ns=60 * MS).sound(600)
    a, b = (A[0], A[1] + 1), (B[0], B[1] + 1)
    for i in range(3):
        at = (2000 + 3000 * i) * MS
        # Each side's clock is its own: nothing but what is echoed may be used.
        ntp_a, ntp_b = ntp_of(EPOCH_NS + at + 777 * MS), ntp_of(EPOCH_NS + at - 999 * MS)
        c.udp(at, a, b, sender_report(0xD1610001, ntp_a, 1, 100, 16000) + description(0xD1610001))
        hold = 500 * MS
        c.udp(at + hold + 40 * MS, b, a, receiver_report(0xD1610002, report_block(
            0xD1610001, fraction=3, lost=4, highest=1100, jitter=24, lsr=(ntp_a >> 16) & 0xFFFFFFFF,
            dlsr=hold * 65536 // 1_000_000_000)) +
            voip_metrics(0xD1610002, 0xD1610001, loss=5, round_trip_ms=60, end_system_ms=45))
        c.udp(at + 100 * MS, b, a, sender_report(0xD1610002, ntp_b, 1, 90, 14400))
        c.udp(at + 100 * MS + hold + 20 * MS, a, b, receiver_report(0xD1610001, report_block(
            0xD1610002, lsr=(ntp_b >> 16) & 0xFFFFFFFF, dlsr=hold * 65536 // 1_000_000_000)))
    c.udp(11_900 * MS, a, b, receiver_report(0xD1610001) + goodbye(0xD1610001))
    return c


def benign(rng):
    """Loss, jitter, skew, any codec with a static type, any start of the counters; all in order, once, begun once."""
    c = Capture(rng.choice([ETHERNET, RAW, COOKED, COOKED2]), ng=rng.random() < 0.5)
    for ssrc in range(rng.randrange(1, 4)):
        losing = rng.choice([lambda i: [0], random_loss(rng, rng.random() * 0.2), gilbert(rng, 0.02, rng.random() * 0.4 + 0.1)])
        delayed = jitter(rng, rng.choice([1, 5, 18]), losing)
        Sender(c, A, B, ssrc, rng.choice([0, 3, 8, 9, 18]), 8000, rng.choice([20, 30, 40]), rng.randrange(2**16), rng.randrange(2**32),
               fate=lambda i, delayed=delayed: delayed(i) if i > 8 else [0], skew_ppm=rng.randrange(-150, 150)).sound(
                   rng.randrange(100, 2000))
    return c


def anything(rng):
    """Whatever a stream can go through, all at once."""
    c = Capture(RAW, nanoseconds=rng.random() < 0.5)
    lost, twice, late = (rng.random() * 0.1 * (rng.random() < 0.6) for _ in range(3))
    most_ms = rng.choice([0, 1, 15, 60])

    def fate(index):
        if index < 8:
            return [0]
        if rng.random() < lost:
            return []
        delay = rng.randrange(most_ms * MS) if most_ms else 0
        delay += rng.choice([25, 45, 70, 200]) * MS if rng.random() < late else 0
        return [delay, delay + rng.choice([0, 1, 30]) * MS] if rng.random() < twice else [delay]
    s = Sender(c, A, B, rng.randrange(2**32), rng.choice([0, 3, 8, 9, 18]), 8000, 20, rng.randrange(2**16), rng.randrange(2**32),
               fate=fate)
    for _ in range(rng.randrange(1, 10)):
        what = rng.randrange(6)
        s.sound(rng.randrange(10, 200))
        if what == 0:
            s.pause(rng.randrange(2000)).marker = True
        elif what == 1:
            s.send(13, s.timestamp, b"\x40")
            s.timestamp += s.step
            s.tick()
        elif what == 2:
            s.event(rng.randrange(12), rng.randrange(1, 8), together=rng.random() < 0.5)
        elif what == 3:
            s.sequence = rng.randrange(2**16)
        elif what == 4:
            s.timestamp = rng.randrange(2**32)
    s.sound(20)
    if rng.random() < 0.5:
        types = {0: "PCMU/8000", 101: "telephone-event/8000"}
        c.udp(0, ("192.0.2.10", 5060), ("198.51.100.20", 5060), sip_with_sdp("SIP/2.0 200 OK", B, types))
    return c


CAPTURES = {f.__name__: f for f in (clean, loss_in_vlans, bursts_cooked, reordered_cooked2, duplicated_raw, jitter_ipv6,
                                    skewed_opus_ng, new_ssrc_and_restart, wraps, pauses, digits_and_reports, benign,
                                    anything)}


def write(name, seed, folder):
    """A capture by its name; each has random numbers of its own."""
    capture = CAPTURES[name](random.Random(f"{seed}/{name}"))
    return capture.write(Path(folder) / f"{name}.{'pcapng' if capture.ng else 'pcap'}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(CAPTURES):
        sys.exit(f"{__doc__}\nnames: {' '.join(CAPTURES)}")
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[3:] or CAPTURES:
        print(write(wanted, sys.argv[1], sys.argv[2]))
