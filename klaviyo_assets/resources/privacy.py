"""The key with which personal values are hashed.

Here: settings. Not here: what is personal, and the hash itself (`mapping/privacy.py`).
"""

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.settings import optional


class PrivacyResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The deployment's hash key; needed while an account has pii = "hash"."""

    hash_key: str = Field(default="", description="Key of the hash of personal values (PII_HASH_KEY).")

    def of(self, account: Account) -> Privacy:
        """The treatment of this account's personal values.

        Raises:
            SettingsError: the account hashes and the key is missing or short.
        """
        return Privacy(account.pii, optional(self.hash_key, "PII_HASH_KEY").encode())
