"""Which accounts take part in the portfolio: one that fails as nobody foresaw leaves the others their views."""

from types import SimpleNamespace

import pytest

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.assets.portfolio import Portfolio
from klaviyo_assets.errors import PermanentError, TransientError

ACCOUNTS = Accounts({name: Account(name, f"klaviyo_{name}") for name in ("acme", "bloom", "zoo")}, "a test")


def bigquery(faults):
    """A project whose datasets hold one table each, and fail where a test says so."""

    def dataset(account):
        def query(_):
            if account.name in faults:
                raise faults[account.name]
            return [{"table_name": "event", "column_name": "event_id"}]

        return SimpleNamespace(qualified=f"p.klaviyo_{account.name}", query=query)

    portfolio = SimpleNamespace(ensure=lambda _: None, tables=dict)
    return SimpleNamespace(portfolio=lambda: portfolio, dataset=dataset)


def test_an_account_that_fails_as_nobody_foresaw_is_left_out_and_fails_the_run_at_its_end():
    portfolio = Portfolio.of(
        ACCOUNTS, bigquery({"bloom": KeyError("jane@shop.example"), "zoo": PermanentError("denied")})
    )

    assert list(portfolio.members) == ["acme"]
    assert portfolio.left_out["zoo"] == "denied"
    assert portfolio.left_out["bloom"].startswith("unforeseen KeyError at")
    assert "jane" not in portfolio.left_out["bloom"]
    assert list(portfolio.unforeseen) == ["account bloom"]


def test_a_transient_error_leaves_all_views_as_they_are():
    with pytest.raises(TransientError, match="away"):
        Portfolio.of(ACCOUNTS, bigquery({"bloom": TransientError("away")}))
