"""Facts of a leg as the judge reads them: webhook bodies to elements, client_state, times, values.

Written from data-model.md 8.1 and 8.4 and telnyx-protocol.md 0, 2.5, without a look at agent/fold*.c."""
import base64
import hashlib
import json
import math
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$")
NO_TEXT = re.compile("[\0\ud800-\udfff]")
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
CALL_LOG_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
REFERENCES = ("leadId", "contactId", "campaignId", "conversationId", "assignedAgent")
CALL_TYPES = ("cold-call", "follow-up", "callback", "support", "qualification", "demo", "closing", "other")
# Known keys of client_state (8.1); every other one goes to metadata.sidetone.clientState.
KNOWN_KEYS = REFERENCES + ("callLogId", "callId", "callType", "kevinAvailable", "timestamp", "transferType",
                           "conferenceName", "party")
LEG_LOST = "sidetone.leg_lost"


def time_ms(text):
    """RFC 3339, 0 to 9 fractional digits, any offset: epoch ms, cut to the ms below; None: no such time."""
    match = RFC3339.match(text) if isinstance(text, str) else None
    if not match:
        return None
    *fields, fraction, zone = match.groups()
    try:
        moment = datetime(*map(int, fields), tzinfo=timezone.utc)
    except ValueError:
        return None
    if zone not in "Zz":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment += -shift if zone[0] == "+" else shift
    return (moment - EPOCH) // timedelta(milliseconds=1) + int((fraction or "").ljust(3, "0")[:3])


def date(epoch_ms):
    return EPOCH + timedelta(milliseconds=epoch_ms)


def text_of(value):
    """A text that says something: null, absent and "" are all no value."""
    return value if isinstance(value, str) and value else None


def decimal_of(value):
    """A JSON number or a decimal text; None for what is neither, nan and inf too."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def body_of(text):
    """JSON as contract 3 reads it: a number too large for a machine word stays text."""
    whole = lambda digits: int(digits) if -2**63 <= int(digits) < 2**63 else digits
    real = lambda digits: float(digits) if math.isfinite(float(digits)) else digits
    return json.loads(text, parse_int=whole, parse_float=real)


def escaped(value):
    """As it is stored: in keys `.` and a leading `$` become U+FF0E and U+FF04; in texts NUL and half a
    surrogate pair, which BSON does not hold, become U+FFFD."""
    if isinstance(value, str):
        return NO_TEXT.sub("\ufffd", value)
    if isinstance(value, list):
        return [escaped(v) for v in value]
    if not isinstance(value, dict):
        return value
    keys = {k: ("\uff04" + k[1:] if k.startswith("$") else k).replace(".", "\uff0e") for k in value}
    return {keys[k]: escaped(v) for k, v in value.items()}


def element_id(event_id):
    return hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def is_event(body):
    """Whether contract 3 takes the body: data.event_type and data.id, v2."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not text_of(data.get("event_type")):
        return False
    return text_of(data.get("id")) is not None or type(data.get("id")) is int


def leg_of(body):
    """call_control_id; None: an event without a leg, which no CallLog holds."""
    payload = body["data"].get("payload")
    return text_of(payload.get("call_control_id")) if isinstance(payload, dict) else None


def element(body):
    """The element of telnyx.webhookEvents; times are epoch ms here, payload as sent, keys escaped."""
    data = body["data"]
    payload = data.get("payload") if isinstance(data.get("payload"), dict) else {}
    occurred = time_ms(data.get("occurred_at"))
    if occurred is None:
        occurred = time_ms(payload.get("occurred_at"))
    stored = {} if data["event_type"].startswith("call.payment.") else escaped(payload)
    return {"_id": element_id(str(data["id"])), "eventType": data["event_type"], "timestamp": occurred,
            "payload": stored}


def elements_of(events, more=()):
    """Every distinct event of the leg once, in the order of the array: timestamp, _id."""
    by_id = {}
    for one in [element(body) for body in events if is_event(body)] + list(more):
        by_id.setdefault(one["_id"], one)
    return sorted(by_id.values(), key=lambda e: (e["timestamp"] or 0, e["_id"]))


def without_copies(elements):
    """An element whose eventType, timestamp and payload equal an earlier one's is ignored by the fold."""
    seen, kept = set(), []
    for one in elements:
        mark = json.dumps([one["eventType"], one["timestamp"], one["payload"]], sort_keys=True)
        if mark not in seen:
            seen.add(mark)
            kept.append(one)
    return kept


def _object(text):
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _decoded(text):
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except ValueError:
        return "-"


def _parsed(text):
    decoded = _object(_decoded(text))
    return _object(text) if decoded is None else decoded


def client_state(text):
    """base64 of a JSON object, else a raw one; a text key client_state in it is parsed too. {}: neither."""
    found = _parsed(text) or {}
    nested = found.get("client_state")
    inner = _parsed(nested) if isinstance(nested, str) else None
    if inner is None:
        return found
    return {**inner, **{k: v for k, v in found.items() if k != "client_state"}}


def derived_id(leg):
    """The callLogId of a leg that was given none."""
    return "CALL_0_" + base64.b32encode(hashlib.sha256(leg.encode()).digest()).decode().lower()[:26]
