"""Where the helpers of the other tests lie."""
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
for folder in ("services", "model", "e2e"):
    if str(TESTS / folder) not in sys.path:
        sys.path.append(str(TESTS / folder))
