"""Dagster's pages in a real headless browser, as a person uses them.

Here: finding the browser, opening pages, clicking, taking pictures. Not here: any expectation.

The page has no test ids and hashed class names: things are found by the text a person reads.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    FloatRect,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as NotInTimeError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
NO_CHROMIUM = (
    "The tests of the UI need a browser, and there is none. Install one: `sudo apt-get install chromium` on Debian, "
    "`.venv/bin/python -m playwright install chromium` elsewhere."
)
SIZE: ViewportSize = {"width": 1600, "height": 1100}
LARGE: ViewportSize = {"width": 1900, "height": 1500}
# The first page of a freshly started webserver on a busy machine.
PATIENCE_MS = 60_000


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium: the machine's own, else the one Playwright has downloaded; without one the test fails."""
    with sync_playwright() as playwright:
        # Chromium's sandbox needs privileges that root in a container lacks; only our own page is opened.
        options: dict[str, Any] = {
            "args": ["--no-sandbox", "--force-device-scale-factor=1"],
            "executable_path": _installed(),
        }
        try:
            launched = playwright.chromium.launch(**options)
        except Error as error:
            if options["executable_path"]:
                raise
            pytest.fail(f"{NO_CHROMIUM} ({error.message[:80]})")
        try:
            yield launched
        finally:
            launched.close()


def _installed() -> str | None:
    commands = (shutil.which(name) for name in NAMES)
    return next(filter(None, commands), None) or next((place for place in PLACES if Path(place).exists()), None)


@dataclass
class Ui:
    """One tab on a running webserver; what its console complained of is collected."""

    url: str
    page: Page
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, url: str, browser: Browser, pictures: Path) -> "Ui":
        """A new tab; pictures are written to a folder."""
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        ui = cls(url, page, pictures)
        page.on("pageerror", lambda error: ui.complaints.append(str(error)))
        page.on("console", ui._note)
        return ui

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def go(self, path: str, until: str) -> None:
        """Open a page and wait until it shows a text."""
        self.page.goto(self.url + path)
        self.text(until).wait_for()

    def text(self, text: str) -> Locator:
        """The first element that shows exactly this text."""
        return self.page.get_by_text(text, exact=True).first

    def button(self, text: str) -> Locator:
        """The first button with this text; icons are part of a button's name, so a part of it is enough."""
        return self.page.locator("button", has_text=text).first

    def filter_columns(self, name: str) -> None:
        """On an asset's page, show the columns of a name, and wait for the one."""
        self.page.get_by_placeholder("Filter columns").fill(name)
        self.text(name).wait_for()

    def materialize_job(self, job: str, account: str, first: date, last: date) -> None:
        """On a job's page, launch all its assets for a range of an account's days."""
        self.go(f"/locations/klaviyo_assets/jobs/{job}", until="View as Asset Graph")
        self.button("Materialize").click()
        # Dagster asks first where an upstream asset was never materialized.
        choice = self.page.get_by_text("Select a partition").first
        self.button("Confirm").or_(choice).first.wait_for()
        if self.button("Confirm").is_visible():
            self.button("Confirm").click()
        # The page may forget what was chosen when it hears of a run.
        for _ in range(15):
            if choice.is_visible():
                self._choose(choice, account)
            days = self.page.locator('[role=dialog] input[placeholder^="ex: "]')
            days.fill(f"[{first}...{last}]" if first != last else str(first))
            days.press("Enter")
            try:
                self.button("Launch").click(timeout=5000)
            except NotInTimeError:
                continue
            return
        raise AssertionError(f"{job} of {account}, {first} to {last}, could not be launched")

    def _choose(self, opener: Locator, entry: str) -> None:
        """Open a menu and click an entry; the page closes the menu whenever it hears of a run, so several times."""
        item = self.page.locator("[role=menuitem]", has_text=entry).first
        for _ in range(15):
            opener.click()
            try:
                item.click(timeout=3000)
            except NotInTimeError:
                continue
            return
        raise AssertionError(f"the menu entry {entry!r} could not be clicked")

    def expanded_graph(self, selection: str, groups: Sequence[str]) -> None:
        """Open the graph of some assets in a large window, its groups unfolded, and wait for their states."""
        self.page.set_viewport_size(LARGE)
        unfolded = ",".join(f"global@global:{group}" for group in groups)
        self.go(f"/asset-groups~{quote(selection, safe='')}/?expanded={quote(unfolded)}", until="attribution")
        self.text("Hide navigation").click()
        self.page.wait_for_timeout(6000)  # states are fetched after the drawing, and nothing tells when

    def picture(self, name: str, clip: FloatRect | None = None) -> Path:
        """Save what the page shows, or a part of it."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f"{name}.png"
        self.page.wait_for_timeout(700)  # animations
        self.page.screenshot(path=path, clip=clip) if clip else self.page.screenshot(path=path)
        return path
