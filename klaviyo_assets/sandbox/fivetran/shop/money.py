"""How amounts of money look in the raw data: mostly clean, sometimes not.

Here: the spellings of `property_value`.
"""

import json
from decimal import Decimal

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.columns import texts
from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Floats
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

# What real shops send instead of a plain number, and how often in all.
_ODD_SHARE = 0.012


def spelled_money(profile: Profile, amounts: Floats, rolls: Floats | None) -> Column:
    """Amounts as the account's `value` property.

    Args:
        profile: Decides number, text or JSON literal.
        amounts: The true amounts.
        rolls: A uniform number per amount, deciding which are spelled oddly; None spells all plainly.

    Returns:
        Numbers, texts, or (for packed accounts) JSON literals that are sometimes a number and sometimes a text.
    """
    if profile.numeric_values:
        return pa.array(amounts)
    odd = np.zeros(len(amounts), dtype=bool) if rolls is None else rolls < _ODD_SHARE
    packed = profile.spelling == "packed"
    plain = [repr(float(amount)) if packed else _plain(float(amount)) for amount in amounts]
    for position in np.flatnonzero(odd):
        text = _odd(float(amounts[position]), int(rolls[position] * 1e6) if rolls is not None else 0)
        plain[position] = json.dumps(text) if packed else text
    return texts(plain)


def _plain(amount: float) -> str:
    return f"{amount:.6f}" if amount >= 0 else f"{amount:g}"


def _odd(amount: float, roll: int) -> str:
    whole, cents = divmod(round(amount * 100), 100)
    european = f"{whole:,}".replace(",", ".") + f",{cents:02d}"
    return ("n.a.", european, f"{amount:.2f}", "", european, "inf", "1e-05", f"{amount:.2f}")[roll % 8]


def understood(profile: Profile, amounts: Floats, rolls: Floats) -> list[Decimal]:
    """The amounts that a reader understands from these spellings; 0 if they cannot be read."""
    exact = [Decimal(str(round(float(amount), 2))) for amount in amounts]
    if profile.numeric_values:
        return exact
    unclear = {0: Decimal(0), 3: Decimal(0), 5: Decimal(0), 6: Decimal("0.00001")}
    return [
        unclear.get(int(roll * 1e6) % 8, amount) if roll < _ODD_SHARE else amount
        for amount, roll in zip(exact, rolls, strict=True)
    ]
