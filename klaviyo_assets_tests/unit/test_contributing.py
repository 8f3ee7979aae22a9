"""Each place that CONTRIBUTING.md names: forgetting one fails here, with a sentence that says what to do.

Here: places that no other test covers, or covers without saying where to go. Not here: whether what was added is right.
"""

import importlib
import pkgutil
import re
from types import ModuleType

import grimp
import pytest

import klaviyo_assets.reports
import klaviyo_assets.reports.views
import klaviyo_assets.tables
from klaviyo_assets.audit.reconciliation import BY_EVENT_DATE
from klaviyo_assets.model.metrics import METRIC_KINDS, Role
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.model.statistics import STATISTICS
from klaviyo_assets.publishing.mail.digest import Digest
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import DateBasis, ReportSpec
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.spec import ViewSpec
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.checkout import ROOT
from klaviyo_assets_tests.reference import metrics as reference_metrics
from klaviyo_assets_tests.reference.reports import Reports as ReferenceReports

# Reports by event date that `verify` does not compare with events and credits, and why.
NOT_RECONCILED = {
    "deliverability_by_event_date": "it splits the messages that account_by_event_date counts",
    "list_growth_by_event_date": "it counts acts, of which several events are one",
}
CATALOGUES = {
    "table": (klaviyo_assets.tables, TableSpec, TABLES, "to ACCOUNT_TABLES or DAILY_TABLES in tables/__init__.py"),
    "report": (klaviyo_assets.reports, ReportSpec, REPORTS, "to REPORTS in reports/__init__.py"),
    "view": (klaviyo_assets.reports.views, ViewSpec, VIEWS, "to VIEWS in reports/views/__init__.py"),
}
ROLES_OF_MESSAGES = {
    Role.RECEIVED: "RECEIVED", Role.BOUNCED: "BOUNCED", Role.FAILED: "FAILED", Role.DROPPED: "DROPPED",
    Role.OPENED: "OPENED", Role.CLICKED: "CLICKED", Role.UNSUBSCRIBED: "UNSUBSCRIBED", Role.SUBSCRIBED: "SUBSCRIBED",
    Role.SPAM: "SPAM", Role.SENT: "SENT",
}  # fmt: skip
TEMPLATES = ROOT / "klaviyo_assets" / "publishing" / "mail" / "templates"
# Fields of the digest that are there for one of its two texts alone.
OF_ONE_TEXT = {"accounts", "findings", "pictures", "subject"}


def modules_of(package: ModuleType) -> list[ModuleType]:
    names = [f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__) if not each.ispkg]
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("kind", CATALOGUES)
def test_every_spec_is_in_its_catalogue(kind):
    package, spec_class, catalogue, place = CATALOGUES[kind]
    specs = [spec for module in modules_of(package) for spec in vars(module).values() if type(spec) is spec_class]
    missing = sorted({spec.name for spec in specs} - catalogue.keys())

    assert specs
    assert missing == [], f"no {kind} list holds {missing}: add it {place}"


def test_every_module_is_used():
    """A module that nothing imports was not added to the list of its kind: tables, reports, views, sections, assets."""
    graph = grimp.build_graph("klaviyo_assets", exclude_type_checking_imports=True)
    starts = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "dagster.yaml", "Makefile")
    )
    leaves = {name for name in graph.modules if not graph.find_children(name) and not name.endswith(".__main__")}
    unused = sorted(name for name in leaves if not graph.find_modules_that_directly_import(name) and name not in starts)

    assert unused == [], f"nothing imports {unused}: add each to the list in the __init__.py beside it"


@pytest.mark.parametrize("name", sorted(name for name, report in REPORTS.items() if not report.keeps_history))
def test_the_reference_counts_every_report(name):
    reference = ReferenceReports.__new__(ReferenceReports)

    assert name in reference.reports, (
        f"nothing checks the numbers of {name}: count it in plain Python in klaviyo_assets_tests/reference/reports.py"
    )


def test_the_reference_counts_every_statistic():
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "klaviyo_assets_tests/reference").glob("*.py"))
    names = {each.name for report in REPORTS.values() if not report.keeps_history for each in report.statistics}
    # Those of a single metric (`placed_order_events`) are counted for each metric alike.
    of_metrics = {
        f"{re.sub(r'[^a-z0-9]+', '_', kind.name.lower())}_{what}"
        for kind in METRIC_KINDS
        for what in ("events", "people", "value")
    }
    missing = sorted(name for name in names - of_metrics if f'"{name}"' not in sources)

    assert missing == [], (
        f"nothing checks the numbers of {missing}: count them in plain Python in "
        "klaviyo_assets_tests/reference/counting.py"
    )


def test_every_statistic_is_in_a_report():
    missing = sorted(STATISTICS.keys() - {each.name for report in REPORTS.values() for each in report.statistics})

    assert missing == [], (
        f"no report shows {missing}: name them in the lists of reports/messages.py or of a report's file"
    )


def test_every_report_by_event_date_is_reconciled():
    by_event_date = {name for name, report in REPORTS.items() if report.date_basis is DateBasis.EVENT}
    missing = sorted(by_event_date - set(BY_EVENT_DATE) - NOT_RECONCILED.keys())

    assert missing == [], (
        f"`klaviyo-assets verify` never compares {missing} with events and credits: add it to _SCOPES in "
        "audit/reconciliation/report_equations.py, or to NOT_RECONCILED here with the reason"
    )
    assert NOT_RECONCILED.keys() <= by_event_date


def test_the_readme_names_every_report():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = sorted(name for name in REPORTS if f"`{name}`" not in readme)

    assert missing == [], f"README.md lists the reports: add a row for {missing}"


def test_the_reference_knows_every_metric_and_its_meaning():
    missing = {kind.name for kind in METRIC_KINDS} - set(reference_metrics.METRIC_NAMES)
    misplaced = {
        kind.name: ROLES_OF_MESSAGES[kind.role]
        for kind in METRIC_KINDS
        if kind.role in ROLES_OF_MESSAGES and kind.name not in getattr(reference_metrics, ROLES_OF_MESSAGES[kind.role])
    }

    assert not missing, f"write {sorted(missing)} into klaviyo_assets_tests/reference/metrics.py, by hand"
    assert not misplaced, f"klaviyo_assets_tests/reference/metrics.py puts these into a different set: {misplaced}"


def test_the_reference_knows_every_older_name_of_a_metric():
    older = {old: kind.name for kind in METRIC_KINDS for old in kind.older_names}
    missing = {old: name for old, name in older.items() if reference_metrics.OLDER.get(old) != name}

    assert not missing, f"write these into OLDER of klaviyo_assets_tests/reference/metrics.py: {missing}"


@pytest.mark.parametrize("template", ["digest.html.j2", "digest.txt.j2"])
def test_both_texts_of_the_digest_have_every_section(template):
    fields = set(Digest.__dataclass_fields__) - OF_ONE_TEXT
    digest_fields = set(re.findall(r"\bdigest\.([a-z_]+)", (TEMPLATES / template).read_text(encoding="utf-8")))

    assert fields - digest_fields == set(), (
        f"publishing/mail/templates/{template} does not show {sorted(fields - digest_fields)} of the digest: add a "
        "section to both templates, HTML and text"
    )
