"""Charts: the page's colors in SVG, white paper in PNG, and text that is only text."""

import html
from datetime import date, timedelta

import pandas as pd
import pytest

from klaviyo_assets.publishing import charts

DAYS = [date(2026, 1, 1) + timedelta(days=after) for after in range(5)]
HISTORY = pd.DataFrame(
    {"day": DAYS, "value": [1.0, 2, 3, 2, 9], "low": 0.5, "high": 4.0, "odd": [False] * 4 + [True]}
)  # fmt: skip
PARTS = pd.DataFrame(
    [{"day": day, "series": name, "value": value} for day in DAYS for name, value in (("Flows", 1.0), ("Texts", 2.5))]
)
ORDER = ["Campaigns", "Flows", "Texts"]
CHARTS = {
    "history": charts.history(HISTORY, title="Sent", unit="messages"),
    "plain history": charts.history(HISTORY[["day", "value"]], title="Sent", unit=charts.SHARE),
    "lines": charts.lines(PARTS, series=ORDER, title="Money", unit="USD"),
    "stacked": charts.stacked(PARTS, series=ORDER, title="Money", unit="USD"),
    "bars": charts.bars(pd.DataFrame({"name": ["a", "b"], "value": [3.0, 1.0]}), title="Steps", unit="sends"),
    "no bars": charts.bars(pd.DataFrame({"name": [], "value": []}), title="Steps", unit="sends"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_colors_of_an_svg_follow_the_page(name):
    drawn = charts.svg(CHARTS[name])

    assert drawn.startswith('<svg class="chart" role="img" aria-label="')
    assert not [part for part in drawn.split('="')[1:] if part.startswith("#")]
    assert "var(--chart-" in drawn or name == "no bars"
    assert drawn.count("role=") == 1


def test_a_series_keeps_its_color_whether_others_are_drawn_or_not():
    """Flows are the second series, though the first is not drawn."""
    drawn = charts.svg(CHARTS["stacked"])

    assert "--chart-series-2" in drawn
    assert "--chart-series-3" in drawn
    assert "--chart-series-1" not in drawn
    assert "Campaigns" not in drawn


def test_a_png_is_as_sharp_as_asked():
    drawn = charts.png(CHARTS["history"], scale=1)

    assert drawn.startswith(b"\x89PNG")
    width = int.from_bytes(drawn[16:20], "big")
    assert int.from_bytes(charts.png(CHARTS["history"], scale=2)[16:20], "big") == pytest.approx(2 * width, abs=2)


def test_names_are_text():
    name = '<script>" fill="#c6282d"'
    drawn = charts.svg(charts.bars(pd.DataFrame({"name": [name], "value": [1.0]}), title='"><script>', unit=""))

    assert "<script>" not in drawn
    assert name in html.unescape(drawn)
    assert 'aria-label="&quot;&gt;&lt;script&gt;"' in drawn


def test_days_without_a_row_are_columns_too():
    rows = pd.DataFrame({"day": [DAYS[0], DAYS[4]], "series": "Flows", "value": 1.0})

    assert len(charts.stacked(rows, series=ORDER, title="", unit="").to_dict()["encoding"]["x"]["scale"]["domain"]) == 5


def test_no_two_colors_are_alike():
    """Each is found by its value."""
    assert len({shade.light for shade in charts.PALETTE.values()}) == len(charts.PALETTE)
    assert all(f"--chart-{name}: {shade.dark};" in charts.STYLE for name, shade in charts.PALETTE.items())
