"""Names in BigQuery's SQL: every one that is not plainly written in a statement is quoted here, through sqlglot.

Here: columns, tables of a dataset, texts. Not here: statements.

GoogleSQL reserves words such as PARTITION, GROUP and ROWS: unquoted, a column of that name is a syntax error. So names
that come from a spec, and those that are such a word, go through `quoted`. A test sends every statement to Google's own
analyzer.
"""

from collections.abc import Iterable

from sqlglot import exp

from klaviyo_assets.errors import PermanentError

DIALECT = "bigquery"


def quoted(name: str) -> str:
    """A column, alias or table as a statement names it."""
    return exp.to_identifier(name, quoted=True).sql(DIALECT)


def column_list(names: Iterable[str], of: str = "") -> str:
    """Columns, separated by commas; `of` is the alias of the table they are in."""
    before = f"{of}." if of else ""
    return ", ".join(f"{before}{quoted(name)}" for name in names)


def table_of(dataset: str, *names: str) -> str:
    """A table of `project.dataset`, wherever it is read from.

    Raises:
        PermanentError: `dataset` is not `project.dataset`.
    """
    return ".".join(quoted(part) for part in (*parts_of(dataset), *names))


def parts_of(dataset: str) -> tuple[str, str]:
    """Project and dataset; a project may be `example.com:name`.

    Raises:
        PermanentError: `dataset` is not `project.dataset`.
    """
    project, dot, name = dataset.rpartition(".")
    if not (project and dot and name):
        raise PermanentError(
            f"cannot name a table in the dataset {dataset!r}", "Write the dataset as `project.dataset`."
        )
    return project, name


def literal(text: str) -> str:
    """A text in quotes."""
    return exp.Literal.string(text).sql(DIALECT)
