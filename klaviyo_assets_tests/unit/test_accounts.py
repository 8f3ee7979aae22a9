"""Reading accounts.toml: a wrong value is named with its place and what is allowed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from klaviyo_assets.accounts import (
    DEFAULT_WINDOWS,
    Account,
    Accounts,
    AttributionSettings,
    load_accounts,
    read_accounts_file,
)
from klaviyo_assets.errors import SettingsError, UnknownNameError

BLOCK = '[[account]]\nname = "acme"\npostgres_schema = "klaviyo_acme"\n'
ACME = Account(name="acme", postgres_schema="klaviyo_acme")


@pytest.fixture
def read(tmp_path):
    """Read a text as accounts.toml."""

    def do(text):
        path = tmp_path / "accounts.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_accounts_file(path)

    return do


def test_a_block_with_name_and_schema_is_an_account_with_defaults(read):
    assert read(BLOCK)["acme"] == ACME


def test_every_setting_is_read(read):
    account = read(
        BLOCK + 'timezone = "Europe/Berlin"\ncurrency = "EUR"\nconversion_metric = "Placed Order"\n'
        'conversion_integration = "Shopify"\nstart_date = 2024-01-31\npii = "drop"\nfivetran_connection_id = "speak"\n'
        '[account.attribution]\nsource = "touch"\nemail_click = "PT24H"\nsms_open = 0.5\nwhatsapp_delivery = 1\n'
        "machine_opens_earn = false\n"
    )["acme"]

    assert (account.timezone, account.currency, account.pii) == ("Europe/Berlin", "EUR", "drop")
    assert (account.conversion_metric, account.conversion_integration) == ("Placed Order", "Shopify")
    assert (account.start_date, account.fivetran_connection_id) == (date(2024, 1, 31), "speak")
    assert account.attribution.source == "touch"
    assert dict(account.attribution.windows) == dict(DEFAULT_WINDOWS) | {
        "email_click": 86_400, "sms_open": 1_800, "whatsapp_delivery": 3_600,
    }  # fmt: skip
    assert (account.attribution.machine_opens_earn, account.attribution.bot_clicks_earn) == (False, True)


def test_accounts_keep_the_order_of_the_file(read):
    accounts = read(BLOCK.replace("acme", "zoo") + BLOCK + "start_date = 2019-05-01\n")

    assert accounts.names == ["zoo", "acme"]
    assert accounts.first_day == date(2019, 5, 1)


@pytest.mark.parametrize(("text", "pattern"), [
    ("", r"has no \[\[account\]\] block"),
    ('[account]\nname = "acme"', r"has no \[\[account\]\] block"),
    ("account = [1]", "has no"),
    ("[[account", "cannot read the accounts file"),
    (b"\xff\xfe", "cannot read the accounts file"),
    ('[[account]]\npostgres_schema = "s"', r"account '\(without a name\)': name is missing"),
    ('[[account]]\nname = "acme"', "account 'acme': postgres_schema is missing"),
    (BLOCK + BLOCK, "two accounts are named 'acme'"),
    (BLOCK + 'time_zone = "UTC"', "there is no setting 'time_zone'. Choose one of: .*timezone"),
    (BLOCK.replace("acme", "Acme"), "name = 'Acme'. Allowed: letters a-z"),
    (BLOCK.replace("acme", "portfolio"), "name = 'portfolio'. Allowed: .* but not 'portfolio'"),
    (BLOCK + 'timezone = "Berlin"', "timezone = 'Berlin': .* Allowed: an IANA name such as Europe/Berlin"),
    (BLOCK + 'currency = "euro"', "currency = 'euro'. Allowed: three capital letters"),
    (BLOCK + 'looker_template_id = "my report"', "looker_template_id = 'my report'. Allowed: the id in the template's"),
    (BLOCK + 'pii = "hashed"', r"pii = 'hashed'. Allowed: hash \| keep \| drop"),
    (BLOCK + "currency = 5", 'currency = 5. Allowed: text in quotes'),
    (BLOCK + 'start_date = "yesterday"', "start_date = 'yesterday'. Allowed: a date such as 2024-01-31"),
    (BLOCK + "start_date = 0001-01-01", "start_date = 0001-01-01. Allowed: a date such as .*, from 1970-01-01 on"),
    (BLOCK + "start_date = 2024-01-31T00:00:00", "start_date = .*. Allowed: a date"),
    (BLOCK + "start_date = 1990-01-01", r"1990-01-01. Allowed: a date within the last 10,000 days \(27 years\)"),
    (BLOCK + 'attribution = "native"', r"attribution = 'native'. Allowed: a block \[account.attribution\]"),
    (BLOCK + '[account.attribution]\nsource = "linear"', r"source = 'linear'. Allowed: auto \| native \| touch"),
    (BLOCK + "[account.attribution]\nemail_clik = 5", "there is no setting 'email_clik'. Choose one of: .*email_click"),
    (BLOCK + '[account.attribution]\nbot_clicks_earn = "no"', r"bot_clicks_earn = 'no'. Allowed: true or false"),
    *((BLOCK + f"[account.attribution]\nemail_click = {value}", r"email_click = .*. Allowed: hours \(12\) or an ISO")
      for value in ("-1", "true", '"5 days"', '"P"', '"PT"', '"P5DT"', "inf", "nan", '"P1M"')),
])  # fmt: skip
def test_a_wrong_file_is_refused_with_what_is_allowed(read, text, pattern):
    with pytest.raises(SettingsError, match=pattern):
        read(text)


@pytest.mark.parametrize(("window", "seconds"), [
    ('"P5D"', 432_000), ('"PT12H"', 43_200), ('"P1W"', 604_800), ('"P1DT1H1M1S"', 90_061), ("12", 43_200), ("0", 0),
])  # fmt: skip
def test_windows_are_hours_or_durations(read, window, seconds):
    account = read(f"{BLOCK}[account.attribution]\nemail_click = {window}")["acme"]

    assert account.attribution.windows["email_click"] == seconds


def test_the_longest_window_says_how_far_back_touches_lie():
    assert AttributionSettings().longest_window == timedelta(days=5)
    assert AttributionSettings("touch", {}).longest_window == timedelta(0)


def test_an_unknown_account_lists_those_there_are_and_where():
    with pytest.raises(
        UnknownNameError,
        match=r"no account 'acne'\. Did you mean 'acme'\? Choose one of: acme\. Accounts",
    ):
        Accounts({"acme": ACME}, "there")["acne"]


def test_without_a_file_the_environment_is_one_account(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    accounts = load_accounts({"KLAVIYO_TIMEZONE": "Asia/Tokyo", "POSTGRES_SCHEMA": "k", "KLAVIYO_START_DATE": ""})

    assert accounts["default"].timezone == "Asia/Tokyo"
    assert accounts["default"].postgres_schema == "k"


def test_an_empty_environment_is_an_account_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load_accounts({}).names == ["default"]


def test_a_named_file_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=r"KLAVIYO_ACCOUNTS_FILE is 'elsewhere\.toml'"):
        load_accounts({"KLAVIYO_ACCOUNTS_FILE": "elsewhere.toml"})


def test_a_named_file_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(BLOCK)

    assert load_accounts({"KLAVIYO_ACCOUNTS_FILE": str(tmp_path / "mine.toml")}).names == ["acme"]


@pytest.mark.parametrize(("timezone", "day", "start", "hours"), [
    ("UTC", date(2026, 1, 1), datetime(2026, 1, 1), 24),
    ("America/New_York", date(2026, 3, 8), datetime(2026, 3, 8, 5), 23),
    ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 1, 4), 25),
    ("Asia/Kathmandu", date(2026, 1, 1), datetime(2025, 12, 31, 18, 15), 24),
    # Clocks went from midnight to one: the day began at what would have been midnight.
    ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3), 23),
])  # fmt: skip
def test_a_day_is_a_calendar_day_of_the_accounts_time_zone(timezone, day, start, hours):
    account = Account(name="a", postgres_schema="s", timezone=timezone)

    begins, ends = account.day_bounds(day)

    assert begins == start.replace(tzinfo=UTC)
    assert ends - begins == timedelta(hours=hours)
    assert account.day_bounds(day + timedelta(days=1))[0] == ends


SHORTER = AttributionSettings(windows=dict(DEFAULT_WINDOWS) | {"email_click": 86_400})
NO_MACHINES = AttributionSettings(machine_opens_earn=False)
LONGER = AttributionSettings(windows=dict(DEFAULT_WINDOWS) | {"sms_click": 864_000})
FINGERPRINTS = {
    "events": lambda account: account.table_fingerprint,
    "credits by touch": lambda account: str(account.attribution_settings("touch")),
    "credits by Klaviyo": lambda account: str(account.attribution_settings("native")),
    "reports": lambda account: account.report_fingerprint,
}


@pytest.mark.parametrize(("change", "concerned"), [
    ({"timezone": "Asia/Tokyo"}, set(FINGERPRINTS)),
    ({"pii": "keep"}, {"events"}),
    ({"currency": "EUR"}, {"reports"}),
    ({"attribution": SHORTER}, {"credits by touch"}),
    ({"attribution": NO_MACHINES}, {"credits by touch"}),
    ({"attribution": LONGER}, {"credits by touch", "reports"}),
    # These count where they change what is found: the metric's id on a day's events, the source of attribution.
    ({"conversion_metric": "x"}, set()), ({"attribution": AttributionSettings("touch")}, set()),
    ({"fivetran_connection_id": "x"}, set()), ({"postgres_schema": "x"}, set()), ({"name": "b"}, set()),
    ({"start_date": date(2000, 1, 1)}, set()), ({"looker_template_id": "x" * 8}, set()),
])  # fmt: skip
def test_a_setting_concerns_what_it_decides_and_nothing_else(change, concerned):
    changed = Account(**({"name": "acme", "postgres_schema": "klaviyo_acme"} | change))

    assert {name for name, of in FINGERPRINTS.items() if of(changed) != of(ACME)} == concerned
