"""The mail stage: sending the digest of a day.

Here: the asset. Not here: what the digest says (`publishing/mail/`), and when it is sent (`defs/automation/mail.py`).
"""

from collections.abc import Callable, Iterable
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.failures import reported_failures
from klaviyo_assets.defs.findings import recorded_findings
from klaviyo_assets.publishing.mail.digest import build_digest
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.mail.resource import MailResource
from klaviyo_assets.stages.graph import REPORT

DIGEST = dg.AssetKey(["mail", "digest"])


def build_mailed_assets(
    accounts: Accounts, checks: Callable[[], Iterable[dg.AssetCheckKey]]
) -> dg.AssetsDefinition:  # fmt: skip
    """`mail/digest`: materializing it sends the mail.

    Args:
        accounts: Whose numbers it shows.
        checks: Returns the checks that the digest covers; called when the digest is built.
    """

    @dg.asset(
        key=DIGEST,
        group_name="mail",
        kinds={"email"},
        deps=[[REPORT, "account_by_event_date"]],
        description="The day's digest: what failed or is unusual, and each account's headline numbers. Materializing "
        "it sends it to MAIL_TO.",
        # Transient errors are retried here; a mail that cannot be sent fails only this run, which holds no data.
        retry_policy=dg.RetryPolicy(max_retries=2, delay=20),
    )
    def digest(
        context: dg.AssetExecutionContext, bigquery: BigQueryProjectResource, mail: MailResource
    ) -> dg.MaterializeResult[Any]:
        with reported_failures("the digest was not sent"):
            # Whether mail is set up is checked before anything is read.
            recipients = len(mail.to)
            findings, recovered = recorded_findings(accounts, context.instance, checks())
            message = build_digest(accounts, bigquery, findings, recovered).message()
            sent = mail.deliver(message)
        return dg.MaterializeResult(
            metadata={
                "subject": message.subject,
                "recipients": recipients,
                "transport": sent.transport,
                "message_id": sent.message_id,
                "text": dg.MetadataValue.md(f"```\n{message.text}\n```"),
            }
        )

    return digest
