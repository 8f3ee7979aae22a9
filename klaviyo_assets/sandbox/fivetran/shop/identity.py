"""Personal data of simulated people: names, addresses, numbers. All of it is invented, and is a function of the person.

Here: what a privacy setting must hide. Not here: behavior (`people`).
"""

import unicodedata

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.columns import join, number_texts, pick, texts, where
from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Dice, Ints
from klaviyo_assets.sandbox.fivetran.shop.people import People
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile

_FIRST = [
    "Anna",
    "Ben",
    "Chloe",
    "David",
    "Elif",
    "Femi",
    "Grace",
    "Hugo",
    "Iris",
    "Jonas",
    "Kaya",
    "Liam",
    "Mara",
    "Noah",
    "Olga",
    "Paul",
    "Quinn",
    "Rosa",
    "Sven",
    "Tara",
    "Uma",
    "Viktor",
    "Wanda",
    "Xavier",
    "Yuki",
    "Zoë",
    "José",
    "Søren",
    "Maëlle",
    "Łukasz",
]
_LAST = [
    "Adams",
    "Bauer",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ivanov",
    "Jones",
    "Kim",
    "Lopez",
    "Meyer",
    "Nguyen",
    "O'Brien",
    "Patel",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Young",
    "Zhang",
    "Müller",
    "Nuñez",
]
_DOMAINS = ("gmail.com", "yahoo.com", "hotmail.com", "icloud.com", "outlook.com", "example.org")
_DOMAIN_WEIGHTS = (0.46, 0.12, 0.1, 0.16, 0.1, 0.06)
_CITIES = {
    "US": ("Brooklyn", "Austin", "Portland", "Chicago", "Denver"),
    "DE": ("Berlin", "Köln", "München", "Leipzig", "Hamburg"),
    "GB": ("London", "Leeds", "Bristol", "Glasgow", "Cardiff"),
    "JP": ("Tokyo", "Osaka", "Kyoto", "Sapporo", "Fukuoka"),
    "AU": ("Sydney", "Perth", "Hobart", "Brisbane", "Adelaide"),
    "BR": ("São Paulo", "Recife", "Curitiba", "Salvador", "Belém"),
}
_COUNTRIES = {
    "US": "United States",
    "DE": "Germany",
    "GB": "United Kingdom",
    "JP": "Japan",
    "AU": "Australia",
    "BR": "Brazil",
}
_PREFIX = {"US": "+1", "DE": "+49", "GB": "+44", "JP": "+81", "AU": "+61", "BR": "+55"}


class Identity:
    """Personal texts by person; null for anonymous ones (-1)."""

    def __init__(self, dice: Dice, people: People, profile: Profile) -> None:
        self._dice, self._people, self._country = dice, people, profile.country

    def ids(self, persons: Ints) -> Column:
        """Klaviyo's person ids (ULIDs)."""
        unique, inverse = np.unique(persons, return_inverse=True)
        ulids = self._dice.ulids(self._people.created_at(np.maximum(unique, 0)), unique, "person")
        return where(unique >= 0, ulids).take(pa.array(inverse))

    def first_names(self, persons: Ints) -> Column:
        """First names; unknown for some."""
        has_name = (persons >= 0) & ~self._dice.chance(persons, "nameless", 0.12)
        return where(has_name, pick(_FIRST, self._dice.below(persons, "first", len(_FIRST))))

    def last_names(self, persons: Ints) -> Column:
        """Last names; unknown for some."""
        has_name = (persons >= 0) & ~self._dice.chance(persons, "nameless", 0.12)
        return where(has_name, pick(_LAST, self._dice.below(persons, "last", len(_LAST))))

    def domains(self, persons: Ints) -> Column:
        """Mail domains."""
        return where(persons >= 0, pick(_DOMAINS, self._dice.weighted(persons, "domain", _DOMAIN_WEIGHTS)))

    def emails(self, persons: Ints) -> Column:
        """Mail addresses, one per person."""
        plain = [_plain(name) for name in _FIRST], [_plain(name) for name in _LAST]
        first = pick(plain[0], self._dice.below(persons, "first", len(_FIRST)))
        last = pick(plain[1], self._dice.below(persons, "last", len(_LAST)))
        return join(first, ".", last, number_texts(persons), "@", self.domains(persons))

    def phones(self, persons: Ints) -> Column:
        """Phone numbers where one is known."""
        has_phone = (persons >= 0) & self._people.has_phone(persons)
        digits = number_texts(2_000_000_000 + self._dice.below(persons, "digits", 7_999_999_999))
        return where(has_phone, join(_PREFIX[self._country], digits))

    def ips(self, persons: Ints) -> Column:
        """Addresses people last came from (documentation ranges)."""
        return where(persons >= 0, join("203.0.113.", number_texts(self._dice.below(persons, "ip", 254) + 1)))

    def cities(self, persons: Ints, editions: Ints) -> Column:
        """Cities; each edit of a person is a move to a different city."""
        names = _CITIES[self._country]
        return pick(names, (self._dice.below(persons, "city", len(names)) + editions) % len(names))

    def streets(self, persons: Ints) -> Column:
        """First address lines; unknown for most."""
        has_street = self._dice.chance(persons, "street", 0.4)
        return where(has_street, join(number_texts(1 + self._dice.below(persons, "house", 200)), " Garden Street"))

    def zips(self, persons: Ints) -> Column:
        """Postal codes."""
        return number_texts(10_000 + self._dice.below(persons, "zip", 89_999))

    @property
    def country(self) -> str:
        """The country's name."""
        return _COUNTRIES[self._country]

    @property
    def country_code(self) -> str:
        """The country's two letters."""
        return self._country

    def countries(self, count: int) -> Column:
        """The country on every row."""
        return texts([self.country]).take(pa.array(np.zeros(count, dtype=np.int64)))


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("Ł", "L").replace("'", ""))
    return letters.encode("ascii", "ignore").decode().lower()
