"""Where this checkout is. Here: the one place that counts folders upwards. Not here: anything in them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
