"""The statement that creates a view, or brings it to what its spec says now.

Here: GoogleSQL text; identifiers go in through sqlglot. Not here: what a view shows (its own file), and running
anything.
"""

import hashlib

import sqlglot
from sqlglot import exp

from klaviyo_assets.accounts import Account
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.googlesql import DIALECT, literal, quoted, table_of
from klaviyo_assets.reports.statement import located
from klaviyo_assets.reports.views.spec import ViewSpec

# The label of a view that holds the hash of its definition.
LABEL = "definition"


def definition(view: ViewSpec, dataset: str, account: Account) -> str:
    """The value of a view's label: a hash of everything that its statement depends on.

    An unchanged view need not be recreated; comparing hashes is quicker than writing the statement.
    """
    columns = [(column.name, column.description) for column in view.columns]
    ingredients = (view.sql, view.grain, view.description, columns, dataset, sorted(_parameters(account).items()))
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()[:16]


def create_view(view: ViewSpec, dataset: str, account: Account) -> str:
    """GoogleSQL that creates the view or replaces it, with its description and those of its columns.

    What `view.reads` names has to exist: BigQuery checks the query when it creates the view.

    Args:
        view: The view.
        dataset: `project.dataset` that holds the view and what it reads.
        account: The account of the dataset; a view takes no parameters, so the account's name, time zone and currency
            become part of its text.

    Returns:
        A CREATE OR REPLACE VIEW without parameters; running it again changes nothing.

    Raises:
        PermanentError: `dataset` is not `project.dataset`, or the view asks for a parameter that no account has.
    """
    label = f", labels=[('{LABEL}', '{definition(view, dataset, account)}')]"
    query = located(_query_of(view, account), dataset)
    name = table_of(dataset, view.name)
    columns = ", ".join(f"{quoted(column.name)} {_options(column.description)}" for column in view.columns)
    options = _options(f"{view.grain} {view.description}", label)
    return f"CREATE OR REPLACE VIEW {name} ({columns}) {options} AS\n{query}"


def _options(text: str, label: str = "") -> str:
    return f"OPTIONS(description={literal(text)}{label})"


def _parameters(account: Account) -> dict[str, str]:
    return {"account": account.name, "timezone": account.timezone, "currency": account.currency}


def _query_of(view: ViewSpec, account: Account) -> str:
    """The view's query with the account's values in place of its parameters."""
    values = _parameters(account)
    query = sqlglot.parse_one(view.sql, dialect=DIALECT)
    for parameter in list(query.find_all(exp.Parameter)):
        if parameter.name not in values:
            raise PermanentError(
                f"cannot create the view {view.name!r}: its query uses the parameter @{parameter.name}",
                f"A view may use {' and '.join(f'@{name}' for name in values)}.",
            )
        parameter.replace(exp.Literal.string(values[parameter.name]))
    return query.sql(DIALECT)
