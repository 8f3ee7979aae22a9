"""Charts: numbers as pictures, in one style for the HTML report, the mails and the Dagster UI.

Here: what charts look like, and drawing them as PNG or SVG. Not here: which numbers are drawn, and for whom.

An SVG names its colors as CSS variables and falls back to the light theme: on a page that sets `STYLE`, charts follow
the page's theme. A PNG is in the light theme on white, for mail programs and pages without themes.
"""

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


@dataclass(frozen=True)
class Shade:
    """One color's two values: on white, and on a dark page."""

    light: str
    dark: str


# By the name of the CSS variable, `--chart-<name>`. All light values differ because `svg` finds each by its value.
# Color-blind people can distinguish the series, and their contrast with either page is at least 3 to 1.
PALETTE: Mapping[str, Shade] = {
    "ink": Shade("#1c2333", "#e8ebf1"),
    "muted": Shade("#566072", "#a9b2c3"),
    "grid": Shade("#e2e6ec", "#343c4b"),
    "page": Shade("#fffffe", "#171b23"),
    "series-1": Shade("#2563c9", "#6ea3f5"),
    "series-2": Shade("#c2570c", "#f0995a"),
    "series-3": Shade("#0f7f73", "#4cc3b4"),
    "series-4": Shade("#8445b8", "#bf93e8"),
    "series-5": Shade("#7d8695", "#8d97a8"),
    "band": Shade("#d3e0f6", "#27395a"),
    "odd": Shade("#c6282d", "#ff8583"),
}
SERIES = tuple(f"series-{number}" for number in range(1, 6))
_FONT = "Arial, Liberation Sans, sans-serif"
# In JavaScript's words: 1k, 2.5M, 3B, and small numbers as they are.
_NUMBER = "abs(datum.value) >= 1000 ? replace(format(datum.value, '~s'), 'G', 'B') : format(datum.value, '~g')"
_DAY_LABEL_WIDTH = 54
_DAYS_OF_A_YEAR = 366
# The unit of fractions from 0 to 1.
SHARE = "%"


def _style(theme: str) -> str:
    return " ".join(f"--chart-{name}: {getattr(shade, theme)};" for name, shade in PALETTE.items())


# Custom properties for a page that shows SVG charts: light by default, dark if the reader's system is dark;
# `data-theme` on the page's root overrides both, and print is light.
STYLE = f""":root {{ {_style("light")} }}
@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {_style("dark")} }} }}
:root[data-theme="dark"] {{ {_style("dark")} }}
@media print {{ :root, :root:not([data-theme="light"]), :root[data-theme="dark"] {{ {_style("light")} }} }}
"""


def color(name: str) -> str:
    """The light value of a color of the palette.

    Args:
        name: As in `PALETTE`.
    """
    return PALETTE[name].light


def history(
    rows: "pd.DataFrame", *, title: str, unit: str, width: int = 640, height: int = 200, is_titled: bool = True
) -> "alt.LayerChart":
    """One number over days, with the expected band.

    Args:
        rows: A day per row: `day` (date), `value` (float); optionally `low` and `high` (float), the expected band, and
            `odd` (bool), the days to mark.
        title: What is shown; also the alternative text.
        unit: The unit of the values, such as USD or messages; `SHARE` for fractions from 0 to 1.
        width: Width of the plot in pixels.
        height: Height of the plot in pixels.
        is_titled: Whether title and unit are drawn.
    """
    import altair as alt

    base = alt.Chart(_days_as_text(rows)).encode(x=_day_axis(len(rows), width))
    value = base.encode(y=_value_axis(alt.Y("value:Q"), unit))
    layers = [value.mark_line(color=color("series-1"), strokeWidth=2, strokeJoin="round")]
    if {"low", "high"} <= set(rows.columns):
        band = base.mark_area(color=color("band")).encode(y=_value_axis(alt.Y("low:Q"), unit), y2="high:Q")
        layers.insert(0, band)
    if len(rows) == 1:
        layers.append(value.mark_point(filled=True, size=45, opacity=1, color=color("series-1")))
    if "odd" in rows.columns:
        odd_days = value.transform_filter("datum.odd")
        layers.append(odd_days.mark_point(filled=True, size=80, opacity=1, color=color("odd")))
    return _finished(alt.layer(*layers), title, unit, width, height, is_titled=is_titled)  # type: ignore[no-any-return]


