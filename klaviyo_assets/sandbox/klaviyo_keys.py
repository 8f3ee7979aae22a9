"""Private API keys of the simulated Klaviyo accounts, shared by the stand-in and the settings that name it."""

import hashlib
import hmac


def klaviyo_key(secret: str, account: str) -> str:
    """The key of one account; it cannot be guessed without the sandbox's secret."""
    return "pk_" + hmac.new(secret.encode(), f"klaviyo {account}".encode(), hashlib.sha256).hexdigest()[:34]
