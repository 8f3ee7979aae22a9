"""What the views of campaign messages and of flow messages share: tags and link parameters, one value per row.

Here: their columns and common table expressions, and the parts of a detail view. Not here: the views
themselves.
"""

from dataclasses import dataclass

from klaviyo_assets.model.spec import Column, LogicalType, TableSpec
from klaviyo_assets.reports.views.spec import ViewColumn, ViewSpec, view
from klaviyo_assets.tables.tags import SPEC as TAGS

PARAMETERS = ("utm_source", "utm_medium", "utm_campaign")
_LISTED = ", ".join(f"'{name}'" for name in PARAMETERS)


@dataclass(frozen=True, kw_only=True)
class Details:
    """A view of messages, its columns grouped by what they describe.

    Attributes:
        spec: The view.
        owner_id: The column of the campaign's or flow's id.
        of_owner: The columns that are the same for all messages of one campaign or flow.
        of_message: The columns of one message.
    """

    spec: ViewSpec
    owner_id: str
    of_owner: tuple[str, ...]
    of_message: tuple[str, ...]


def details(
    *, name: str, grain: str, description: str, owner: ViewColumn, message: ViewColumn,
    of_owner: tuple[ViewColumn, ...], of_message: tuple[ViewColumn, ...], tagging: TableSpec,
    parameters: TableSpec, reads: tuple[TableSpec, ...], source: str, questions: tuple[str, ...],
) -> Details:  # fmt: skip
    """A view of messages.

    Args:
        name: The view's.
        grain: What a row is.
        description: What the view is for.
        owner: The id of the campaign or flow.
        message: The id of the message.
        of_owner: Columns of the campaign or flow.
        of_message: Columns of the message.
        tagging: Which tags are on which campaign or flow: joined in `source` as `tagged`.
        parameters: Link parameters: joined in `source` as `parameters`.
        reads: The other tables that `source` names.
        source: The FROM clause.
        questions: The questions that it answers.
    """
    spec = view(
        name=name, grain=grain, description=description, order=(owner.column.name, message.column.name),
        reads=(*reads, tagging, TAGS, parameters), columns=(owner, *of_owner, message, *of_message),
        ctes=f"{_tagged(tagging)},\n{_parameters(parameters)}", source=source, questions=questions,
    )  # fmt: skip
    of_owners, of_messages = (tuple(column.column.name for column in columns) for columns in (of_owner, of_message))
    return Details(spec=spec, owner_id=owner.column.name, of_owner=of_owners, of_message=of_messages)


def tags_of(owner: str) -> ViewColumn:
    """The names of the tags on a campaign or flow."""
    description = f"Names of the tags on the {owner}, in alphabetical order, separated by `, `; null if it has none."
    return ViewColumn(Column(name="tags", type=LogicalType.STRING, description=description), "tagged.tags")


def parameters_of(spec: TableSpec) -> tuple[ViewColumn, ...]:
    """Link parameters: one column for each usual parameter, and one text with the rest."""
    meaning = spec.column("value").description
    usual_parameters = [(name, f"The link parameter `{name}`. {meaning} From `{spec.name}`.") for name in PARAMETERS]
    other_parameters = f"Other link parameters as `name=value`, by name, separated by `&`; null without any. {meaning}"
    return tuple(
        ViewColumn(Column(name=name, type=LogicalType.STRING, description=description), f"parameters.{name}")
        for name, description in (*usual_parameters, ("other_utm_params", other_parameters))
    )


def _tagged(spec: TableSpec) -> str:
    owner_id = spec.key[0]
    # Two tags of different groups may have the same name.
    return f"""tagged AS (
  SELECT {spec.name}.{owner_id}, STRING_AGG(DISTINCT tags.name, ', ' ORDER BY tags.name) AS tags
  FROM {spec.name}
  JOIN tags ON tags.tag_id = {spec.name}.tag_id
  GROUP BY {spec.name}.{owner_id}
)"""


def _parameters(spec: TableSpec) -> str:
    owner_id = spec.key[0]
    usual_columns = ",\n    ".join(f"MAX(IF(LOWER(name) = '{name}', value, NULL)) AS {name}" for name in PARAMETERS)
    deleted = "\n  WHERE is_deleted IS NOT TRUE" if "is_deleted" in spec.column_names else ""
    return f"""parameters AS (
  SELECT {owner_id},
    {usual_columns},
    STRING_AGG(IF(LOWER(name) IN ({_LISTED}), NULL, CONCAT(name, '=', COALESCE(value, ''))), '&' ORDER BY name)
      AS other_utm_params
  FROM {spec.name}{deleted}
  GROUP BY {owner_id}
)"""