def lines(
    rows: "pd.DataFrame", *, series: Sequence[str], title: str, unit: str, width: int = 640, height: int = 200,
    is_titled: bool = True,
) -> "alt.Chart":  # fmt: skip
    """Several numbers over days, one line each.

    Args:
        rows: A day and series per row: `day` (date), `series` (text), `value` (float).
        series: Names of the series, at most five. Their order decides legend and colors, also of series without rows.
        title: As in `history`.
        unit: As in `history`.
        width: As in `history`.
        height: As in `history`.
        is_titled: As in `history`.
    """
    import altair as alt

    chart = (
        alt.Chart(_days_as_text(rows))
        .mark_line(strokeWidth=2, strokeJoin="round", point=rows["day"].nunique() == 1)
        .encode(
            x=_day_axis(rows["day"].nunique(), width),
            y=_value_axis(alt.Y("value:Q"), unit),
            color=_series_color(rows, series, "stroke"),
        )
    )
    return _finished(chart, title, unit, width, height, is_titled=is_titled)  # type: ignore[no-any-return]


def stacked(
    rows: "pd.DataFrame", *, series: Sequence[str], title: str, unit: str, width: int = 640, height: int = 200,
    is_titled: bool = True,
) -> "alt.Chart":  # fmt: skip
    """Parts of a whole over days: a column per day; negative values are below the line.

    Args:
        rows: A day and series per row: `day` (date), `series` (text), `value` (float).
        series: As in `lines`; the first is at the foot.
        title: As in `history`.
        unit: As in `history`.
        width: As in `history`.
        height: As in `history`.
        is_titled: As in `history`.
    """
    import altair as alt

    ranked_rows = _days_as_text(rows).assign(rank=rows["series"].map({name: at for at, name in enumerate(series)}))
    chart = (
        alt.Chart(ranked_rows)
        .mark_bar()
        .encode(
            x=_column_axis(rows, width),
            y=_value_axis(alt.Y("sum(value):Q"), unit),
            color=_series_color(rows, series, "square"),
            order=alt.Order("rank:Q"),
        )
    )
    return _finished(chart, title, unit, width, height, is_titled=is_titled)  # type: ignore[no-any-return]


def bars(
    rows: "pd.DataFrame", *, title: str, unit: str, width: int = 640, height: int = 0, is_titled: bool = True
) -> "alt.LayerChart":
    """One number per name, as horizontal bars in the order of the rows, each with its number beside it.

    Args:
        rows: `name` (text), `value` (float); optionally `label` (text), the text beside the bar.
        title: As in `history`.
        unit: As in `history`.
        width: Width of the plot in pixels, without the names.
        height: Height of the plot in pixels; by default 30 per bar.
        is_titled: As in `history`.
    """
    import altair as alt

    labeled = (
        rows if "label" in rows.columns else rows.assign(label=[_label_text(value, unit) for value in rows["value"]])
    )
    # Room for the longest number beside the longest bar.
    room = max((len(text) for text in labeled["label"]), default=0) * 7 + 12
    names = alt.Axis(title=None, labelLimit=max(90, width // 3), ticks=False, domain=False, labelPadding=8)
    base = alt.Chart(labeled).encode(
        y=alt.Y("name:N", sort=None, axis=names),
        x=alt.X("value:Q", axis=None, scale=alt.Scale(range=[0, max(40, width - room)])),
    )
    marks = base.mark_bar(color=color("series-1"), height=18, cornerRadiusEnd=2)
    text = base.mark_text(align="left", dx=6, color=color("ink"), fontSize=12).encode(text="label:N")
    tall = height or max(1, len(rows)) * 30
    return _finished(alt.layer(marks, text), title, unit, width, tall, is_titled=is_titled)  # type: ignore[no-any-return]


def png(chart: "alt.Chart | alt.LayerChart", scale: float = 2.0) -> bytes:
    """A chart as PNG, in the light theme on white.

    Args:
        chart: A chart of this module.
        scale: Pixels of the picture per pixel of the chart: 2 is sharp on every screen.
    """
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(_spec(chart, "#ffffff"), scale=scale))


def svg(chart: "alt.Chart | alt.LayerChart") -> str:
    """A chart as an SVG element for a page: it follows the page's theme, and its title is its alternative text.

    It is as wide as its surroundings allow, but not wider than it was drawn.
    """
    import vl_convert

    spec = _spec(chart, "transparent")
    picture = str(vl_convert.vegalite_to_svg(spec))
    opening, _, content = picture[picture.index("<svg") :].partition(">")
    box = opening.partition('viewBox="')[2].partition('"')[0]
    wide = box.split()[2]
    label = html.escape(str(json.loads(spec).get("description", "")), quote=True)
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="{box}" '
        # Only in tags: a name can contain anything.
        f'style="width:100%;max-width:{wide}px;height:auto">{re.sub("<[^>]+>", _for_a_page, content)}'
    )


