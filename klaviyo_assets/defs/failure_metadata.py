"""What a run left undone, and why: as metadata of the failed step, for people and for programs.

What belongs here: writing it into a `dg.Failure` and reading it back. What does not: what failed
(`defs/stage_run.py`), and who is notified (`publishing/mail/`). Programs never read the sentences of a failure: the
metadata hold the same as data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from klaviyo_assets.errors import KlaviyoAssetsError, TransientError, UnforeseenError

_NAME = "not_done"
_WHEN_IT_PASSES = "Next: rerun when that system is back (in the UI: Re-execute on the run's page)."
_WHEN_CHANGED = "Next: fix the cause above, then rerun (in the UI: Re-execute on the run's page)."


@dataclass(frozen=True)
class Cause:
    """Why something is not done.

    Attributes:
        asset: The asset that failed first, such as `extracted/event`.
        kind: The class of its error.
        is_transient: Whether a rerun may well succeed.
        what: What happened.
        fix: What to do about it; empty if the error does not say.
    """

    asset: str
    kind: str
    is_transient: bool
    what: str
    fix: str = ""

    @classmethod
    def of(cls, asset: dg.AssetKey, error: KlaviyoAssetsError) -> "Cause":
        """The cause that an error stands for."""
        kind = error.kind if isinstance(error, UnforeseenError) else type(error).__name__
        return cls(asset.to_user_string(), kind, isinstance(error, TransientError), error.what, error.fix)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Cause":
        """The cause in a JSON document; records of earlier versions have `what` and `fix` in one text, `reason`."""
        what = record["what"] if "what" in record else record["reason"]
        return cls(record["asset"], record["kind"], record["is_transient"], what, record.get("fix", ""))

    @property
    def text(self) -> str:
        """`what` and `fix` as sentences."""
        return str(KlaviyoAssetsError(self.what, self.fix))


# Keyed by asset, such as `bigquery/event`, and partition key.
NotDone = Mapping[tuple[str, str], Cause]


def failure_of(not_done: NotDone, asked: int, *, allow_retries: bool = False) -> dg.Failure:
    """The failure of a step; it names every partition that is not done.

    Args:
        not_done: The partitions, and why they are not done.
        asked: How many partitions the step had to do.
        allow_retries: Whether the step's retry policy applies if every error is transient.
    """
    names_by_reason: dict[str, set[str]] = {}
    for (asset, key), cause in not_done.items():
        # For example `event [acme|2026-01-01]`: the step already names the stage.
        names_by_reason.setdefault(cause.text, set()).add(f"{asset.rpartition('/')[2]} [{key}]")
    lines = [f"{', '.join(sorted(names))}: {reason}" for reason, names in names_by_reason.items()]
    is_transient = all(cause.is_transient for cause in not_done.values())
    return dg.Failure(
        description="\n".join(
            [_headline(len(not_done), asked), *lines, _WHEN_IT_PASSES if is_transient else _WHEN_CHANGED]
        ),
        metadata=metadata_of(not_done),
        allow_retries=allow_retries and is_transient,
    )


def metadata_of(not_done: NotDone) -> dict[str, Any]:
    """The metadata of a failure: every cause, with the partitions that are not done because of it."""
    groups = [{**asdict(cause), "partitions": partitions} for cause, partitions in _grouped(not_done).items()]
    return {_NAME: dg.MetadataValue.json(groups)}


def read_failure(metadata: Mapping[str, Any]) -> Iterator[tuple[Cause, dict[str, list[str]]]]:
    """Every cause in the metadata of a failure, with the partitions, by asset, that are not done because of it."""
    value = metadata.get(_NAME)
    groups: Any = value.value if isinstance(value, dg.JsonMetadataValue) else []
    for group in groups:
        yield Cause.read(group), group["partitions"]


def _grouped(not_done: NotDone) -> dict[Cause, dict[str, list[str]]]:
    groups: dict[Cause, dict[str, list[str]]] = {}
    for (asset, partition), cause in not_done.items():
        groups.setdefault(cause, {}).setdefault(asset, []).append(partition)
    return groups


def _headline(failed: int, asked: int) -> str:
    if failed == asked:
        return "1 partition failed:" if asked == 1 else f"all {asked} partitions failed:"
    return f"{failed} of {asked} partition(s) failed, the others are done:"
