"""The report in a real browser: at a desk and on a phone, in light and dark, by mouse and by keyboard, and on paper."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from klaviyo_assets_tests.unit.publishing.html_report.answered import HOSTILE, answers, euro, report

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Opened:
    """A page, and what its console complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    @property
    def is_too_wide(self) -> bool:
        """Whether it scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def column(self, figure: str, place: int) -> list[str]:
        """What a column of a table shows, without what is hidden."""
        rows = self.page.locator(f"{figure} tbody tr:visible")
        return [rows.nth(at).locator("> *").nth(place).inner_text() for at in range(rows.count())]

    def violations(self) -> list[str]:
        """What axe finds serious or critical."""
        self.page.evaluate((files("axe_core_python") / "axe.min.js").read_text())
        results: dict[str, Any] = self.page.evaluate("axe.run()")
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in results["violations"] if each["impact"] in ("serious", "critical") for node in each["nodes"]
        ]  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two accounts, one of them with hostile names."""
    written = tmp_path_factory.mktemp("report") / "report.html"
    written.write_text(report(answers(), euro()).html, encoding="utf-8")
    return written


Open = Callable[..., Opened]


@pytest.fixture
def opened(chromium: Browser, file: Path) -> Iterator[Open]:
    """Opens the page as the file it is, without a network; whatever its console complains of fails the test."""
    contexts, tabs = [], []

    def open_page(size: dict[str, int] = DESK, scheme: str = "light", anchor: str = "") -> Opened:
        context = chromium.new_context(viewport=size, color_scheme=scheme, offline=True)
        contexts.append(context)
        tab = Opened(context.new_page())
        tab.page.set_default_timeout(20_000)
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("console", lambda message: tab.complaints.append(message.text))
        tab.page.goto(f"{file.as_uri()}{anchor}")
        tabs.append(tab)
        return tab

    yield open_page
    complaints = [complaint for tab in tabs for complaint in tab.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


def test_sorting_and_searching_the_campaigns(opened):
    tab = opened()
    figure = "#acme-campaigns"
    revenue = tab.page.locator(f"{figure} th", has_text="Revenue")

    revenue.get_by_role("button").click()
    assert revenue.get_attribute("aria-sort") == "descending"
    assert tab.column(figure, 2)[0].startswith("$2,900.50")
    assert len(tab.column(figure, 2)) == 15
    revenue.get_by_role("button").click()
    assert revenue.get_attribute("aria-sort") == "ascending"
    assert tab.column(figure, 2)[0].startswith("$0.50")

    tab.page.locator(figure).get_by_label("Search").fill("alert <SCRIPT>")
    assert set(tab.column(figure, 0)) == {f"{HOSTILE[0]}\n{HOSTILE[0]}"}
    expect(tab.page.locator(f"{figure} [data-found]")).to_have_text("5 of 30 rows")
    assert tab.page.locator(f"{figure} th[aria-sort]").count() == 1
    assert not tab.is_too_wide


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_is_too_wide_and_everybody_can_read_it(opened, size, scheme):
    tab = opened(size, scheme)
    # What is folded away is looked at too.
    tab.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    assert not tab.is_too_wide
    assert tab.violations() == []


@pytest.mark.slow
def test_a_phone_shows_narrow_charts_and_a_desk_wide_ones(opened):
    for size, visible_class, hidden_class in ((DESK, "wide", "narrow"), (PHONE, "narrow", "wide")):
        page = opened(size).page
        expect(page.locator(f".picture.{visible_class}").first).to_be_visible()
        expect(page.locator(f".picture.{hidden_class}").first).to_be_hidden()


@pytest.mark.slow
def test_the_theme_follows_the_reader_and_the_button(opened):
    tab = opened(scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    bar = "getComputedStyle(document.querySelector('.picture.wide path[fill^=\"var(--chart-series-1\"]')).fill"
    dark = tab.page.evaluate(color), tab.page.evaluate(bar)

    tab.page.get_by_role("button", name="Switch to the light theme").click()

    light = tab.page.evaluate(color), tab.page.evaluate(bar)
    assert dark == ("rgb(16, 19, 26)", "rgb(110, 163, 245)")
    assert light == ("rgb(244, 246, 249)", "rgb(37, 99, 201)")
    expect(tab.page.get_by_role("button", name="Switch to the dark theme")).to_be_visible()


@pytest.mark.slow
def test_everything_can_be_reached_and_used_by_keyboard(opened):
    """By Tab through the page; what is focused is seen, and Enter sorts."""
    tab = opened()
    page = tab.page
    usable = page.locator("a:visible, button:visible, input:visible, summary:visible, [tabindex='0']:visible")
    mark = "document.activeElement.dataset.reached = 'yes', document.activeElement.textContent"
    reached = []
    for _ in range(usable.count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(mark))

    assert reached[0] == "Skip to the numbers"
    assert len(reached) > 100
    assert page.locator("[data-reached]").count() == usable.count()

    head = page.locator("#bloom-campaigns th", has_text="Orders")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.slow
def test_long_tables_unfold_and_links_open_the_statement(opened):
    page = opened().page
    campaigns = page.locator("#acme-campaigns")
    campaigns.get_by_role("button", name="Show all 30 rows").click()
    expect(campaigns.locator("tbody tr:visible")).to_have_count(30)

    campaigns.get_by_role("link", name="SQL behind this figure").click()
    expect(page.locator("#sql-campaigns pre")).to_be_in_viewport()
    expect(opened(anchor="#sql-headline").page.locator("#sql-headline pre")).to_be_visible()


@pytest.mark.slow
def test_on_paper_it_is_light_and_whole(opened, tmp_path: Path):
    page = opened(scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator("nav.parts").first).to_be_hidden()
    expect(page.locator(".picture.wide").first).to_be_visible()
    assert page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True).startswith(b"%PDF")


@pytest.mark.slow
def test_without_script_everything_is_there(chromium: Browser, file: Path):
    with chromium.new_context(java_script_enabled=False, viewport=DESK) as context:
        page = context.new_page()
        page.goto(file.as_uri())

        expect(page.locator("#acme-campaigns tbody tr:visible")).to_have_count(30)
        expect(page.get_by_label("Search").first).to_be_hidden()
