"""The arrival figures of voice-quality.md 3.2, 3.3, 3.4, 3.7 and 3.8, from recorded times, written from its text alone.

A frame's arrival is known as a span (early_ms, late_ms): written by the proxy, answered by the agent. Every figure is
therefore a Span too, and holds whatever the true times were. `marked` frames, of which it is only known how many there
are, were left out by the agent because its own loop lagged (3.1): the spans allow for any choice of them."""
import bisect
import collections
import math
from typing import NamedTuple

PTIME_MS = 20.0
WINDOW_MS = 10000.0  # of the causal minimum, 3.3
STALL_MS = 100.0
FIT_EVERY_MS, FIT_SPAN_MS, FIT_POINTS, FIT_SPREAD_PPM = 10000.0, 60000.0, 60, 50.0
EDGE_FRAMES = 2  # that may or may not have fallen out of the window of the minimum when their time came


class Span(NamedTuple):
    low: float
    high: float

    def holds(self, value, slack=0.0):
        return self.low - slack <= value <= self.high + slack


class Arrival(NamedTuple):
    number: int
    media_ms: float
    early_ms: float
    late_ms: float

    @property
    def transit_ms(self):
        return Span(self.early_ms - self.media_ms, self.late_ms - self.media_ms)


def in_order(arrivals):
    highest = None
    for a in arrivals:
        if highest is None or a.number > highest:
            highest = a.number
            yield a


# ---- 3.2: J


class Jitter:
    """Of the parts of a leg: sums and maxima over them, the last of the last."""

    def __init__(self, parts, marked):
        self.steps = [self._steps(part) for part in parts]
        self.count = sum(len(steps) for steps in self.steps)
        self.marked = marked
        low, high = self._follow(0), self._follow(1)
        flat = [step for steps in self.steps for step in steps]
        self.mean = self._mean(low, high)
        self.ipdv = self._mean([s.low for s in flat], [s.high for s in flat])
        self.max = Span(max(low), max(high))
        self.last = Span(low[-1], high[-1])

    @staticmethod
    def _steps(part):
        """|D|"""
        steps, before = [], None
        for a in in_order(part):
            t = a.transit_ms
            if before is not None:
                low, high = t.low - before.high, t.high - before.low
                least = 0 if low <= 0 <= high else min(abs(low), abs(high))
                steps.append(Span(least, max(abs(low), abs(high))))
            before = t
        return steps

    def _follow(self, side):
        out = []
        for steps in self.steps:
            j = 0.0
            for step in steps:
                j += (step[side] - j) / 16
                out.append(j)
        return out

    def _mean(self, low, high):
        """A frame left out joins the two steps beside it: the sum loses at most both, twice the greatest."""
        greatest = sorted((step.high for steps in self.steps for step in steps), reverse=True)
        lost = 2 * sum(greatest[:self.marked])
        return Span(max(0.0, sum(low) - lost) / self.count, sum(high) / max(1, self.count - self.marked))


# ---- 3.4: skew


def nearest_rank(values, share):
    return sorted(values)[math.ceil(share * len(values)) - 1]


class Skew(NamedTuple):
    at_ms: float  # arrival of the frame that had it fitted
    ppm: Span
    spread_ppm: Span


def fit(part, first, upto):
    """Theil-Sen through the smallest transit of each window, the windows doubled while there are more than 60."""
    width_ms = 1000.0
    while (part[upto].media_ms - first.media_ms) // width_ms >= FIT_POINTS:
        width_ms *= 2
    points = {}
    for a in part[:upto + 1]:
        window = (a.media_ms - first.media_ms) // width_ms
        kept = points.get(window)
        t = a.transit_ms
        if kept is None:
            points[window] = (a.media_ms, t)
        else:
            media_ms = a.media_ms if t.low < kept[1].low else kept[0]
            points[window] = (media_ms, Span(min(t.low, kept[1].low), min(t.high, kept[1].high)))
    rows = list(points.values())
    low, high = [], []
    for i, (media_i, t_i) in enumerate(rows):
        for media_j, t_j in rows[i + 1:]:
            low.append((t_j.low - t_i.high) / (media_j - media_i) * 1e6)
            high.append((t_j.high - t_i.low) / (media_j - media_i) * 1e6)
    quartile = {share: Span(nearest_rank(low, share), nearest_rank(high, share)) for share in (0.25, 0.5, 0.75)}
    spread = Span(quartile[0.75].low - quartile[0.25].high, quartile[0.75].high - quartile[0.25].low)
    return Skew(part[upto].early_ms, quartile[0.5], spread)


