#!/usr/bin/python3
"""For the demo: leaves the raw facts out of the CallLog on standard input, so that it fits a screen, and
sets its talk times beside those of a label file.

  without_facts.py LABELS.csv < CALLLOG"""
import csv
import json
import sys

document = json.load(sys.stdin)
document.get("telnyx", {}).pop("webhookEvents", None)
document.get("metadata", {}).get("sidetone", {}).pop("media", None)
print(json.dumps(document, indent=2, ensure_ascii=False))

labelled = {"inbound": 0, "outbound": 0}
for row in csv.DictReader(open(sys.argv[1])):
    labelled[row["track"]] += int(row["end_ms"]) - int(row["start_ms"])
speech = document["aiAnalysis"]["speech"]
print()
for who, track in (("lead", "inbound"), ("agent", "outbound")):
    label_s, found_s = labelled[track] / 1000, speech[who + "TalkTime"]
    print(f"{who} talks {found_s:.2f} s; the labels say {label_s:.2f} s ({(found_s / label_s - 1) * 100:+.1f} %)")
