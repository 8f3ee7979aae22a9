"""The accounts file block by block: a wrong block is named with its reason, the others are read."""

import pytest

from klaviyo_assets.diagnosis.accounts_file import find_accounts
from klaviyo_assets.diagnosis.findings import Level

ACME = '[[account]]\nname = "acme"\npostgres_schema = "klaviyo_acme"\n'
BLOOM = '[[account]]\nname = "bloom"\npostgres_schema = "klaviyo_bloom"\n[account.attribution]\nemail_click = "P3D"\n'
CEDAR = '[[account]]\nname = "cedar"\npostgres_schema = "klaviyo_cedar"\n'


@pytest.fixture
def find(tmp_path):
    def accounts_of(text):
        path = tmp_path / "accounts.toml"
        path.write_text(text)
        return find_accounts({"KLAVIYO_ACCOUNTS_FILE": str(path)})

    return accounts_of


def failures(found_accounts):
    return [(one.account, one.what, one.fix) for one in found_accounts.findings if one.level is Level.FAIL]


def test_good_blocks_are_read(find):
    found_accounts = find(ACME + BLOOM + CEDAR)

    assert found_accounts.names == ["acme", "bloom", "cedar"]
    assert failures(found_accounts) == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('timezone = "Berlin"', "'Berlin' is not a time zone. Allowed: an IANA name"),
        ('currency = "euro"', "currency = 'euro'. Allowed: three capital letters"),
        ('pii = "hahs"', "pii = 'hahs'. Allowed: hash | keep | drop"),
        ('start_date = "yesterday"', "start_date = 'yesterday'. Allowed: a date"),
        ('curency = "EUR"', "there is no setting 'curency'. Choose one of: "),
        ("currency = EUR", "Invalid value"),
        ('[account.attribution]\nemail_click = "five days"', "email_click = 'five days'. Allowed: hours"),
    ],
)
def test_a_wrong_block_is_named_and_the_others_are_read(find, wrong, reason):
    found_accounts = find(ACME + wrong + "\n" + BLOOM + CEDAR)

    assert [account.name for account in found_accounts.accounts] == ["bloom", "cedar"]
    assert found_accounts.names == ["acme", "bloom", "cedar"]
    ((account, what, fix),) = failures(found_accounts)
    assert account == "acme"
    assert reason in f"{what}. {fix}"
    assert "accounts.toml" in what
    assert "klaviyo_assets-" not in what, "the folder of a copy"
    assert "every other command refuses the whole file" in fix


def test_the_line_of_a_syntax_error_is_that_of_the_file(find):
    ((_, what, _),) = failures(find(ACME + BLOOM + CEDAR + "currency = EUR\n"))

    assert f"line {(ACME + BLOOM + CEDAR).count(chr(10)) + 1}," in what


def test_two_accounts_of_one_name_are_told(find):
    found_accounts = find(ACME + BLOOM + ACME)

    ((account, what, _),) = failures(found_accounts)
    assert (account, "two accounts are named 'acme'" in what) == ("acme", True)
    assert found_accounts.names == ["acme", "bloom"]


@pytest.mark.parametrize(
    ("setting", "value"), [("postgres_schema", "klaviyo_acme"), ("fivetran_connection_id", "speak_menial")]
)
def test_accounts_that_share_what_should_be_their_own_are_told(find, setting, value):
    first = ACME if setting == "postgres_schema" else f'{ACME}{setting} = "{value}"\n'
    second = f'[[account]]\nname = "copy"\n{setting} = "{value}"\n'
    second += "" if setting == "postgres_schema" else 'postgres_schema = "klaviyo_copy"\n'

    assert [(account, what) for account, what, _ in failures(find(first + second))] == [
        ("acme", f"{setting} = {value!r} is also used by copy"),
        ("copy", f"{setting} = {value!r} is also used by acme"),
    ]


@pytest.mark.parametrize("text", ["", "[account]\nname = 'acme'\n", "x ="])
def test_a_file_without_any_block_is_told_as_a_whole(find, text):
    found_accounts = find(text)

    ((account, what, _),) = failures(found_accounts)
    assert account is None
    assert "accounts.toml" in what


def test_a_file_that_is_named_and_missing_is_told(tmp_path):
    ((account, what, fix),) = failures(find_accounts({"KLAVIYO_ACCOUNTS_FILE": str(tmp_path / "none.toml")}))

    assert (account, "is not a file" in what) == (None, True)
    assert "klaviyo-assets init" in fix


def test_without_a_file_there_is_the_account_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert find_accounts({"POSTGRES_SCHEMA": "klaviyo"}).names == ["default"]
