"""Every statement that the product sends to BigQuery, judged by Google's own analyzer.

A small account goes through all that sends any (`all_statements.py`): loads, deltas, reports, views, and whatever reads
them. A recorder notes each statement with the line that sent it. A call in the source that sent nothing here fails the
test by name: no statement can be added that this test does not see.
"""

from dataclasses import dataclass

import pytest

from klaviyo_assets_tests.googlesql.call_sites import Recording, call_sites
from klaviyo_assets_tests.googlesql.engine import GoogleSqlError
from klaviyo_assets_tests.googlesql.google import GoogleSql
from klaviyo_assets_tests.googlesql.product import account_tables, names_of, parameters_of, staging_tables
from klaviyo_assets_tests.googlesql.rules import broken_rules
from klaviyo_assets_tests.googlesql.values import api_name
from klaviyo_assets_tests.integration.all_statements import load, load_changes, read
from klaviyo_assets_tests.integration.deployment import Deployment


@dataclass
class Driven:
    """What was sent while everything that sends SQL did so."""

    account: Deployment
    large: Deployment
    recording: Recording


@pytest.fixture(scope="module")
def driven(deploy, tmp_path_factory) -> Driven:
    """An account whose day is loaded twice, and another with large tables."""
    account, large = deploy("select", last_days=1), deploy("judged_large", last_days=0)
    folder = tmp_path_factory.mktemp("judged")
    driven = Driven(account, large, Recording())
    with driven.recording.of_everything():
        load(account)
        load_changes(large)
        read(account, folder)
    return driven


def test_every_statement_in_the_source_was_sent(driven):
    missed = call_sites() - driven.recording.reached()

    assert not missed, "\n".join(
        f"the statement at {site} never reached Google's analyzer: let `integration/test_statements.py` drive it"
        for site in sorted(missed)
    )


def test_google_accepts_every_statement_that_was_sent(driven, record_property):
    """And gives the columns that the stand-in gave."""
    google = GoogleSql()
    sent = {each.sql: each for each in driven.recording.statements}
    tables = {
        name: table
        for dataset in {each.dataset.qualified for each in sent.values()}
        for name, table in account_tables(dataset).items()
    }
    google.tables = {**tables, **staging_tables(list(sent))}
    wrong = []
    for sql, each in sent.items():
        try:
            columns = google.columns(sql, parameters_of(each.parameters))
        except GoogleSqlError as error:
            wrong.append(f"{error}: {sql}")
            continue
        wrong += [f"{rule}: {sql}" for rule in broken_rules(sql, columns)]
        answered = [(name, api_name(kind)) for name, kind, _ in each.columns]
        if sql.lstrip().startswith(("SELECT", "WITH")) and answered != names_of(columns):
            wrong.append(f"Google: {names_of(columns)}, stand-in: {answered}: {sql}")

    record_property("statements", len(sent))
    assert wrong == []
    assert len(sent) >= len(call_sites())
