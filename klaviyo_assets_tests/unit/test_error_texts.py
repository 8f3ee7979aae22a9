"""An error is told from others by its class, never by its words: no module searches in the text of one.

The exceptions are the modules that translate one vendor's errors; each says why that vendor's text has to be read.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "klaviyo_assets"
VENDORS = {
    "destinations/bigquery/errors.py",
    "destinations/s3/errors.py",
    "frames/errors.py",
    "resources/mail/ses.py",
    "resources/postgres/errors.py",
    "resources/postgres/refusals.py",
}
_SEARCHES = {
    "count", "endswith", "find", "findall", "finditer", "fullmatch", "index", "match", "partition", "removeprefix",
    "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "search", "split", "startswith", "sub",
}  # fmt: skip
_TEXTS = {"args", "fix", "message", "what"}


def searches(source: str) -> Iterator[int]:
    """The lines that search in an error's text, or in a text that was made of one in the same function."""
    for function in ast.walk(ast.parse(source)):
        is_function = isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        errors = set(_error_names(function)) if is_function else set()
        if not errors:
            continue
        texts: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and _holds_text(node.value, errors, texts):
                texts |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        yield from (node.lineno for node in ast.walk(function) if _is_search(node, errors, texts))


def _error_names(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        if isinstance(node, ast.arg) and node.annotation and _is_error_type(node.annotation):
            yield node.arg


def _is_error_type(annotation: ast.AST) -> bool:
    return any(name.endswith(("Error", "Exception")) for name in ast.unparse(annotation).replace("'", "").split(" | "))


def _holds_text(node: ast.AST, errors: set[str], texts: set[str]) -> bool:
    return any(_is_text(part, errors, texts) for part in ast.walk(node))


def _is_text(node: ast.AST, errors: set[str], texts: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in texts
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[argument]):
            return any(isinstance(part, ast.Name) and part.id in errors for part in ast.walk(argument))
        case ast.FormattedValue(value=ast.Name(id=name)):
            return name in errors
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return name in errors and attribute in _TEXTS
    return False


def _is_search(node: ast.AST, errors: set[str], texts: set[str]) -> bool:
    match node:
        case ast.Compare(ops=[operator], comparators=[place]) if type(operator).__name__.endswith("In"):
            return _holds_text(place, errors, texts) and not isinstance(place, ast.Dict | ast.Set | ast.Tuple)
        case ast.Call(func=ast.Attribute(value=place, attr=name), args=[_, *_] as arguments) if name in _SEARCHES:
            return any(_holds_text(part, errors, texts) for part in (place, *arguments))
    return False


@pytest.mark.parametrize("lines", [
    'if "Not found" in str(error):\n            return None',
    'said = " ".join(str(error).split())\n        if "quota" in said:\n            return None',
    'what, _, fix = str(error).partition(". ")',
    'if re.search("time.?out", error.message):\n            return None',
    'if error.what.startswith("no such"):\n            return None',
    'return f"{error}".replace("a", "b")',
])  # fmt: skip
def test_a_search_in_an_errors_text_is_noticed(lines):
    source = f"def work():\n    try:\n        ask()\n    except Exception as error:\n        {lines}\n"

    assert list(searches(source))


def test_layout_and_classes_are_not_searches():
    source = (
        "def work():\n    try:\n        ask()\n    except Exception as error:\n"
        '        line = " ".join(str(error).split())\n        return isinstance(error, KeyError), line\n'
    )

    assert not list(searches(source))


def test_no_module_searches_in_the_text_of_an_error():
    modules = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    # The BigQuery stand-in translates the errors of DuckDB and sqlglot; it is a server of its own.
    product = {name: text for name, text in modules.items() if not name.startswith("sandbox/bigquery/")}

    assert product.keys() >= VENDORS
    places = {f"{name}:{line}" for name, text in product.items() if name not in VENDORS for line in searches(text)}
    assert not places, f"catch a class instead, or parse in the vendor's module of errors: {sorted(places)}"
