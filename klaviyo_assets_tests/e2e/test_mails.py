"""Mails as a browser shows them: at the width of a desk, of a phone, and in the dark."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from klaviyo_assets.defs.automation.mail import incident_message
from klaviyo_assets.publishing.mail.digest import Digest, _pictures
from klaviyo_assets.publishing.mail.findings import unusual_day
from klaviyo_assets.resources.mail.resource import Message
from klaviyo_assets.sandbox.kept_mail import as_page
from klaviyo_assets_tests.unit.publishing.mail.test_digest import ON, anomaly, finding, incidents, sample_headlines

pytestmark = pytest.mark.slow


def digest() -> Message:
    sample_digest = Digest(
        ON, [finding(), *unusual_day([anomaly()])], [sample_headlines("acme", "123456.78"), sample_headlines("bloom")]
    )
    sample_digest.pictures = dict(_pictures(sample_digest))
    return sample_digest.message()


@pytest.mark.parametrize("message", [digest, lambda: incident_message(incidents("acme", "bloom").news(0.0))])
@pytest.mark.parametrize(("width", "scheme"), [(760, "light"), (375, "light"), (390, "light"), (760, "dark")])
def test_a_mail_fits_its_window_shows_its_pictures_and_is_readable(
    chromium: Browser, tmp_path: Path, message, width, scheme
):
    page_file = tmp_path / "mail.html"
    page_file.write_text(as_page(message().build("a@x.example", ["b@x.example"])))
    with chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda console_message: complaints.append(console_message.text))
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
        from axe_core_python.sync_playwright import Axe

        violations = Axe().run(page)["violations"]
        assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []
        assert complaints == []
