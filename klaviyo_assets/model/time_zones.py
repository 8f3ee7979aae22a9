"""Time zones: the one name under which every system that the product uses knows a zone.

Here: replacing an older or shorter name by the canonical one, and refusing what is not a time zone. Not here: which
zone an account is in (`accounts.py`).

Python finds zones in the package tzdata, Arrow in the operating system, Postgres and BigQuery in data of their own. Not
all of them have the older names: Debian keeps US/Eastern, which Klaviyo itself writes, in a package of its own.
"""

from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from klaviyo_assets.errors import SettingsError

UTC_NAME = "UTC"
# Zones that do not belong to a place.
_NO_ZONES = {"Factory", "localtime", "posixrules"}


def canonical_zone(name: str) -> str:
    """The canonical IANA name of a time zone.

    A name that the IANA lists for a country stays as it is, even if it shares another zone's rules: Europe/Oslo.

    Raises:
        SettingsError: there is no such zone, or this machine has no data for it; the message suggests a zone.
    """
    links, listed = _links(), _listed()
    zone = name
    while zone not in listed and zone in links:
        zone = links[zone]
    zone = UTC_NAME if zone in {"Etc/UTC", UTC_NAME} else zone
    if zone not in _zones() or zone in _NO_ZONES:
        raise SettingsError(
            f"{name!r} is not a time zone", f"Allowed: an IANA name such as Europe/Berlin.{_meant(name)}"
        )
    if not _is_known_to_arrow(zone):
        raise SettingsError(
            f"{name!r} is the time zone {zone}, but this machine has no data for it",
            "Install the operating system's time zones (Debian and Ubuntu: apt-get install tzdata), or update them.",
        )
    return zone


def _meant(name: str) -> str:
    by_lower = {zone.lower(): zone for zone in _zones() - _NO_ZONES}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]}?" if near else ""


@cache
def _is_known_to_arrow(name: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.local_timestamp(pa.array([0], pa.timestamp("us", tz=name)))
    except (pa.ArrowException, OSError):
        return False
    return True


def _read(name: str) -> list[str]:
    return files("tzdata").joinpath(name).read_text(encoding="utf-8").splitlines()


@cache
def _zones() -> frozenset[str]:
    return frozenset(_read("zones"))


@cache
def _listed() -> frozenset[str]:
    """The names that the IANA lists for countries."""
    lines = _read("zoneinfo/zone.tab")
    return frozenset(line.split("\t")[2] for line in lines if line and not line.startswith("#"))


@cache
def _links() -> dict[str, str]:
    """Every other name, with the zone that it stands for."""
    parts = (line.split() for line in _read("zoneinfo/tzdata.zi") if line.startswith("L "))
    return {name: target for _, target, name in parts}
