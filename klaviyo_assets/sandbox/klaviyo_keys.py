"""Private API keys of the simulated Klaviyo accounts, so that the stand-in and whoever is told of it agree on them."""

import hashlib
import hmac


def klaviyo_key(secret: str, account: str) -> str:
    """The key of one account: nobody guesses it without the sandbox's own secret."""
    return "pk_" + hmac.new(secret.encode(), f"klaviyo {account}".encode(), hashlib.sha256).hexdigest()[:34]
