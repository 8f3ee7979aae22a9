"""The link to Looker Studio: it names the right project, dataset and views, and special characters survive."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.reports.looker.link import FIRST_VIEW, MAX_LENGTH, looker_link, report_name, sources, template_id
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, TITLES

TEMPLATE = "0b5ff6ab-1234-4000-8000-00aa00bb00cc"
ACME = sources("my-project.klaviyo_acme", "acme")
# Anything that may stand in a name; a lone half of a surrogate pair is no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)


def parsed(url):
    """What Looker Studio reads: the parameters of a link, each once."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "lookerstudio.google.com", "/reporting/create")
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def by_alias(url):
    """The parameters of each data source; `*` stands for those of all."""
    parameters = {}
    for name, value in parsed(url).items():
        kind, _, rest = name.partition(".")
        if kind == "ds":
            alias, _, key = rest.rpartition(".")
            parameters.setdefault(alias, {})[key] = value
    return parameters


def test_with_a_template_every_view_is_a_data_source_under_its_own_alias():
    url = looker_link(ACME, "Klaviyo: acme", TEMPLATE)

    assert parsed(url)["c.reportId"] == TEMPLATE
    assert parsed(url)["r.reportName"] == "Klaviyo: acme"
    assert by_alias(url) == {
        name: {
            "connector": "bigQuery", "type": "TABLE", "projectId": "my-project", "datasetId": "klaviyo_acme",
            "tableId": name, "datasourceName": f"{TITLES[name]} (acme)", "refreshFields": "false",
        }
        for name in LOOKER_VIEWS
    }  # fmt: skip
    assert len(url) < MAX_LENGTH


def test_without_a_template_an_empty_report_starts_with_one_data_source():
    url = looker_link(ACME, "Klaviyo: acme")

    assert parsed(url) == {
        "r.reportName": "Klaviyo: acme", "ds.connector": "bigQuery", "ds.type": "TABLE", "ds.projectId": "my-project",
        "ds.datasetId": "klaviyo_acme", "ds.tableId": FIRST_VIEW, "ds.datasourceName": f"{TITLES[FIRST_VIEW]} (acme)",
    }  # fmt: skip
    assert FIRST_VIEW in LOOKER_VIEWS


@given(project=TEXTS, dataset=NAMES, owner=TEXTS, name=TEXTS)
def test_whatever_is_in_a_name_arrives_as_it_is(project, dataset, owner, name):
    url = looker_link(sources(f"{project}.{dataset}", owner), name, TEMPLATE)

    assert url.isascii()
    assert " " not in url
    assert parsed(url)["r.reportName"] == name
    parameters = by_alias(url)
    shared = parameters.get("*", {})
    assert set(parameters) - {"*"} == set(LOOKER_VIEWS)
    for alias, settings in parameters.items():
        if alias != "*":
            alias_parameters = shared | settings
            assert (alias_parameters["projectId"], alias_parameters["datasetId"], alias_parameters["tableId"]) == (
                project,
                dataset,
                alias,
            )
            assert (alias_parameters["connector"], alias_parameters["type"], alias_parameters["refreshFields"]) == (
                "bigQuery",
                "TABLE",
                "false",
            )


def test_a_long_link_says_once_what_all_data_sources_share():
    dataset = f"klaviyo_{'x' * 600}"
    url = looker_link(sources(f"my-project.{dataset}", "acme"), "Klaviyo: acme", TEMPLATE)

    assert len(url) <= MAX_LENGTH
    parameters = by_alias(url)
    assert parameters["*"] == {
        "connector": "bigQuery", "type": "TABLE", "projectId": "my-project", "datasetId": dataset,
        "refreshFields": "false",
    }  # fmt: skip
    assert {alias: settings["tableId"] for alias, settings in parameters.items() if alias != "*"} == {
        name: name for name in LOOKER_VIEWS
    }


@pytest.mark.parametrize("template", ["", TEMPLATE])
def test_a_link_that_no_browser_has_to_take_is_refused_with_its_length(template):
    data = sources(f"my-project.{'x' * MAX_LENGTH}", "acme")
    with pytest.raises(
        PermanentError,
        match=rf"would be \d+ characters long, but not every browser takes more than {MAX_LENGTH}.*Shorten",
    ):
        looker_link(data, "Klaviyo: acme", template)


def test_a_project_of_an_organization_keeps_its_colon():
    url = looker_link(sources("example.com:reports.klaviyo_acme", "acme"), "n", TEMPLATE)

    assert {settings["projectId"] for settings in by_alias(url).values()} == {"example.com:reports"}


@pytest.mark.parametrize("dataset", ["klaviyo_acme", ".klaviyo_acme", "project."])
def test_a_dataset_without_a_project_is_refused(dataset):
    with pytest.raises(PermanentError, match=r"Write the dataset as `project\.dataset`"):
        sources(dataset, "acme")


@pytest.mark.parametrize(
    "given_as",
    [
        TEMPLATE,
        f" {TEMPLATE}\n",
        f"https://lookerstudio.google.com/reporting/{TEMPLATE}",
        f"https://lookerstudio.google.com/u/1/reporting/{TEMPLATE}/page/p_abc?s=x",
        f"https://datastudio.google.com/reporting/{TEMPLATE}/edit",
    ],
)
def test_a_template_is_named_by_its_id_or_by_its_address(given_as):
    assert template_id(given_as) == TEMPLATE


@pytest.mark.parametrize("given_as", ["x y", "https://lookerstudio.google.com/", "short", "id&ds.a.tableId=b"])
def test_what_is_no_template_is_refused_with_where_to_find_its_id(given_as):
    with pytest.raises(SettingsError, match="the part after /reporting/"):
        template_id(given_as)


def test_a_new_report_is_named_after_its_account():
    assert report_name("acme") == "Klaviyo: acme"
