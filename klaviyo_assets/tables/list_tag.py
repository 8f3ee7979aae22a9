"""Tags on lists. Not here: what the tags are called (`tags.py`)."""

from klaviyo_assets.tables._tagging import tagging

SPEC = tagging("list")
