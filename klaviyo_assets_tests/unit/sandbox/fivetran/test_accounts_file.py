"""The accounts file that the stand-in writes for the product."""

from datetime import date

import pytest

from klaviyo_assets.accounts import read_accounts_file
from klaviyo_assets.errors import SettingsError
from klaviyo_assets.sandbox.fivetran.accounts_file import add_missing_accounts
from klaviyo_assets.sandbox.fivetran.shop import profile

DAY = date(2026, 10, 1)


def described(*indices):
    return [(profile(i), ("Placed Order", "Shopify" if profile(i).api_orders else None), DAY) for i in indices]


def test_the_product_reads_what_is_written(tmp_path):
    path = tmp_path / "accounts.toml"
    add_missing_accounts(path, described(0, 1, 3))

    accounts = read_accounts_file(path)

    assert accounts.names == ["acme", "bloom", "dune"]
    assert accounts["acme"].conversion_integration == "Shopify"
    assert accounts["bloom"].conversion_integration is None
    assert (accounts["bloom"].timezone, accounts["bloom"].currency) == ("Europe/Berlin", "EUR")
    assert (accounts["dune"].start_date, accounts["dune"].pii) == (DAY, "hash")


def test_edits_stay_and_only_missing_accounts_are_added(tmp_path):
    path = tmp_path / "accounts.toml"
    add_missing_accounts(path, described(0))
    edited = path.read_text().replace('"hash"', '"drop"') + "# mine"
    path.write_text(edited)

    added = add_missing_accounts(path, described(0, 1))
    again = add_missing_accounts(path, described(0, 1))

    assert (added, again) == (["bloom"], [])
    assert path.read_text().startswith(edited)
    assert read_accounts_file(path)["acme"].pii == "drop"


def test_a_file_that_is_not_toml_is_left_alone_and_named(tmp_path):
    path = tmp_path / "accounts.toml"
    path.write_text("[[account]\n")

    with pytest.raises(SettingsError, match="Fix the file"):
        add_missing_accounts(path, described(0))
    assert path.read_text() == "[[account]\n"
