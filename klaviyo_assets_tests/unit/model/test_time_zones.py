"""Every zone has one name here, under which Python and Arrow know it and find the same times in it."""

from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.model import time_zones
from klaviyo_assets.model.time_zones import canonical_zone

NAMES = sorted(set(files("tzdata").joinpath("zones").read_text().split()) - {"Factory"})
MOMENTS = [datetime(year, month, 15, 12, tzinfo=UTC) for year in (2015, 2020, 2026) for month in (1, 4, 7, 10)]


@pytest.mark.parametrize(
    ("given", "wanted"),
    {
        "US/Eastern": "America/New_York", "US/Pacific": "America/Los_Angeles", "US/Central": "America/Chicago",
        "GB": "Europe/London", "Asia/Calcutta": "Asia/Kolkata", "Europe/Kiev": "Europe/Kyiv", "Japan": "Asia/Tokyo",
        "America/Buenos_Aires": "America/Argentina/Buenos_Aires", "Zulu": "UTC", "Etc/UTC": "UTC", "UTC": "UTC",
        "Europe/Berlin": "Europe/Berlin", "Europe/Oslo": "Europe/Oslo", "Europe/Amsterdam": "Europe/Amsterdam",
        "Etc/GMT+5": "Etc/GMT+5",
    }.items(),
)  # fmt: skip
def test_a_zone_has_its_canonical_name(given, wanted):
    assert canonical_zone(given) == wanted


def test_every_zone_keeps_its_times_under_its_canonical_name_for_python_and_arrow():
    for name in NAMES:
        zone = canonical_zone(name)
        local = [moment.astimezone(ZoneInfo(name)).replace(tzinfo=None) for moment in MOMENTS]
        by_arrow = pc.local_timestamp(pa.array(MOMENTS, pa.timestamp("us", tz=zone))).to_pylist()
        assert by_arrow == local, name
        assert canonical_zone(zone) == zone


def test_canonical_names_are_ones_that_every_tz_database_has():
    """None of them is in the file `backward`, which may be left out: Debian's package tzdata-legacy holds it."""
    legacy = {"US", "Canada", "Brazil", "Chile", "Mexico", "Pacific/Samoa", "Asia/Calcutta", "Asia/Saigon"}

    assert not {name for name in map(canonical_zone, NAMES) if name in legacy or name.split("/")[0] in legacy}


@pytest.mark.parametrize(
    ("given", "meant"),
    {"europe/berlin": "Europe/Berlin", "Europe/Berln": "Europe/Berlin", "US/Estern": "US/Eastern"}.items(),
)
def test_a_misspelled_zone_is_refused_with_what_is_meant(given, meant):
    with pytest.raises(SettingsError, match=rf"is not a time zone.*Did you mean {meant}\?"):
        canonical_zone(given)


@pytest.mark.parametrize(
    "given", ["Factory", "localtime", "", "../../etc/passwd", "EST5EDT,M3.2.0,M11.1.0", "\0", "PST"]
)
def test_what_is_no_zone_is_refused(given):
    with pytest.raises(SettingsError, match="an IANA name such as Europe/Berlin"):
        canonical_zone(given)


def test_what_is_refused_is_not_proposed():
    with pytest.raises(SettingsError, match=r"such as Europe/Berlin\.$"):
        canonical_zone("Factory")


def test_a_zone_of_which_the_machine_has_no_data_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(time_zones, "_is_known_to_arrow", lambda name: name != "Europe/Kyiv")

    with pytest.raises(SettingsError, match="'Europe/Kiev' is the time zone Europe/Kyiv, but this machine has no"):
        canonical_zone("Europe/Kiev")
