"""build/tools/queue_driver, and what Redis' own clients see of our keys."""
import subprocess

import harness

DRIVER = harness.BINARY.parent / "tools" / "queue_driver"


class Queue:
    """The queue sink, driven line by line (tests/tools/queue_driver.c)."""

    def __init__(self, url, prefix="sidetone:", agent="a1", timeout_ms=2000, queue_max=1_000_000, group_timeout_h=168):
        assert DRIVER.exists(), f"there is no {DRIVER}: make {DRIVER}"
        words = [str(DRIVER), url, prefix, agent, *map(str, (timeout_ms, queue_max, group_timeout_h))]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(harness.DEADLINE_S) == 0, self.process.stderr.read()
        harness.assert_no_sanitizer(self.process.stderr.read())
        self.process.stdout.close()
        self.process.stderr.close()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def document(self, leg, revision, padding=0, ended=True):
        assert self.ask(f"document {leg} {revision} {padding if ended else '-'}") == "ok"

    def look(self, cursor):
        return int(self.ask(f"look {cursor}"))

    def looked(self, cursor):
        """Looks until Redis has been reached, and the first time says what came of it."""
        return harness.until("a look at Redis", lambda: self._looked(cursor))[0]

    def _looked(self, cursor):
        row = self.look(cursor)
        return (row,) if row >= 0 or self.deliver([], cursor) == {} and not self.stats()["trouble"] else None

    def deliver(self, rows, low_water):
        """rows: [(number, leg)]. {number: (result, kind, reason)}"""
        for number, leg in rows:
            assert self.ask(f"row {number} {leg}") == "ok"
        out, line = {}, self.ask(f"deliver {low_water}")
        while line != "end":
            number, result, kind, reason = line.split(" ", 3)
            out[int(number)] = (result, kind, reason)
            line = self.process.stdout.readline().rstrip("\n")
        return out

    def add(self, numbers, low_water=None):
        """Rows of legs of their own that have ended, until Redis has them."""
        rows = [(n, f"leg{n}") for n in numbers]
        for n, leg in rows:
            self.document(leg, n)

        def done():
            self.look(-1)
            results = self.deliver(rows, max(numbers) if low_water is None else low_water)
            return all(r[0] == "done" for r in results.values()) and results

        return harness.until("rows in the queue", done)

    def stats(self):
        numbers, idle, trouble = self.ask("stats").split("|", 2)
        names = ("added", "trimmed", "length", "full", "tails_lost")
        return {**dict(zip(names, map(int, numbers.split()))), "idle": idle, "trouble": trouble}


def entries(client, prefix="sidetone:"):
    """The queue, oldest first: the fields of each entry."""
    return [fields for _, fields in client.xrange(f"{prefix}calllogs")]


def queued_legs(client, prefix="sidetone:"):
    return [fields["callControlId"] for fields in entries(client, prefix)]
