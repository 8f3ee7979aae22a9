"""The sandbox's settings for the product: environment variables, and the `.env` file that holds them.

Here: the contract's names with the sandbox's values, and writing them down. Not here: reading them (`resources/`).
"""

import shlex
from pathlib import Path

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.folder import FOLDER_VARIABLE, Folder
from klaviyo_assets.sandbox.klaviyo_keys import klaviyo_key
from klaviyo_assets.sandbox.ports import LOCALHOST
from klaviyo_assets.sandbox.state import State, write_private

BIGQUERY_PROJECT = "local"
MAIL_FROM = "reports@sandbox.example"
MAIL_TO = "you@sandbox.example"
SES_REGION = "us-east-1"
MARKER = "# written by klaviyo-assets sandbox start"
_CHANGE = "; change this line to keep the file as yours"


def contract(state: State, folder: Folder) -> dict[str, str]:
    """Every variable that the product reads, in a reader's order. The values include secrets."""
    from klaviyo_assets.sandbox.object_store import BUCKET, REGION
    from klaviyo_assets.sandbox.postgres import reader_url

    def at(port: str, scheme: str = "http") -> str:
        return f"{scheme}://{LOCALHOST}:{state.ports[port]}"

    return {
        FOLDER_VARIABLE: str(folder.root),
        "KLAVIYO_ACCOUNTS_FILE": str(folder.accounts_file),
        "KLAVIYO_FRAMES_URL": str(folder.frames),
        "PII_HASH_KEY": state.secrets["pii_hash_key"],
        "POSTGRES_URL": reader_url(state),
        "FIVETRAN_API_KEY": state.fivetran_key,
        "FIVETRAN_API_SECRET": state.secrets["fivetran_secret"],
        "FIVETRAN_API_URL": at("fivetran"),
        **_klaviyo(state),
        "S3_BUCKET": BUCKET,
        "S3_PREFIX": "klaviyo",
        "S3_ENDPOINT_URL": at("s3"),
        "AWS_ACCESS_KEY_ID": state.s3_key,
        "AWS_SECRET_ACCESS_KEY": state.secrets["s3_secret"],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "BIGQUERY_PROJECT": BIGQUERY_PROJECT,
        "BIGQUERY_DATASET_PREFIX": "klaviyo",
        "BIGQUERY_LOCATION": "EU",
        "BIGQUERY_EMULATOR_HOST": at("bigquery"),
        "BIGQUERY_EMULATOR_TOKEN": state.secrets["bigquery_token"],
        "MAIL_FROM": MAIL_FROM,
        "MAIL_TO": MAIL_TO,
        "SES_REGION": SES_REGION,
        "SES_ENDPOINT_URL": at("ses"),
        "SMTP_URL": at("smtp", "smtp"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }


def _klaviyo(state: State) -> dict[str, str]:
    """Settings of the simulated Klaviyo API, which the Fivetran server serves too: one key for each account."""
    from klaviyo_assets.sandbox.fivetran.shop.profile import profiles

    secret = state.secrets["fivetran_secret"]
    keys = {
        f"KLAVIYO_API_KEY_{shop.name.upper()}": klaviyo_key(secret, shop.name)
        for shop in profiles(state.shop.get("accounts", 0))
    }
    return {"KLAVIYO_API_URL": f"http://{LOCALHOST}:{state.ports['fivetran']}/klaviyo", **keys}


def shell_text(variables: dict[str, str]) -> str:
    """KEY=VALUE lines for a shell's `eval`."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def dotenv_text(variables: dict[str, str], folder: Folder) -> str:
    """The content of a `.env` file; its first line names the sandbox it belongs to."""
    return f"{_first_line(folder)}\n" + "".join(f"{name}={_dotenv_quote(value)}\n" for name, value in variables.items())


def write_dotenv(path: Path, variables: dict[str, str], folder: Folder) -> bool:
    """Write a `.env` file beside the sandbox's folder; returns whether it was written (or was right already).

    It is left alone where it is the user's or another sandbox's, or where the sandbox is not in the file's folder:
    whoever starts a sandbox elsewhere does not ask for this folder's settings to change.

    Raises:
        PermanentError: it cannot be written.
    """
    if not folder.root.is_relative_to(path.parent.resolve()) or not _may_be_replaced(path, folder):
        return False
    content = dotenv_text(variables, folder)
    try:
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            write_private(path, content)
    except OSError as error:
        raise PermanentError(f"cannot write {path} ({error.strerror})", "Use --no-dotenv.") from error
    return True


def remove_dotenv(path: Path, folder: Folder) -> bool:
    """Delete the `.env` file if it was written for this sandbox; returns whether it was."""
    if path.is_symlink() or not _is_ours(path) or _line_one(path) != _first_line(folder):
        return False
    path.unlink()
    return True


def _first_line(folder: Folder) -> str:
    return f"{MARKER} for {folder.root}{_CHANGE}"


def _may_be_replaced(path: Path, folder: Folder) -> bool:
    if path.is_symlink() or not path.exists():
        return not path.is_symlink()
    owner = Path(_line_one(path).removeprefix(f"{MARKER} for ").removesuffix(_CHANGE))
    return _is_ours(path) and (owner == folder.root or not owner.is_dir())


def _is_ours(path: Path) -> bool:
    return _line_one(path).startswith(MARKER)


def _line_one(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _dotenv_quote(value: str) -> str:
    """A value quoted for python-dotenv; single quotes prevent expansion."""
    if all(letter.isalnum() or letter in "/:.@_-" for letter in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
