"""docs/quality.md names whatever the program can print of quality, and its limits are those of the code."""
import json
import re

from harness import FIXTURES, sidetone

ROOT = FIXTURES.parent
PAGE = (ROOT / "docs/quality.md").read_text()
# Of the schema, not of this page; percentiles stand there as "p50 … max".
ELSEWHERE = {"_id", "$oid", "$date", "ratedBy", "ratedAt", "resolvedAt", "p95", "p99", "p999"}


def is_named(word):
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", PAGE) is not None


def collect(value, names, others):
    if isinstance(value, list):
        for item in value:
            collect(item, names, others)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "absent":
                others.update(inner.values())
            elif name == "flags":
                others.update(inner)
            else:
                names.add(name)
                collect(inner, names, others)


def test_every_name_reason_and_flag_of_the_goldens():
    names, others = set(), set()
    for golden in FIXTURES.glob("*/expect.jsonl"):
        for line in golden.read_text().splitlines():
            document = json.loads(line)
            collect(document.get("quality", {}), names, others)
            collect(document["metadata"]["sidetone"].get("quality", {}), names, others)
    collect(json.loads(sidetone("analyze", FIXTURES / "demo/call.wav").stdout)["metadata"], set(), others)
    assert len(names) > 100 and len(others) > 15
    assert sorted(word for word in (names | others) - ELSEWHERE if not is_named(word)) == []


def test_every_reason_and_flag_of_the_code():
    words = set()
    for path in ("dsp/delivery_figures.c", "dsp/model_figures.c", "dsp/signal_figures.c", "agent/quality_signal.c",
                 "agent/quality_figures.c", "agent/fold_carrier.c", "agent/capture_document.c"):
        text = (ROOT / path).read_text()
        words |= set(re.findall(r'"((?:no|not|too|wb|non|ta_stream|rtt_of|consumer|digital)_[a-z_]+|silent)"', text))
        words |= set(re.findall(r'\bflag\(out,[^;]*"([^"]+)"\)', text))
        if path.startswith("agent/"):
            words |= set(re.findall(r'\b(?:document_put_\w+|put_known)\(\w+, "(\w+)"', text))
    assert {"no_bpl", "wb_delay_coefficient", "self_delayed", "silent", "mos_lq"} <= words
    assert sorted(word for word in words if not is_named(word)) == []


def rows_of_the_code():
    """Of each finding: name, and its limits as the page writes them."""
    table = (ROOT / "dsp/findings_table.c").read_text()
    for entry in re.split(r"\bHEAD\(", table[table.index("finding_table[FINDING_KINDS]"):])[1:]:
        name = re.match(r'"([^"]+)"', entry).group(1)
        limits = set()
        for three in re.findall(r"\b(?:MORE|LESS)\(([^)]*)\)", entry):
            for limit in three.split(","):
                if re.fullmatch(r"\s*-?[\d.]+\s*", limit):
                    value = float(limit)
                    value = value / 1000 if value >= 1000 else value  # ms in the code, s on the page
                    limits.add(f"{value:g}".replace("-", "−"))
        yield name, limits


def test_the_limits_of_the_findings():
    page = PAGE[PAGE.index("## Findings"):PAGE.index("## Reasons")]
    rows = {cell.strip(): row for row in page.splitlines() if row.startswith("| ")
            for cell in row.split("|")[1].split(",")}
    found = dict(rows_of_the_code())
    assert len(found) > 15
    for name, limits in found.items():
        numbers = set(re.findall(r"−?\d+(?:\.\d+)?", rows[name]))
        assert limits <= numbers, (name, limits, rows[name])
