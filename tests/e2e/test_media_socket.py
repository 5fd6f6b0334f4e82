"""What a media socket tells besides its frames: round trips, and that our own delays are not the network's
(voice-quality.md 3.1, 3.7, 4.1)."""
import signal
import threading
import time

from fake_telnyx import Call
from harness import delivery_of, sidetone_of, until


def part_of(document):
    (part,) = sidetone_of(document)["media"].values()
    return part


def test_round_trips_are_measured_while_media_flows(agent):
    call = Call(agent)
    stream = call.stream().start()

    def answered():
        stream.media(5, ("inbound", "outbound"))
        return delivery_of(agent.leg(call.leg)).get("rtt_ms", {}).get("ws", 1000) < 1000  # the first may find us busy

    stream.media(60, ("inbound", "outbound"))
    until("a pong", answered)  # a ping goes out every 5 s
    stream.end()
    call.hangup()
    document = agent.complete(call.leg)
    for track in ("inbound", "outbound"):  # a matter of the socket, so both tracks have it
        rtt = delivery_of(document, track)["rtt_ms"]
        assert 0 <= rtt["tcp"] < 1000 and 0 <= rtt["ws"] < 1000
        assert "rtcp" not in rtt
    socket = part_of(document)["socket"]
    assert socket["looks"] >= 5 and socket["tcp_bytes"] > 60 * 2 * 200
    assert socket.get("out_of_order_segments", 0) == 0


def test_our_own_delay_is_marked_and_no_stall(agent):
    """A process that did not run for half a second has seen no stall of the network."""
    call = Call(agent)
    stream = call.stream().start()
    sound = {"inbound": lambda i: b"\xff" * 160}
    stream.play(sound, 2)
    agent.signal(signal.SIGSTOP)
    try:
        stream.play(sound, 0.5)
    finally:
        agent.signal(signal.SIGCONT)
    stream.play(sound, 2).end()
    call.hangup()
    document = agent.complete(call.leg)
    facts = part_of(document)["inbound"]["delivery"]
    figures = delivery_of(document)
    assert facts["self_delayed_frames"] >= 20  # of the 25 that waited
    assert (figures["received_frames"], figures["missing_frames"]) == (225, 0)
    longest = figures["stall"].get("longest_ms", 0)
    assert longest < max(300, stream.longest_pause_s * 1e3), f"a stall of {longest} ms: those were our own 500"
    assert figures["playout_delay_ms"] > 20  # for the playout they came late all the same


def test_an_agent_that_stood_still_reads_before_it_judges(agent):
    """Its timers are due first: what came in time waits in the sockets."""
    call = Call(agent)
    call.initiated()
    call.answered()
    stream = call.stream().start()
    sound = {"inbound": lambda i: b"\xff" * 160}
    sender = threading.Thread(target=lambda: stream.play(sound, 5))
    sender.start()
    until("media", lambda: agent.metric("sidetone_media_frames_total", result="ok") > 25)
    agent.signal(signal.SIGSTOP)
    try:
        time.sleep(2.5)  # the agent's own standstill, not a wait for it
    finally:
        agent.signal(signal.SIGCONT)
    sender.join()
    stream.sync()
    assert agent.metric("sidetone_alerts_total", rule="stall") == 0 or stream.longest_pause_s >= 1
    assert delivery_of(agent.leg(call.leg))["stall"]["count"] == 0 or stream.longest_pause_s >= 0.1


def test_a_stall_of_the_sender_is_one(agent):
    """The same half second with us awake, so that the test above can fail."""
    call = Call(agent)
    stream = call.stream().start()
    sound = {"inbound": lambda i: b"\xff" * 160}
    stream.play(sound, 2)

    def stalled():
        """A stall at whose end the agent's loop was late is not counted: another one."""
        waiting = stream.frames(25)
        time.sleep(0.5)  # the sender's own silence, not a wait for the agent
        stream.send(*waiting)
        stream.play(sound, 0.2).sync()
        return delivery_of(agent.leg(call.leg))["stall"]["longest_ms"] >= 400

    until("a stall of the sender's alone", stalled)
    stream.play(sound, 2).end()
    call.hangup()
    figures = delivery_of(agent.complete(call.leg))
    assert figures["stall"]["count"] >= 1 and figures["stall"]["longest_ms"] >= 400
