"""Names say what they hold: the product, the sandbox and the tests bind no bare participle and no bare `one`.

Here: the few words that say nothing of what is held. Not here: whether a noun is a good one.
"""

import ast
from collections.abc import Iterator

from klaviyo_assets_tests.checkout import ROOT

# Each with a name that says more.
BARE = {
    "found": "metric_ids", "one": "account", "known": "metric_names", "shown": "visible_columns", "said": "phrases",
    "made": "frames",
}  # fmt: skip
# A comprehension this short shows what its variable is.
SHORT = 3


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the name of everything that a module binds, but not the variables of short comprehensions."""
    exempt = {id(name) for node in ast.walk(tree) for name in short_comprehension_targets(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if id(node) not in exempt:
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def short_comprehension_targets(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            if node.end_lineno - node.lineno < SHORT:
                return [name for generator in node.generators for name in ast.walk(generator.target)]
    return []


def complaints_about(source: str, path: str) -> list[str]:
    return [
        f"{path}:{line}: `{name}`: name what it holds, e.g. `{BARE[word]}` instead of `{word}`"
        for line, name in sorted(bound_names(ast.parse(source)))
        if (word := name.strip("_").lower()) in BARE
    ]


def test_a_name_ends_in_the_noun_of_what_it_holds():
    complaints = []
    for package in ("klaviyo_assets", "klaviyo_assets_tests"):
        for path in sorted((ROOT / package).rglob("*.py")):
            complaints += complaints_about(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))

    assert not complaints, "\n".join([f"{len(complaints)} names do not say what they hold:", *complaints])


def test_a_short_comprehension_may_call_its_variable_as_it_likes():
    short = "names = [one.name for one in accounts]"
    long = "names = [\n    one.name\n    for one in accounts\n    if one.name\n]"

    assert complaints_about(short, "a.py") == []
    assert complaints_about(long, "a.py") == ["a.py:3: `one`: name what it holds, e.g. `account` instead of `one`"]
