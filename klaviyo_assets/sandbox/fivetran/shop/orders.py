"""The contents of an order: lines, money and texts, each a pure function of the order's number.

Here: the product range and the order's contents. Not here: who ordered when (`activity`).
"""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Dice, Floats, Ints
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

MOST_LINES = 4
_COUNT = 48
_KINDS = ("Tee", "Hoodie", "Mug", "Candle", "Tote", "Serum", "Blend", "Notebook")
_STYLES = ("Classic", "Alpine", "Moss", "Harbor", "Sunrise", "Midnight")
_SIZES = ("S", "M", "L", "XL")
_BRANDS = ("Northfold", "Lumen & Co", "O'Hara")
_FOREIGN = ("EUR", "USD", "GBP", "CHF")
_FOREIGN_SHARE = 0.03
_SCALE = {"JPY": 150, "BRL": 5}


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the range."""

    product_id: str
    name: str
    kind: str
    brand: str
    sku: str
    price: float


class Orders:
    """Contents of orders by their sequence numbers."""

    def __init__(self, dice: Dice, profile: Profile) -> None:
        self._dice, self._profile = dice, profile

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """The account's range."""
        prices = 9 + np.floor(self._dice.uniform(np.arange(_COUNT), "price") ** 2 * 110)
        scale = _SCALE.get(self._profile.currency, 1)
        cents = 0.0 if self._profile.decimals == 0 else 0.99
        return tuple(self._product(i, float(price) * scale + cents) for i, price in enumerate(prices))

    def line_counts(self, orders: Ints) -> Ints:
        """How many lines each order has, 1 to 4."""
        return self._dice.weighted(orders, "lines", (0.58, 0.26, 0.11, 0.05)) + 1

    def product_of(self, orders: Ints, line: Ints | int) -> Ints:
        """Which product a line holds."""
        return (self._dice.uniform(orders * MOST_LINES + line, "product") ** 1.7 * _COUNT).astype(np.int64)

    def quantity_of(self, orders: Ints, line: Ints | int) -> Ints:
        """How many pieces a line holds."""
        return self._dice.weighted(orders * MOST_LINES + line, "quantity", (0.86, 0.11, 0.03)) + 1

    def line_values(self, orders: Ints, line: Ints | int) -> Floats:
        """The money of one line."""
        prices = np.array([product.price for product in self.products])
        return self._round(prices[self.product_of(orders, line)] * self.quantity_of(orders, line))

    def shipping(self, orders: Ints) -> Floats:
        """What shipping costs; nothing for most."""
        scale = _SCALE.get(self._profile.currency, 1)
        return np.where(self._dice.chance(orders, "shipping", 0.35), 4.9 * scale, 0.0)

    def discounts(self, orders: Ints) -> Floats:
        """What a coupon takes off: a tenth, for a fifth of the orders."""
        has_discount = self._dice.chance(orders, "discount", 0.2)
        return np.where(has_discount, self._round(self._goods(orders) * 0.1), 0.0)

    def totals(self, orders: Ints, edition: Ints | int = 0) -> Floats:
        """What the customer paid; each edition of an edited order adds one unit of money."""
        return self._round(self._goods(orders) + self.shipping(orders) - self.discounts(orders) + edition)

    def refunds(self, orders: Ints) -> Floats:
        """What was given back: all of it, or half."""
        half = self._dice.chance(orders, "half refund", 0.5)
        return self._round(self.totals(orders) * np.where(half, 0.5, 1.0))

    def currencies(self, orders: Ints) -> Column:
        """The currency each was paid in: the account's for nearly all."""
        names = [self._profile.currency, *_FOREIGN]
        foreign = self._dice.chance(orders, "foreign", _FOREIGN_SHARE)
        choice = np.where(foreign, 1 + self._dice.below(orders, "currency", len(_FOREIGN)), 0)
        return pa.array(names).take(pa.array(choice))

    def numbers(self, orders: Ints) -> Column:
        """The shop system's own order numbers."""
        return pa.array(4_000_000_000 + orders % 1_000_000_000).cast(pa.string())

    def size_of(self, orders: Ints, line: Ints | int) -> Column:
        """The size chosen in a line."""
        return pa.array(_SIZES).take(pa.array(self._dice.below(orders * MOST_LINES + line, "size", len(_SIZES))))

    def items_json(self, orders: Ints) -> list[str]:
        """The lines as the JSON array that the shop system sends."""
        counts = self.line_counts(orders)
        products = [self.product_of(orders, line) for line in range(MOST_LINES)]
        quantities = [self.quantity_of(orders, line) for line in range(MOST_LINES)]
        return [
            "[" + ",".join(self._item(int(products[k][i]), int(quantities[k][i])) for k in range(count)) + "]"
            for i, count in enumerate(counts)
        ]

    def _item(self, product: int, quantity: int) -> str:
        return f'{self._item_beginnings[product]}"quantity": {quantity}}}'

    @cached_property
    def _item_beginnings(self) -> list[str]:
        return [
            json.dumps({"product_id": p.product_id, "name": p.name, "sku": p.sku, "price": p.price})[:-1] + ", "
            for p in self.products
        ]

    def _goods(self, orders: Ints) -> Floats:
        counts, goods = self.line_counts(orders), np.zeros(len(orders))
        for line in range(MOST_LINES):
            goods += np.where(counts > line, self.line_values(orders, line), 0.0)
        return self._round(goods)

    def _round(self, money: Floats) -> Floats:
        return np.round(money, self._profile.decimals)

    def _product(self, index: int, price: float) -> Product:
        kind, style = _KINDS[index % len(_KINDS)], _STYLES[index // len(_KINDS) % len(_STYLES)]
        return Product(
            product_id=self._dice.digits("product", index, length=13),
            name=f"{style} {kind}",
            kind=kind,
            brand=_BRANDS[index % len(_BRANDS)],
            sku=f"{kind[:3].upper()}-{index:03d}",
            price=round(price, 2),
        )