def skews(part):
    """Each fit of a span of 60 s or more."""
    part = list(in_order(part))
    first, fitted_ms, found = part[0], part[0].early_ms, []
    for i, a in enumerate(part):
        if a.early_ms - fitted_ms < FIT_EVERY_MS:
            continue
        fitted_ms = a.early_ms
        if a.early_ms - first.early_ms >= FIT_SPAN_MS:
            found.append(fit(part, first, i))
    return found


# ---- 3.3, and r of 3.8


def lateness(part, fits=(), window_ms=WINDOW_MS):
    """Span of r of each frame, in order of arrival. The minimum runs in two queues of rising transits."""
    out, lows, highs = [], collections.deque(), collections.deque()
    for a in part:
        taken = sum((min(a.early_ms, until) - s.at_ms) * (s.ppm.low + s.ppm.high) / 2e6
                    for s, until in zip(fits, [*(s.at_ms for s in fits[1:]), math.inf]) if a.early_ms > s.at_ms)
        t = Span(a.transit_ms.low - taken, a.transit_ms.high - taken)
        for queue, value in ((lows, t.low), (highs, t.high)):
            while queue and a.early_ms - queue[0][0] > window_ms:
                queue.popleft()
            while queue and queue[-1][1] >= value:
                queue.pop()
            queue.append((a.early_ms, value))
        out.append(Span(max(0.0, t.low - highs[0][1]), t.high - lows[0][1]))
    return out


def percentile(late, share, marked):
    """Of the frames that were not marked; the frames at the window's edge are anybody's."""
    low, high = sorted(r.low for r in late), sorted(r.high for r in late)
    n = len(late)
    first = math.ceil(share * (n - marked)) - 1 - EDGE_FRAMES
    last = math.ceil(share * n) - 1 + EDGE_FRAMES + marked
    return Span(low[max(0, first)], high[min(n - 1, last)])


# ---- 3.8: emulators


def discarded(late, deadline_ms):
    low, high = (sum(r[side] > deadline_ms for r in late) for side in (0, 1))
    return Span(low - EDGE_FRAMES, high + EDGE_FRAMES)


def adaptive_delay(late):
    """Mean P of emulator A over each of these latenesses."""
    delay, total = 80.0, 0.0
    history, ordered = collections.deque(), []
    for r in late:
        if r <= 400:
            if r > delay:
                delay = min(400.0, delay + PTIME_MS * math.ceil((r - delay) / PTIME_MS))
            history.append(r)
            bisect.insort(ordered, r)
            if len(history) > 250:
                ordered.remove(history.popleft())
            quantile = ordered[math.ceil(0.95 * len(ordered)) - 1]
            target = PTIME_MS * math.ceil(quantile / PTIME_MS) + PTIME_MS
            target = min(400.0, max(20.0, target))
            if delay > target:
                delay = max(target, delay - 1)
        total += delay
    return total / len(late)


# ---- 3.7


class Stalls:
    """Arrival gaps of 100 ms or more with contiguous media time, less a frame. Numbers that were passed over had their
    time, too, wherever they are: what came later than that is the gap. One that a marked frame ends is none."""

    def __init__(self, parts, marked):
        sure, possible = [], []
        for part in parts:
            before = None
            for a in in_order(part):
                if before is not None:
                    passed_ms = (a.number - before.number - 1) * PTIME_MS
                    gap = Span(a.early_ms - before.late_ms - passed_ms, a.late_ms - before.early_ms - passed_ms)
                    sure += [gap.low - PTIME_MS] if gap.low >= STALL_MS else []
                    possible += [gap.high - PTIME_MS] if gap.high >= STALL_MS else []
                before = a
        sure.sort(reverse=True)
        self.count = Span(max(0, len(sure) - marked), len(possible))
        self.longest = Span(sure[marked] if marked < len(sure) else 0.0, max(possible, default=0.0))
        self.total = Span(sum(sure[marked:]), sum(possible))


def reads(writes):
    """How many reads took in these writes (early_s, late_s) of one connection: each its own, or joined to the one
    before where that need not have been read yet."""
    joined = sum(now.early_s <= before.late_s for before, now in zip(writes, writes[1:]))
    return Span(len(writes) - joined, len(writes))
