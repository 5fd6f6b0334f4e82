"""What a round will do, drawn from its seed alone: legs with their webhooks and sockets, and what breaks when.

Times are seconds from the start of the round's load. Which agent gets what is drawn too, as a number that the load
takes modulo the agents there are."""
import copy
from dataclasses import dataclass, field

import paths  # noqa: F401
import random_legs

LOAD_S = (0.6, 1.4)
KINDS = ("call.answered", "call.answered", "call.bridged", "call.hold", "call.unhold", "call.dtmf.received",
         "call.machine.detection.ended", "call.recording.saved", "streaming.failed", "call.transcription", "call.cost",
         "call.payment.progress", "call.speak.started", "call.news")
# (what, on which of, weight, its longest time): a kill -9 in most rounds.
FAULTS = (("kill", "agent", 8, 0.4), ("kill", "redis", 5, 0.4), ("kill", "mongo", 4, 0.3), ("stop", "agent", 1, 0.3),
          ("pause", "redis", 1, 0.6), ("pause", "mongo", 1, 0.6), ("cut", "link", 3, 0.6), ("half_open", "link", 3, 0.6),
          ("lose_answers", "link", 3, 0.5), ("cut_amid", "link", 3, 0.5), ("slow", "link", 2, 0.6), ("snapshot", "redis", 1, 0))


@dataclass
class Delivery:
    """One webhook on its way. `tries`: 0 is until somebody answers 200; n: after n tries Telnyx gives up."""
    at_s: float
    agent: int
    body: dict
    tries: int


@dataclass
class Socket:
    at_s: float
    agent: int
    frames: int
    length_s: float
    end: str  # closed, dropped


@dataclass
class Leg:
    name: str
    deliveries: list = field(default_factory=list)
    sockets: list = field(default_factory=list)


@dataclass
class Fault:
    at_s: float
    length_s: float
    what: str
    on: str
    which: int


@dataclass
class Plan:
    load_s: float
    legs: list
    faults: list


def _webhooks(rng, leg, number, now_ms):
    kinds = ["call.initiated"] * rng.choice((0, 1, 1, 1)) + ["call.hangup"] * rng.choice((0, 1, 1, 1, 1, 1, 2))
    kinds += [rng.choice(KINDS) for _ in range(rng.randrange(8))] or ["call.answered"]
    # On a coarse grid: many are equal, and the order of occurring is none of the orders of arrival.
    return [random_legs.body(rng, leg, number, kind, now_ms - 1000 * rng.randrange(1, 9) + rng.choice((0, 3, 250)))
            for kind in kinds]


def _again(rng, body):
    """As Telnyx repeats it; at times under another id, as from the failover address."""
    body = copy.deepcopy(body)
    body["meta"]["attempt"] = 2
    if rng.random() < 0.3:
        body["data"]["id"] += "b"
    return body


def _leg(rng, name, number, now_ms, load_s):
    leg = Leg(name)
    for body in _webhooks(rng, name, number, now_ms):
        copies = [body] + [_again(rng, body) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        at_s = rng.uniform(0, load_s)
        for one in copies:
            # Copies at the same moment at two agents, or later.
            leg.deliveries.append(Delivery(min(load_s, at_s + rng.choice((0, 0, rng.uniform(0, load_s)))), rng.randrange(6),
                                           one, rng.choice((0, 0, 0, 0, 0, 0, 0, 1))))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        length_s = rng.uniform(0.05, 0.6) * load_s
        leg.sockets.append(Socket(rng.uniform(0, load_s - length_s), rng.randrange(6), rng.choice((0, 5, 40)), length_s,
                                  rng.choice(("closed", "closed", "dropped"))))
    return leg


def _faults(rng, load_s):
    kinds = rng.choices(FAULTS, [row[2] for row in FAULTS], k=rng.choice((1, 2, 2, 3, 3, 4)))
    faults = [Fault(rng.uniform(0.02, load_s), rng.uniform(0, longest), what, on, rng.randrange(6))
              for what, on, _, longest in kinds]
    if not any(fault.what == "kill" for fault in faults):
        faults.append(Fault(rng.uniform(0.02, load_s), rng.uniform(0, 0.3), "kill", rng.choice(("agent", "redis", "mongo")),
                            rng.randrange(6)))
    return sorted(faults, key=lambda fault: fault.at_s)


def draw(rng, tag, now_ms):
    """`tag` makes the legs of this round different from all others'."""
    load_s = rng.uniform(*LOAD_S)
    legs = [_leg(rng, f"v3:CHAOS-{tag}-{n}", f"{tag}-{n}", now_ms, load_s) for n in range(rng.randrange(3, 9))]
    return Plan(load_s, legs, _faults(rng, load_s))
