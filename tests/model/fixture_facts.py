"""What the judge needs of a fixture: bodies by leg, and what its sockets give as media parts."""
import json
import re
from pathlib import Path

from reference_facts import body_of, is_event, leg_of, time_ms


def lines_of(folder):
    return [body_of(line) for line in (folder / "events.jsonl").read_text().splitlines() if line]


def bodies_of(lines):
    """JSON bodies that contract 3 takes, those sent as raw text too."""
    for line in lines:
        if "http" not in line:
            continue
        body = line["http"].get("body")
        if body is None:
            try:
                body = body_of(line["http"]["raw"])
            except (ValueError, RecursionError):
                continue
        if is_event(body):
            yield body


def _audio_ms(folder, audio, at_ms):
    """(first, last) arrival of the frames of an audio line, without impairment."""
    data = (folder / audio["file"]).read_bytes()
    at = data.find(b"data")
    channels = int.from_bytes(data[22:24], "little")
    rate = int.from_bytes(data[24:28], "little")
    samples = int.from_bytes(data[at + 4:at + 8], "little") // channels // (int.from_bytes(data[34:36], "little") // 8)
    frames = -(-samples // (rate * audio["frame_ms"] // 1000))
    return at_ms, at_ms + (frames - 1) * audio["frame_ms"]


def _frame(line, part, at_ms):
    try:
        frame = json.loads(line["text"])
    except ValueError:
        return
    if not isinstance(frame, dict):
        return
    kind = frame.get("event")
    start = frame.get("start")
    if kind == "start" and isinstance(start, dict) and "start_ms" not in part:
        part.update(start_ms=at_ms, **{k: start.get(k) for k in (
            "call_control_id", "call_session_id", "call_leg_id", "from", "to", "client_state")})
    elif kind == "media" and re.fullmatch(r"[A-Za-z0-9+/]{4,}=*", str(frame.get("media", {}).get("payload"))):
        part.setdefault("first_frame_ms", at_ms)
        part["last_frame_ms"] = max(part.get("last_frame_ms", 0), at_ms)
    elif kind == "dtmf" and re.fullmatch(r"[0-9*#A-D]", str(frame.get("dtmf", {}).get("digit"))):
        pressed = time_ms(frame.get("occurred_at"))
        part["dtmf"].append({"digit": frame["dtmf"]["digit"], "at_ms": at_ms if pressed is None else pressed})
    elif kind == "error" and isinstance(frame.get("payload"), dict):
        part["errors"].append({**{k: frame["payload"].get(k) for k in ("code", "title", "detail")}, "at_ms": at_ms})


def parts_of(folder, lines):
    """Media parts as far as the judge reads them; replay closes every socket, so all are closed."""
    epoch = time_ms(lines[0]["epoch"])
    parts = {}
    for line in lines:
        if "ws" not in line:
            continue
        at_ms = epoch + round(line["t"] * 1000)
        if "open" in line:
            parts[line["ws"]] = {"id": f"replay_{len(parts)}", "state": "closed", "dtmf": [], "errors": []}
        part = parts.get(line["ws"])
        if part and "audio" in line:
            first, last = _audio_ms(folder, line["audio"], at_ms)
            part["first_frame_ms"] = min(part.get("first_frame_ms", first), first)
            part["last_frame_ms"] = max(part.get("last_frame_ms", 0), last)
        elif part and "text" in line:
            _frame(line, part, at_ms)
    return [p for p in parts.values() if "start_ms" in p]


def by_leg(folder):
    """{leg: (bodies, parts)} of a fixture's folder."""
    lines = lines_of(Path(folder))
    legs = {}
    for body in bodies_of(lines):
        if leg_of(body):
            legs.setdefault(leg_of(body), ([], []))[0].append(body)
    for part in parts_of(Path(folder), lines):
        legs.setdefault(part["call_control_id"], ([], []))[1].append(part)
    return legs
