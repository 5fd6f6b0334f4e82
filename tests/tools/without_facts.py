#!/usr/bin/python3
"""Leaves the raw facts out of a CallLog on standard input, so that it fits a screen."""
import json, sys

document = json.load(sys.stdin)
document.get("telnyx", {}).pop("webhookEvents", None)
document.get("metadata", {}).get("sidetone", {}).pop("media", None)
json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
print()
