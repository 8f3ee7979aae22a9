"""`klaviyo-assets looker-link`: which links, how they are printed, and what is said beside them."""

import json
import os
import shlex
import sys
import webbrowser
from urllib.parse import parse_qsl, urlsplit

import pytest

from klaviyo_assets.cli.looker_link import looker_link
from klaviyo_assets.reports.looker.link import FIRST_VIEW
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS

SHARED, OWN, GIVEN = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
ACCOUNTS = f"""
[[account]]
name = "acme"
postgres_schema = "klaviyo_acme"

[[account]]
name = "bloom"
postgres_schema = "klaviyo_bloom"
looker_template_id = "{OWN}"
"""


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """Two accounts, one with a template of its own, and a project."""
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("BIGQUERY_", "KLAVIYO_", "LOOKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BIGQUERY_PROJECT", "my-project")
    return tmp_path


def parameters(url):
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


def datasets(url):
    return {value for name, value in parameters(url).items() if name.endswith(".datasetId")}


def test_every_account_has_a_link_on_a_line_of_its_own(call, monkeypatch):
    monkeypatch.setenv("LOOKER_TEMPLATE_ID", SHARED)
    result = call(looker_link)

    assert result.exit_code == 0, result.stderr
    acme, bloom = result.stdout.splitlines()
    assert [parameters(url)["c.reportId"] for url in (acme, bloom)] == [SHARED, OWN]
    assert [datasets(url) for url in (acme, bloom)] == [{"klaviyo_acme"}, {"klaviyo_bloom"}]
    assert result.stderr.splitlines()[0] == "acme: 10 data sources of my-project.klaviyo_acme"


def test_the_prefix_of_datasets_and_a_template_given_by_address_count(call, monkeypatch):
    monkeypatch.setenv("BIGQUERY_DATASET_PREFIX", "k2")
    address = f"https://lookerstudio.google.com/reporting/{GIVEN}/page/p_1"
    result = call(looker_link, "--account", "bloom", "--template", address)

    assert (parameters(result.stdout.strip())["c.reportId"], datasets(result.stdout.strip())) == (GIVEN, {"k2_bloom"})


def test_the_portfolio_is_all_accounts_and_is_asked_for_alone(call, monkeypatch):
    monkeypatch.setenv("LOOKER_TEMPLATE_ID", SHARED)
    (url,) = call(looker_link, "--portfolio").stdout.splitlines()

    assert datasets(url) == {"klaviyo_portfolio"}
    assert len(call(looker_link, "--portfolio", "--account", "acme").stdout.splitlines()) == 2


def test_without_a_template_it_says_how_to_make_one(call):
    result = call(looker_link, "--account", "acme")

    assert parameters(result.stdout.strip())["ds.tableId"] == FIRST_VIEW
    assert result.stderr.splitlines() == [
        f"acme: one data source, {FIRST_VIEW}, of my-project.klaviyo_acme",
        "Without a template the report is empty and has one data source. docs/looker_studio.md explains how to "
        "create one; then set LOOKER_TEMPLATE_ID in .env.",
    ]


def test_json_lists_links_and_what_each_opens(call):
    result = call(looker_link, "--json", "--account", "bloom")

    (link,) = json.loads(result.stdout)
    assert (link["of"], link["template"], datasets(link["url"])) == ("bloom", OWN, {"klaviyo_bloom"})
    assert {source["alias"] for source in link["sources"]} == set(LOOKER_VIEWS)
    assert {(source["project"], source["dataset"]) for source in link["sources"]} == {("my-project", "klaviyo_bloom")}
    assert result.stderr == ""


def test_local_servers_are_said_to_be_out_of_looker_studios_reach(call, monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:1")
    result = call(looker_link, "--account", "bloom")

    assert result.exit_code == 0
    assert "Looker Studio cannot reach" in result.stderr


def test_open_hands_the_link_to_the_browser(call, tmp_path, monkeypatch):
    opened = tmp_path / "opened"
    script = tmp_path / "browser.py"
    script.write_text(f"import pathlib, sys; pathlib.Path({str(opened)!r}).write_text(sys.argv[1])")
    # The browser is read from the environment once per process.
    monkeypatch.setenv("BROWSER", f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} %s")
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    result = call(looker_link, "--account", "bloom", "--open")

    assert result.exit_code == 0, result.stderr
    assert opened.read_text() == result.stdout.strip()


def test_open_takes_one_link(call):
    result = call(looker_link, "--open")

    assert result.exit_code == 2
    assert "there are 2: acme, bloom" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--account", "acne"], "Choose one of: acme, bloom."),
        (["--template", "x y"], "'x y' is not a Looker Studio template"),
    ],
)
def test_a_wrong_name_is_wrong_usage(call, arguments, message):
    result = call(looker_link, *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_without_a_project_it_says_what_to_set(call, monkeypatch):
    monkeypatch.delenv("BIGQUERY_PROJECT")
    result = call(looker_link)

    assert result.exit_code == 2
    assert "the setting BIGQUERY_PROJECT is missing" in result.stderr
