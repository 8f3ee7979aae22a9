"""The page states every statistic in the unit that the catalogue gives it."""

import pkgutil
from importlib import import_module

from klaviyo_assets.model.statistics import STATISTICS, Unit
from klaviyo_assets.publishing.html_report import sections
from klaviyo_assets.publishing.html_report.formatting import Kind

KINDS = {Unit.MONEY: Kind.MONEY, Unit.SHARE: Kind.SHARE}


def declared():
    """Every column that a module of the page declares with a kind, with both."""
    for module in pkgutil.iter_modules(sections.__path__, f"{sections.__name__}."):
        for values in vars(import_module(module.name)).values():
            for value in values if isinstance(values, tuple) else (values,):
                if not isinstance(value, type) and isinstance(getattr(value, "kind", None), Kind):
                    yield value.column, value.kind


def test_a_statistic_is_shown_in_its_unit():
    kinds = {(column, kind) for column, kind in declared() if column in STATISTICS}

    assert {("conversion_value", Kind.MONEY), ("open_rate", Kind.SHARE), ("delivered", Kind.COUNT)} <= kinds
    for column, kind in kinds:
        assert kind is KINDS.get(STATISTICS[column].unit, Kind.COUNT), f"{column} is not a {kind}"
