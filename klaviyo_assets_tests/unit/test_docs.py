"""The documentation names only what exists: commands, options, make targets, files, settings, statistics."""

import re
import shlex
from collections import defaultdict
from pathlib import Path

import click
import pytest
from typer.main import get_command

from klaviyo_assets.accounts import Account, AttributionSettings, read_accounts_file
from klaviyo_assets.cli.main import app
from klaviyo_assets.sandbox import environment
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.state import State
from klaviyo_assets_tests.checkout import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What only the local servers need; a deployment has no use for it.
_OF_THE_SANDBOX = {"SMTP_URL", "DAGSTER_DISABLE_TELEMETRY"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def texts() -> dict[str, str]:
    """Every page, and everything the product says in its own words."""
    spoken = [*PAGES, ROOT / "Makefile", ROOT / ".env.example", ROOT / "accounts.example.toml"]
    spoken += sorted((ROOT / "klaviyo_assets").rglob("*.py"))
    return {name_of(path): path.read_text(encoding="utf-8") for path in spoken}


def root_command() -> click.Group:
    return get_command(app)


def leaf_commands(group: click.Group, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    commands = {}
    for name, command in group.commands.items():
        words = (*before, name)
        commands |= leaf_commands(command, words) if hasattr(command, "commands") else {words: command}
    return commands


def code_of(page: str) -> list[str]:
    """Code spans and the lines of code blocks, shell comments left out."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    return [line.split(" # ")[0].strip() for block in blocks for line in block.splitlines()] + spans


def unknown_commands(text: str) -> list[str]:
    commands = root_command().commands
    unknown = []
    # In a sentence the program's name is followed by any word; a command is named in code.
    for first, second in re.findall(r"[`\"'(=/]klaviyo-assets ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", text):
        group = getattr(commands.get(first), "commands", None)
        if first not in commands and f"{first} {second}".strip() != "command":
            unknown.append(first)
        elif group is not None and second and second not in group:
            unknown.append(f"{first} {second}")
    return unknown


def test_every_command_that_is_named_exists():
    unknown_by_page = {name: unknown_commands(text) for name, text in texts().items()}

    assert {name: unknown for name, unknown in unknown_by_page.items() if unknown} == {}


@pytest.mark.parametrize("page", [pytest.param(path.read_text(encoding="utf-8"), id=name_of(path)) for path in PAGES])
def test_every_option_in_an_example_exists(page):
    leaves = leaf_commands(root_command())
    unknown = []
    for line in code_of(page):
        words = shlex.split(line) if line.startswith("klaviyo-assets ") else []
        command = leaves.get(tuple(words[1:3])) or leaves.get(tuple(words[1:2]))
        if command is None:
            continue
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        unknown += [f"{line}: {word}" for word in words if word.startswith("-") and word not in options]

    assert unknown == []


def test_the_readme_lists_every_command():
    unlisted = [
        " ".join(words)
        for words in leaf_commands(root_command())
        if f"`klaviyo-assets {' '.join(words)}`" not in README and f"`{words[-1]}`" not in README
    ]

    assert unlisted == []


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (name, target)
        for name, text in texts().items()
        for target in re.findall(r"(?:^|`)make ([a-z-]+)(?:`|$| +#)", text, re.MULTILINE)
    }

    assert {(name, target) for name, target in named if target not in targets} == set()
    assert ("README.md", "run") in named


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in PAGES])
def test_every_link_within_the_repository_leads_somewhere(path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", [pytest.param(path.read_text(encoding="utf-8"), id=name_of(path)) for path in PAGES])
def test_every_file_that_is_named_exists(page):
    """In prose a module is named below the package, a test below the tests."""
    named = {code for code in code_of(page) if re.fullmatch(r"[\w./]+\.(py|toml|yaml|txt|md)", code)}
    # What the reader makes, or is told to write.
    named -= {"accounts.toml"}
    roots = (ROOT, ROOT / "docs", ROOT / "klaviyo_assets", ROOT / "klaviyo_assets_tests")

    assert {name for name in named if not any((root / name).exists() for root in roots)} == set()


def test_every_setting_of_the_sandbox_is_explained_for_a_deployment(tmp_path):
    folder = Folder(tmp_path)
    state = State.new(folder.state_file)
    state.ports = defaultdict(int)
    explained = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))

    assert set(environment.contract(state, folder)) - _OF_THE_SANDBOX - explained == set()


def test_every_setting_that_the_code_reads_is_explained():
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "klaviyo_assets").rglob("*.py")
        if "sandbox" not in path.parts
    )
    read = set(
        re.findall(r'(?:EnvVar\(|required\(|environ\.get\(|environ\[|optional\([^"()]*, )"([A-Z0-9_]+)"', sources)
    )

    explained = (ROOT / ".env.example").read_text(encoding="utf-8")

    assert read >= {"POSTGRES_URL", "S3_BUCKET", "KLAVIYO_FRAMES_URL"}
    missing = {name for name in read if f"{name}=" not in explained}

    assert missing == set(), f"explain {sorted(missing)} in .env.example, in a sentence each"


def test_the_example_accounts_file_can_be_read_and_shows_every_setting():
    path = ROOT / "accounts.example.toml"
    accounts = read_accounts_file(path)
    text = path.read_text(encoding="utf-8")
    settings = {*Account.__dataclass_fields__, *AttributionSettings().windows} - {"attribution"}

    assert accounts.names == ["acme", "bloom"]
    missing = {name for name in settings if not re.search(rf"^{name} = ", text, re.MULTILINE)}
    assert missing == set(), f"explain {sorted(missing)} in accounts.example.toml, in a sentence each"


def test_the_windows_that_the_example_states_are_the_defaults():
    accounts = read_accounts_file(ROOT / "accounts.example.toml")

    assert accounts["acme"].attribution == AttributionSettings()
