"""Sending mail through Amazon SES: one attempt, and what refusals mean.

Here: SES's answers as our errors. Not here: retries, and what is sent (`resource.py`).

SES accepts a mail for all its recipients or for none: one unverified address keeps it from all others. So a mail that
SES refuses for an address is sent again to each recipient separately.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klaviyo_assets.errors import KlaviyoAssetsError, PermanentError, SettingsError, TransientError
from klaviyo_assets.transport.limited_http import HttpLimits, limit_aws_client, network_problem
from klaviyo_assets.transport.time_limits import SES_CONNECT, SES_EXCHANGE, SES_SILENCE

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

_TOO_FAST = {"Throttling", "ThrottlingException", "TooManyRequestsException"}
_BUSY = {"ServiceUnavailable", "InternalFailure", "RequestTimeout", "ServiceUnavailableException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_SKEWED = {"RequestExpired", "RequestTimeTooSkewed"}
_LOGIN = {
    "AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch", "IncompleteSignature",
    "MissingAuthenticationToken", "UnrecognizedClientException", "OptInRequired",
}  # fmt: skip
_OF_ADDRESSES = {"MessageRejected", "InvalidParameterValue"}


class DailyQuotaError(TransientError):
    """SES accepts no more mails today: an immediate retry is useless."""


class RefusedRecipientError(PermanentError):
    """SES refused the mail because of an address: the sender's or a recipient's."""


def client(region: str, endpoint_url: str) -> "SESClient":
    """SES's client without its own retries, because ours know which errors are transient."""
    import boto3
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1})
    ses: SESClient = boto3.client("ses", region_name=region, endpoint_url=endpoint_url or None, config=once)
    limit_aws_client(ses, HttpLimits(SES_CONNECT.seconds, SES_SILENCE.seconds, SES_EXCHANGE.seconds))
    return ses


def send(
    ses: "SESClient", region: str, sender: str, recipients: Sequence[str], content: bytes
) -> tuple[str, dict[str, KlaviyoAssetsError]]:
    """Send a message.

    Args:
        ses: The client.
        region: How the region is named in errors.
        sender: Address of the envelope.
        recipients: Addresses of the envelope.
        content: The message.

    Returns:
        SES's id of the message, and the refused recipients with the reason; all others have it.

    Raises:
        PermanentError: nobody got it, and a rerun would fail the same way.
        TransientError: nobody got it: SES cannot be reached, does not answer in time, or asks to wait.
    """
    try:
        return _send_raw(ses, region, sender, recipients, content), {}
    except RefusedRecipientError:
        if len(recipients) == 1:
            raise
    refusals: dict[str, KlaviyoAssetsError] = {}
    message_id = ""
    for address in recipients:
        try:
            message_id = _send_raw(ses, region, sender, [address], content)
        except KlaviyoAssetsError as error:
            refusals[address] = error
    return message_id, refusals


def _send_raw(ses: "SESClient", region: str, sender: str, recipients: Sequence[str], content: bytes) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = ses.send_raw_email(Source=sender, Destinations=list(recipients), RawMessage={"Data": content})
    except ClientError as error:
        details = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        problem = _of_ses(str(details.get("Code", "")), str(details.get("Message", "")), status, region)
    except BotoCoreError as error:
        problem = _unreached(error, region)
    else:
        return str(answer["MessageId"])
    raise problem from None


def _unreached(error: Exception, region: str) -> KlaviyoAssetsError:
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.exceptions import (
        CredentialRetrievalError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        SSLError,
    )

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SettingsError(
            "SES: there are no AWS credentials",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, or give the machine a role that may "
            "ses:SendRawEmail.",
        )
    if isinstance(error, BotoConnectionError | HTTPClientError | SSLError):
        problem = network_problem(error)
        kind = PermanentError if problem.is_permanent else TransientError
        return kind(f"SES in {region} cannot be reached: {problem.words}", "Check SES_REGION and the network.")
    if isinstance(error, CredentialRetrievalError):
        return TransientError(
            f"SES: the AWS credentials could not be fetched: {error}", "Check the machine's role or profile."
        )
    return PermanentError(f"SES in {region}: {error}", "Check SES_REGION and the AWS credentials.")


def _of_ses(code: str, message: str, status: int, region: str) -> KlaviyoAssetsError:
    message = " ".join(message.split()).rstrip(".")
    # SES has the code MessageRejected, or Throttling, for several reasons that only its words tell apart.
    if "quota exceeded" in message.lower():
        return DailyQuotaError(
            f"SES: {message}",
            "SES's sandbox allows 200 mails a day. Wait, or ask Amazon for production access (docs/mail.md).",
        )
    if code in _TOO_FAST or status == 429:
        return TransientError(
            f"SES: {message}", "SES's sandbox allows one mail a second, and several attempts were made."
        )
    if code in _BUSY or status >= 500:
        return TransientError(f"SES in {region} is busy: {message}", "Try again later.")
    if "not verified" in message or "authority to send" in message or code == "MailFromDomainNotVerifiedException":
        return RefusedRecipientError(
            f"SES refused the mail: {message}",
            f"Verify that address or its domain in SES's region {region}; while the account is in SES's sandbox, "
            "also verify the addresses in MAIL_TO (docs/mail.md).",
        )
    if "length is more than" in message or "too long" in message.lower():
        return PermanentError(
            f"SES refused the mail: {message}", "Leave out pictures, or ask Amazon for a larger limit."
        )
    if code in _EXPIRED:
        return PermanentError(f"SES: the AWS credentials have expired ({code})", "Renew them, or use a role.")
    if code in _SKEWED or "signature expired" in message.lower() or "signature not yet current" in message.lower():
        return PermanentError(
            f"SES: this machine's clock is wrong ({code}): {message}", "Switch time synchronization on."
        )
    if code in _LOGIN:
        return PermanentError(f"SES refused the credentials ({code})", "They need the permission ses:SendRawEmail.")
    if code in {"AccountSendingPausedException", "ConfigurationSetSendingPausedException"}:
        return PermanentError("SES has paused sending for this account", "See the reason in SES's console, Reputation.")
    kind = RefusedRecipientError if code in _OF_ADDRESSES else PermanentError
    return kind(f"SES refused the mail ({code}): {message}", "See docs/mail.md.")