def _for_a_page(tag: re.Match[str]) -> str:
    """A tag with variables for colors, and without roles: the picture is one image with one alternative text."""
    by_value = {shade.light: f"var(--chart-{name}, {shade.light})" for name, shade in PALETTE.items()}
    plain = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", tag[0])
    return re.sub(
        r'(fill|stroke)="(#[0-9a-fA-F]{6})"',
        lambda match: f'{match[1]}="{by_value.get(match[2].lower(), match[2])}"',
        plain,
    )


def _spec(chart: Any, background: str) -> str:
    # This module made the charts, so they need no validation, which takes longer than drawing.
    return json.dumps(chart.to_dict(validate=False) | {"background": background})


def _days_as_text(rows: "pd.DataFrame") -> "pd.DataFrame":
    # A plain date is read as UTC; a time without a zone would be read in the zone of this machine.
    return rows.assign(day=[f"{day:%Y-%m-%d}" for day in rows["day"]])


def _day_axis(days: int, width: int) -> Any:
    import altair as alt

    axis = alt.Axis(
        title=None, format=_day_format(days), grid=False, labelOverlap=True, labelFlush=False,
        tickCount=max(1, min(days, width // 80)), labelPadding=6,
    )  # fmt: skip
    return alt.X("day:T", axis=axis, scale=alt.Scale(type="utc"))


def _column_axis(rows: "pd.DataFrame", width: int) -> Any:
    """A column per day, including days without a row, and a label under every nth column."""
    import altair as alt

    first, last = min(rows["day"], default=None), max(rows["day"], default=None)
    days = [first + timedelta(days=after) for after in range((last - first).days + 1)] if first and last else []
    day_labels = [f"{day:%Y-%m-%d}" for day in days]
    every = max(1, math.ceil(len(days) * _DAY_LABEL_WIDTH / width))
    axis = alt.Axis(
        title=None, values=day_labels[::every], grid=False, labelAngle=0, labelPadding=6,
        labelExpr=f"utcFormat(toDate(datum.value), '{_day_format(len(days))}')",
    )  # fmt: skip
    return alt.X("day:O", axis=axis, scale=alt.Scale(domain=day_labels, paddingInner=0.15, paddingOuter=0.1))


def _day_format(days: int) -> str:
    return "%b %-d" if days <= _DAYS_OF_A_YEAR else "%b %-d, %Y"


def _value_axis(channel: Any, unit: str) -> Any:
    import altair as alt

    # A null format would be taken as text, so the expression decides.
    label = "format(datum.value, '.1~%')" if unit == SHARE else _NUMBER
    axis = alt.Axis(title=None, labelExpr=label, tickCount=5, domain=False, ticks=False, labelPadding=8)
    return channel.axis(axis)


def _series_color(rows: "pd.DataFrame", series: Sequence[str], symbol: str) -> Any:
    import altair as alt

    present = set(rows["series"])
    names = [name for name in series if name in present]
    by_name = dict(zip(series, SERIES, strict=False))
    return alt.Color(
        "series:N",
        scale=alt.Scale(domain=names, range=[color(by_name[name]) for name in names]),
        legend=alt.Legend(title=None, orient="top", columns=3, labelLimit=240, symbolType=symbol),
    )


def _label_text(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == SHARE else f"{value:,.0f}"


def _finished(chart: Any, title: str, unit: str, width: int, height: int, *, is_titled: bool) -> Any:
    import altair as alt

    title_options = {"title": alt.Title(title, subtitle=unit if unit != SHARE else [])} if is_titled else {}
    return (
        chart.properties(width=width, height=height, description=title, padding=4, **title_options)
        .configure(font=_FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelFont=_FONT, labelFontSize=12, labelColor=color("muted"), gridColor=color("grid"),
            domainColor=color("muted"), tickColor=color("muted"),
        )
        .configure_axisX(domainColor=color("muted"))
        .configure_legend(
            labelFont=_FONT, labelFontSize=13, labelColor=color("ink"), offset=10, symbolStrokeWidth=2,
        )
        .configure_title(
            anchor="start", font=_FONT, fontSize=15, color=color("ink"), subtitleFont=_FONT, subtitleFontSize=12,
            subtitleColor=color("muted"), offset=12,
        )
    )  # fmt: skip
