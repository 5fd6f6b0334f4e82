"""voice-quality.md 7.9: one call through a TCP proxy for each thing that TCP and its middle boxes do to a stream. All
calls talk at the same time to one agent, in real time for as long as the skew's fit needs (3.4). What is published is
compared with the figures of the recorded times (delivery_reference.py), so that a busy machine moves both."""
import functools

import pytest

import delivery_reference as reference
import harness
from delivery_reference import Arrival, Span
from fake_telnyx import Call
from harness import delivery_of, sidetone_of
from paced_sender import PTIME_S, Sender, Talk
from tcp_proxy import Bunches, Clean, Cut, HeadOfLine, Proxy, Step, SwappedPairs

FRAMES = 3090  # 61.8 s: a fit each 10 s and a bit, one of them behind 60 s
NOISE_MS = 2.0  # 7.9
# 2 ms of noise at one end of the 60 s would turn the line by this much.
NOISE_PPM = NOISE_MS / 60e3 * 1e6
HELD_EVERY, HELD_MS = 100, 200.0
SWAPPED_EVERY = 10

CASES = {
    "control": dict(ways=[Clean()]),
    "step": dict(ways=[Step(at=1000, add_s=0.060)]),
    "head_of_line": dict(ways=[HeadOfLine(HELD_EVERY, HELD_MS / 1e3)]),
    "bunches": dict(ways=[Bunches(3)]),
    "swapped": dict(ways=[SwappedPairs(SWAPPED_EVERY)]),
    "reconnect": dict(ways=[Cut(after=1500), Clean()]),
    "skewed": dict(ways=[Clean()], skew_ppm=200),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """name: what the proxy wrote down and the agent published."""
    agent = harness.Agent(tmp_path_factory.mktemp("agent"), signer=harness.Signer()).start()
    try:
        yield talk_through_proxies(agent)
    finally:
        agent.finish()


def talk_through_proxies(agent):
    talks, links, proxy = {}, {}, Proxy(agent.public)
    for i, (name, case) in enumerate(CASES.items()):
        address, links[name] = proxy.listen(*case["ways"])
        call = Call(agent)
        call.answered()
        phase_s = i * PTIME_S / len(CASES)
        talks[name] = Talk(call, address, FRAMES, case.get("skew_ppm", 0), phase_s, len(case["ways"]))
    with proxy:
        Sender(list(talks.values())).start().join(FRAMES * PTIME_S + 4 * harness.DEADLINE_S)
        for name, talk in talks.items():
            assert talk.finish() == 1000, name
    for talk in talks.values():
        talk.call.hangup()
        agent.complete(talk.call.leg)
    return {name: Told(agent.stored(talk.call.id), [link.writes for link in links[name]])
            for name, talk in talks.items()}


class Told:
    def __init__(self, document, written):
        """`written`: the writes of each connection."""
        self.written, self.figures = written, delivery_of(document)
        self.sent = sum(len(write.frames) for writes in written for write in writes)
        media = sidetone_of(document)["media"].values()
        self.parts_told = len(media)
        self.marked = sum(part["inbound"]["delivery"].get("self_delayed_frames", 0) for part in media)
        self.parts = [self._arrivals(writes, at_agent=True) for writes in written]

    @staticmethod
    def _arrivals(writes, at_agent):
        """As they went on to the agent, or as they came into the proxy."""
        rows = [(frame, write) for write in writes for frame in write.frames]
        if not at_agent:
            return [Arrival(f.chunk, f.timestamp_ms, f.came_s * 1e3, f.came_s * 1e3)
                    for f, _ in sorted(rows, key=lambda row: row[0].chunk)]
        return [Arrival(f.chunk, f.timestamp_ms, w.early_s * 1e3, w.late_s * 1e3) for f, w in rows]

    @property
    def unspoilt(self):
        """J of the sender alone."""
        return reference.Jitter([self._arrivals(writes, at_agent=False) for writes in self.written], 0)

    @functools.cached_property
    def fits(self):
        return [reference.skews(part) for part in self.parts]

    @functools.cached_property
    def late(self):
        return [r for part, fits in zip(self.parts, self.fits) for r in reference.lateness(part, fits)]


@pytest.fixture(params=CASES)
def each(request, told):
    return told[request.param]


# ---- the reference itself, on voice-quality.md 7.1 and 7.2


def arrivals(times_ms):
    return [Arrival(n + 1, n * 20.0, at, at) for n, at in enumerate(times_ms)]


def test_the_reference_gives_the_vectors():
    held = reference.Jitter([arrivals([160.0 if 5 <= n <= 8 else n * 20.0 for n in range(16)])], 0)
    assert held.mean == pytest.approx((3.7924672778,) * 2) and held.max == pytest.approx((6.6104125977,) * 2)
    step = reference.Jitter([arrivals([n * 20.0 + (60 if n >= 5 else 0) for n in range(16)])], 0)
    assert step.mean == pytest.approx((2.0332732186,) * 2) and step.last == pytest.approx((1.9667267814,) * 2)
    bunches = arrivals([60.0 * (n // 3 + 1) for n in range(600)])
    assert reference.Jitter([bunches], 0).max == pytest.approx((27.1012482663,) * 2)
    stalled = reference.lateness(arrivals([2330.0 if 100 <= n < 115 else n * 20.0 + 30 for n in range(500)]))
    for share, late_ms in ((0.5, 0), (0.95, 0), (0.99, 200), (0.999, 300), (1.0, 300)):
        assert reference.percentile(stalled, share, 0).holds(late_ms)
    assert [sum(r.low > deadline for r in stalled) for deadline in (60, 120, 200)] == [12, 9, 5]
    for swapped, gap_ms, count in ((False, 99, 0), (False, 101, 1), (True, 119, 0), (True, 121, 1)):
        order = (1, 3, 2, 4) if swapped else (1, 2, 3, 4)
        part = [Arrival(n, n * 20.0, at, at) for n, at in zip(order, (0.0, gap_ms, gap_ms, gap_ms + 20))]
        assert reference.Stalls([part], 0).count == (count, count)
    drifting = reference.skews(arrivals([n * 20.002 for n in range(FRAMES)]))
    assert [fit.ppm for fit in drifting] == [pytest.approx((100, 100))]


# ---- what is published is what the recorded times give


def test_every_frame_is_there_and_none_is_called_network_jitter(each):
    f = each.figures
    assert (f["expected_frames"], f["received_frames"], f["missing_frames"]) == (each.sent, each.sent, 0)
    assert (f["duplicate_frames"], f["late_frames"], f["clock_jumps"], f["loss_pct"]) == (0, 0, 0, 0)
    assert "network_jitter_ms" not in f and f["absent"]["network_jitter_ms"] == "not_rtp"
    assert (f["ptime_ms"], f["ts_unit"], f["media_pause_ms"]) == (20, "ms", 0)
    assert ("self_delayed" in f["flags"]) == (each.marked > 0)


def test_jitter(each):
    jitter, said = reference.Jitter(each.parts, each.marked), each.figures["delivery_jitter_ms"]
    assert jitter.mean.holds(said["mean"], NOISE_MS)
    assert jitter.ipdv.holds(each.figures["ipdv_abs_mean_ms"], NOISE_MS)
    if each.marked == 0:  # else it is not told which steps were joined, and one moves these by any amount
        assert jitter.max.holds(said["max"], NOISE_MS) and jitter.last.holds(said["last"], NOISE_MS)


def bucket_edge_ms(late_ms):
    """3.3: a percentile is the upper edge of its bucket, of 1 ms to 1 s, then of 10 ms."""
    return late_ms + (1 if late_ms <= 1000 else 10)


def test_delay_variation(each):
    said = each.figures["delay_variation_ms"]
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        expected = reference.percentile(each.late, share, each.marked)
        assert Span(expected.low, bucket_edge_ms(expected.high)).holds(said[name], NOISE_MS), name


def test_playout(each):
    f = each.figures
    for name, deadline_ms in (("f60", 60), ("f120", 120), ("f200", 200)):
        sure = reference.discarded(each.late, deadline_ms + NOISE_MS).low
        assert Span(sure, reference.discarded(each.late, deadline_ms - NOISE_MS).high).holds(
            f["discarded_frames"][name]), name
    # P moves by whole frames, so that a lateness near a frame's edge moves it by one.
    low, high = (reference.adaptive_delay([r[side] for r in each.late]) for side in (0, 1))
    assert Span(min(low, high), max(low, high)).holds(f["playout_delay_ms"], reference.PTIME_MS)


def test_stalls(each):
    stalls, said = reference.Stalls(each.parts, each.marked), each.figures["stall"]
    assert stalls.count.holds(said["count"])
    assert stalls.longest.holds(said["longest_ms"], NOISE_MS)
    assert stalls.total.holds(said["total_ms"], NOISE_MS * stalls.count.high)


def test_bunching(each):
    said = each.figures["bunching"]
    counts = [reference.reads(writes) for writes in each.written]
    fewest, most = (sum(count[side] for count in counts) for side in (0, 1))
    expected = Span((each.sent - each.marked) / most, each.sent / max(1, fewest - each.marked))
    assert expected.holds(said["mean_frames"], 1e-4)


def test_skew(each):
    """One fit at most has a span of 60 s here; where its slopes may or may not spread too far, either is right."""
    fits, said = [fit for part in each.fits for fit in part], each.figures.get("skew_ppm")
    if said is None:
        assert each.figures["absent"]["skew_ppm"] == "not_fitted"
        assert all(fit.spread_ppm.high + NOISE_PPM >= reference.FIT_SPREAD_PPM for fit in fits)
    else:
        assert any(fit.spread_ppm.low - NOISE_PPM < reference.FIT_SPREAD_PPM and fit.ppm.holds(said, NOISE_PPM)
                   for fit in fits)


# ---- what 7.9 claims of each


def jitter_of(told):
    return told.figures["delivery_jitter_ms"]


def test_a_step_raises_jitter_once_and_lateness_until_the_minimum_has_forgotten(told):
    step = told["step"]
    assert jitter_of(step)["max"] >= 3.6  # J-B of 7.1: 3.75, and a frame that was late before takes little of it
    assert step.figures["delay_variation_ms"]["p95"] >= 60 - NOISE_MS  # 500 of 3,090 frames


def test_head_of_line_raises_jitter_and_stalls(told):
    held = told["head_of_line"]
    assert jitter_of(held)["mean"] > held.unspoilt.mean.high
    assert jitter_of(held)["max"] >= HELD_MS / 16 - NOISE_MS
    assert held.figures["stall"]["count"] >= FRAMES // HELD_EVERY - held.marked
    assert held.figures["stall"]["longest_ms"] >= HELD_MS - NOISE_MS


def test_bunches_raise_jitter_but_are_no_stalls_of_their_own(told):
    bunches = told["bunches"]
    assert jitter_of(bunches)["mean"] >= max(26.24 - NOISE_MS, bunches.unspoilt.mean.high)  # J-D of 7.1
    assert bunches.figures["bunching"]["mean_frames"] >= 3 and bunches.figures["bunching"]["share"] == 1
    assert bunches.figures["delay_variation_ms"]["p50"] >= 20 - NOISE_MS  # P-D of 7.2


def test_swapped_pairs_are_counted_and_leave_jitter_alone(told):
    swapped = told["swapped"]
    swaps = sum(n % SWAPPED_EVERY == SWAPPED_EVERY // 2 for n in range(1, FRAMES + 1))
    f = swapped.figures
    assert (f["reordered_frames"], f["max_reorder_frames"], f["missing_frames"]) == (swaps, 1, 0)
    reached = reference.Jitter(swapped.parts, swapped.marked).mean
    assert jitter_of(swapped)["mean"] <= swapped.unspoilt.mean.high + (reached.high - reached.low) + NOISE_MS
    for name, other in told.items():
        assert name == "swapped" or other.figures["reordered_frames"] == 0, name


def test_a_reconnect_is_an_outage_between_two_parts(told):
    cut = told["reconnect"]
    f = cut.figures
    before, after = cut.parts
    away_ms = Span(after[0].early_ms - before[-1].late_ms, after[0].late_ms - before[-1].early_ms)
    silent_ms = Span(away_ms.low - reference.PTIME_MS, away_ms.high - reference.PTIME_MS)
    assert silent_ms.holds(f["stream_outage_ms"], NOISE_MS)
    assert f["stream_outage_ms"] >= 900
    assert (cut.parts_told, f["restarts"], f["missing_frames"], f["numbering_jumps"]) == (2, 1, 0, 0)
    for name, other in told.items():
        whole = (other.parts_told, other.figures["restarts"], other.figures["stream_outage_ms"])
        assert name == "reconnect" or whole == (1, 0, 0), name


def test_a_slow_sender_is_skew_and_no_lateness(told):
    """Positive: we receive more slowly than the media clock says (3.4)."""
    skewed = told["skewed"]
    if "skew_ppm" in skewed.figures:  # test_skew says when it may be absent
        assert skewed.figures["skew_ppm"] == pytest.approx(200, abs=NOISE_PPM)
    # Against the smallest transit of the whole call the clock alone makes 6 ms of it.
    whole = [r for part in skewed.parts for r in reference.lateness(part, window_ms=FRAMES * PTIME_S * 2e3)]
    expected = reference.percentile(skewed.late, 0.5, skewed.marked)
    most = reference.percentile(whole, 0.5, 0).low - NOISE_MS + (expected.high - expected.low)
    assert skewed.figures["delay_variation_ms"]["p50"] <= most


def test_the_control_has_no_skew(told):
    control = told["control"]
    if "skew_ppm" in control.figures:
        assert control.figures["skew_ppm"] == pytest.approx(0, abs=NOISE_PPM)
