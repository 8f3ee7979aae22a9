"""What a mail may contain: nothing about a person, and no secret.

Here: removing both from texts that systems wrote, such as errors. Not here: what a person's values look like
(`mapping/privacy.py`), and the content of reports and the quarantine; a mail shows only counts of it.
"""

import os
import re

from klaviyo_assets.mapping.privacy import without_people

_HIDDEN = (
    # The part before the @ in an address with a scheme is a login.
    (re.compile(r"(\w+://)[^\s/@'\"]+@"), r"\1(login hidden)@"),
    (re.compile(r"(?i)\b(bearer|basic) [\w.~+/=-]{12,}"), r"\1 (hidden)"),
)
_SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 6


def scrubbed(text: str) -> str:
    """A text without e-mail addresses, telephone numbers, people's ids, logins, and values of secret settings."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST and value in text:
            text = text.replace(value, f"({name} hidden)")
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return without_people(text)
