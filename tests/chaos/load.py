"""Plays a plan: webhooks signed and sent to the agent that was drawn, sent again to another after 503 or no answer, as
Telnyx does; media sockets; the plan's faults beside them. Keeps what was acknowledged."""
import asyncio
import base64
import contextlib
import http.client
import itertools
import json
import queue
import threading
import time

import websockets

import paths  # noqa: F401

SENDERS = 8
ANSWER_S = 10
RETRY_S = 0.05
GIVE_UP_S = 60  # nobody takes the event: a failure of the round
ULAW = base64.b64encode(b"\xff" * 80 + b"\x80" * 80).decode()


class Record:
    """What the outside knows of one round's legs. Bodies as sent; ids that were answered 200."""

    def __init__(self, plan):
        self.sent = {leg.name: [] for leg in plan.legs}
        self.acknowledged = {leg.name: set() for leg in plan.legs}
        self.sockets = {leg.name: [] for leg in plan.legs}  # of those that ended well: (agent, frames, begin)
        self.tries = self.refused = self.unanswered = self.given_up = self.repeats = 0
        self.faults = []
        self.lock = threading.Lock()


class Player:
    def __init__(self, group, plan):
        self.group, self.plan, self.record = group, plan, Record(plan)
        self.begin = time.monotonic()
        self.work = queue.PriorityQueue()
        self.ticket = itertools.count()  # of equal times the first put
        self.left = 0
        self.moved = threading.Condition()

    def play(self):
        """Until every webhook is acknowledged or given up, every socket ended, and every fault over."""
        for leg in self.plan.legs:
            for one in leg.deliveries:
                self._put(self.begin + one.at_s, leg.name, one, 0)
        threads = [threading.Thread(target=self._guarded, args=(self._sender,)) for _ in range(SENDERS)]
        threads += [threading.Thread(target=self._guarded, args=(self._breaker, fault)) for fault in self.plan.faults]
        threads.append(threading.Thread(target=self._guarded, args=(lambda: asyncio.run(self._sockets()),)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.record.faults:
            raise AssertionError("; ".join(self.record.faults))
        return self.record

    def _guarded(self, run, *words):
        try:
            run(*words)
        except Exception as fault:  # told by the main thread
            with self.record.lock:
                self.record.faults.append(f"{type(fault).__name__}: {fault}")

    def _wait_until(self, moment):
        pause = moment - time.monotonic()
        if pause > 0:
            time.sleep(pause)

    def _breaker(self, fault):
        self._wait_until(self.begin + fault.at_s)
        self.group.fault(fault)

    # ---- webhooks

    def _put(self, at, leg, delivery, tries):
        with self.moved:
            self.left += 1
        self.work.put((at, next(self.ticket), leg, delivery, tries))

    def _sender(self):
        while True:
            with self.moved:
                if self.left == 0:
                    return
            try:
                at, _, leg, delivery, tries = self.work.get(timeout=0.05)
            except queue.Empty:
                continue
            self._wait_until(at)
            self._send(leg, delivery, tries)
            with self.moved:
                self.left -= 1

    def _send(self, leg, delivery, tries):
        record = self.record
        status = self._post(delivery, tries, leg)
        with record.lock:
            record.tries += 1
            if status == 200:
                identity = delivery.body["data"]["id"]
                record.repeats += identity in record.acknowledged[leg]
                record.acknowledged[leg].add(identity)
                return
            record.refused += status == 503
            record.unanswered += status is None
            if status not in (None, 503):
                record.faults.append(f"a webhook of {leg} was answered {status}")
                return
            if delivery.tries == tries + 1:
                record.given_up += 1
                return
        if time.monotonic() - self.begin > GIVE_UP_S:
            raise AssertionError(f"no agent took an event of {leg} within {GIVE_UP_S} s")
        self._put(time.monotonic() + RETRY_S, leg, delivery, tries + 1)

    def _post(self, delivery, tries, leg):
        """The answer's status; None: there was none."""
        agent = self.group.agents[(delivery.agent + tries) % self.group.count]
        body = json.dumps({**delivery.body, "meta": {"attempt": tries + 1}}).encode()
        with self.record.lock:
            self.record.sent[leg].append(delivery.body)
        link = http.client.HTTPConnection("127.0.0.1", agent.public_port, timeout=ANSWER_S)
        try:
            link.request("POST", "/telnyx/webhooks", body, {"Content-Type": "application/json", **agent.signer.headers(body)})
            return link.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    # ---- media

    async def _sockets(self):
        await asyncio.gather(*(self._socket(leg.name, one) for leg in self.plan.legs for one in leg.sockets))

    async def _socket(self, leg, plan):
        await asyncio.sleep(plan.at_s)
        n = plan.agent % self.group.count
        begin = time.monotonic()
        with contextlib.suppress(OSError, websockets.WebSocketException, asyncio.TimeoutError):
            uri = f"ws://127.0.0.1:{self.group.agents[n].public_port}/telnyx/media"
            async with websockets.connect(uri, ping_interval=None, open_timeout=3, close_timeout=3) as ws:
                await self._frames(ws, leg, plan)
                if plan.end == "dropped":
                    ws.transport.abort()
                    return
                await (await ws.ping())  # answered behind every frame
            if ws.close_code == 1000:
                with self.record.lock:
                    self.record.sockets[leg].append((n, plan.frames, begin))

    async def _frames(self, ws, leg, plan):
        start = {"call_control_id": leg, "call_session_id": f"s-{leg}", "from": "+15550100101", "to": "+15550100002",
                 "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}
        stream = f"{leg}-{plan.at_s}"
        await ws.send(json.dumps({"event": "start", "sequence_number": "1", "stream_id": stream, "start": start}))
        for i in range(plan.frames):
            media = {"track": "inbound", "chunk": str(i + 1), "timestamp": str(20 * i), "payload": ULAW}
            await ws.send(json.dumps({"event": "media", "stream_id": stream, "sequence_number": str(i + 2), "media": media}))
            await asyncio.sleep(plan.length_s / plan.frames)
