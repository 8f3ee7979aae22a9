"""What a mail may contain: nothing about a person, and no secret.

Here: removing both from texts that systems wrote, such as errors. Not here: the content of reports and the quarantine;
a mail shows only counts of it.
"""

import os
import re

_HIDDEN = (
    # The part before the @ in an address with a scheme is a login.
    (re.compile(r"(\w+://)[^\s/@'\"]+@"), r"\1(login hidden)@"),
    (re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "(address hidden)"),
    # Klaviyo's ids of people, which are ULIDs, and telephone numbers with their country.
    (re.compile(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b"), "(id hidden)"),
    (re.compile(r"(?<![\w.])\+\d[\d ()/-]{6,}\d"), "(number hidden)"),
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
    return text
