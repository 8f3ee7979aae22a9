"""What the sandbox shows of the mail it has kept."""

import base64

from klaviyo_assets.resources.mail.resource import Message, Picture
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.kept_mail import as_page, kept_mail, write_page
from klaviyo_assets.sandbox.mail import MailFolder, read_kept

MESSAGE = Message("Grüße", "Text <b>", '<p>HTML</p><img src="cid:one">', (Picture("one", b"\x89PNG1"),))


def keep(folder, message):
    folder.data("mail").mkdir(parents=True, exist_ok=True)
    built = message.build("from@x.example", ["to@x.example"])
    return MailFolder(folder.data("mail")).keep("ses", built.as_bytes(), "from@x.example", ["to@x.example"])


def test_the_newest_are_listed_last_with_subject_recipients_and_file(tmp_path):
    folder = Folder(tmp_path)
    paths = [keep(folder, Message(f"mail {number}", "t")) for number in range(4)]
    (folder.data("mail") / "other.txt").write_text("not ours")
    messages = kept_mail(folder, 2)
    assert [(one.subject, one.to, one.transport) for one in messages] == [
        ("mail 2", "to@x.example", "ses"), ("mail 3", "to@x.example", "ses"),
    ]  # fmt: skip
    assert [one.file for one in messages] == paths[-2:]
    assert messages[0].sent_at <= messages[1].sent_at


def test_no_mail_is_an_empty_list(tmp_path):
    assert kept_mail(Folder(tmp_path), 5) == []


def test_a_page_has_its_pictures_in_it(tmp_path):
    path = keep(Folder(tmp_path), MESSAGE)
    page = write_page(path)
    assert page.parent == path.parent
    assert f"data:image/png;base64,{base64.b64encode(MESSAGE.pictures[0].png).decode()}" in (page.read_text())
    assert "cid:" not in page.read_text()
    assert page.stat().st_mode & 0o077 == 0


def test_a_message_without_html_is_shown_as_its_text(tmp_path):
    path = keep(Folder(tmp_path), Message("s", "Text <b>"))
    assert "<pre>Text &lt;b&gt;" in as_page(read_kept(path))
