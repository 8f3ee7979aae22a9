"""Every generated page is fresh, and only its generated part is replaced."""

import re

import pytest

from klaviyo_assets.documentation.__main__ import PAGES, main
from klaviyo_assets.documentation.pages import COMMAND, END, START, with_part
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.transport.time_limits import all_limits
from klaviyo_assets_tests.checkout import DOCS


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in PAGES])
def test_the_page_is_fresh(path):
    page = path.read_text(encoding="utf-8")

    assert page == PAGES[path](page), f"the code says something else now; rewrite the page with: {COMMAND}"


def test_the_command_writes_every_page(tmp_path, monkeypatch):
    copies = {tmp_path / path.name: refreshed for path, refreshed in PAGES.items()}
    pages = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
    for path in copies:
        path.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr("klaviyo_assets.documentation.__main__.PAGES", copies)

    main()

    for path in copies:
        generated = pages[path.name].partition(START)[2].partition(END)[0] or pages[path.name]
        assert generated in path.read_text(encoding="utf-8")


def test_the_prose_around_the_generated_part_stays():
    page = f"before\n{START}\nold\n{END}\nafter\n"

    assert with_part(page, "new") == f"before\n{START}\n\nnew\n\n{END}\nafter\n"


def test_a_page_that_lost_a_mark_is_refused():
    with pytest.raises(PermanentError, match="Add the lines"):
        with_part("no marks here", "new")


def test_the_page_on_reliability_states_every_time_limit():
    page = (DOCS / "reliability.md").read_text(encoding="utf-8")

    stated = re.findall(r"^\| (.+?) \| (.+?) \| ([\d.]+) s \| (.+?) \|$", page, re.MULTILINE)
    assert [(system, call, float(seconds)) for system, call, seconds, _ in stated] == [
        (limit.system, limit.call, limit.seconds) for limit in all_limits()
    ]
