"""`klaviyo-assets email-test`: send one mail, to see whether mail works.

Here: options, and what is printed. Not here: sending (`resources/mail/resource.py`).
"""

from enum import StrEnum
from typing import Annotated

import typer

from klaviyo_assets.cli.console import Verbose, console, errors

_BODY = "This is a test by `klaviyo-assets email-test`. Mail works; there is nothing to do."


class Transport(StrEnum):
    """How mail is sent."""

    SES = "ses"
    SMTP = "smtp"


def email_test(
    to: Annotated[list[str] | None, typer.Option(help="Recipient; can be repeated. Default: MAIL_TO.")] = None,
    subject: Annotated[str, typer.Option(help="Subject.")] = "klaviyo-assets: mail works",
    body: Annotated[str, typer.Option(help="Text of the mail.")] = _BODY,
    transport: Annotated[
        Transport | None, typer.Option(help="Default: ses if SES_REGION is set, otherwise smtp if SMTP_URL is set.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Send one mail through Amazon SES or SMTP. Exit code 0: accepted; 1: refused; 2: a setting is missing or wrong.

    Example: klaviyo-assets email-test --to you@example.com --subject Hello --body "It works."
    """
    with errors(verbose=verbose):
        from klaviyo_assets.resources.mail.resource import MailResource, Message, addresses

        mail = MailResource(transport=transport.value if transport else "")
        recipients = addresses(",".join(to), "--to") if to else mail.to
        sent = mail.deliver(Message(subject, body), recipients)
        console().print(
            f"Sent by {sent.transport.upper()} to {', '.join(recipients)}; message id {sent.message_id}", markup=False,
            soft_wrap=True,
        )  # fmt: skip
