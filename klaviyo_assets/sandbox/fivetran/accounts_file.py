"""The `accounts.toml` that describes the simulated shops to the product.

Here: writing missing `[[account]]` blocks. Existing blocks belong to the user and stay unchanged.
"""

import tomllib
from datetime import date
from pathlib import Path

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.sandbox.fivetran.shop import Profile

_HEAD = "# One [[account]] per Klaviyo account. Written once for the sandbox; edit freely, edits are kept.\n"


def add_missing_accounts(path: Path, accounts: list[tuple[Profile, tuple[str, str | None], date]]) -> list[str]:
    """Append a block for every account that the file does not name.

    Args:
        path: The file; created if it is missing.
        accounts: Profile, conversion metric with its integration (None where its name is unique), first day.

    Returns:
        The names added.
    """
    text = path.read_text() if path.exists() else ""
    known_names = _names(path, text)
    missing = [account for account in accounts if account[0].name not in known_names]
    if not missing:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = [_block(*account) for account in missing]
    begin = text if not text or text.endswith("\n") else text + "\n"
    path.write_text("\n".join([begin or _HEAD, *blocks]))
    return [account[0].name for account in missing]


def _names(path: Path, text: str) -> set[str]:
    try:
        accounts = tomllib.loads(text).get("account", [])
        return {str(account["name"]) for account in accounts}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise SettingsError(
            f"cannot add the sandbox's accounts to {path}: {error}", "Fix the file, or remove it."
        ) from error


def _block(profile: Profile, conversion: tuple[str, str | None], start: date) -> str:
    metric, integration = conversion
    lines = [
        "[[account]]",
        f'name = "{profile.name}"',
        f'fivetran_connection_id = "{profile.connection_id}"',
        f'postgres_schema = "{profile.schema}"',
        f'timezone = "{profile.timezone}"',
        f'currency = "{profile.currency}"',
        f'conversion_metric = "{metric}"',
        *([] if integration is None else [f'conversion_integration = "{integration}"']),
        f"start_date = {start.isoformat()}",
        'pii = "hash"',
        "",
        "[account.attribution]",
        'source = "auto"',
    ]
    return "\n".join(lines) + "\n"
