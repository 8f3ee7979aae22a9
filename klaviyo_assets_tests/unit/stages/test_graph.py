"""The stages are described once, and the asset graph is as they are described."""

import re
from pathlib import Path

import dagster as dg
import pytest

import klaviyo_assets
from klaviyo_assets.definitions import defs
from klaviyo_assets.stages.graph import Cut, Stage, destinations, followers, keys_of, loading, stages

# Groups of assets that hold checks or send mails: no rows pass through them.
_NO_STAGES = {"freshness", "klaviyo_comparison", "mail"}
_CUTS = {
    Cut.TABLE: {"account", "account|date"}, Cut.ACCOUNT: {"account"}, Cut.WEEK: {"account|week"}, Cut.NONE: {""},
}  # fmt: skip


def _steps() -> list[dg.AssetsDefinition]:
    graph = defs.get_repository_def().assets_defs_by_key.values()
    steps = {id(step): step for step in graph if step.is_executable and step.keys}
    return [step for step in steps.values() if next(iter(step.keys)).path[0] not in _NO_STAGES]


def _cut(definition: dg.PartitionsDefinition | None) -> str:
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return "|".join(sorted(definition.partition_dimension_names))
    return "account" if definition else ""


def test_every_step_is_of_the_stage_that_names_it() -> None:
    named = {step.op.name: {key.path[0] for key in step.keys} for step in _steps()}

    assert named == {name: {stage.name} for stage in stages().values() for name in stage.steps}


@pytest.mark.parametrize("stage", stages().values(), ids=lambda stage: stage.name)
def test_a_stage_is_cut_as_described(stage: Stage) -> None:
    cuts = {
        _cut(spec.partitions_def) for step in _steps() for spec in step.specs if spec.key.path[0] == stage.name
    }  # fmt: skip

    assert cuts <= _CUTS[stage.cut]
    assert cuts


@pytest.mark.parametrize("stage", stages().values(), ids=lambda stage: stage.name)
def test_a_stage_reads_the_stages_it_goes_on_with(stage: Stage) -> None:
    read = {
        dep.asset_key.path[0]
        for step in _steps() for spec in step.specs if spec.key.path[0] == stage.name for dep in spec.deps
    } - {stage.name}  # fmt: skip

    assert set(stage.after) <= read


def test_bigquery_names_what_failed_in_the_destinations_before_it() -> None:
    assert destinations()[-1] == "bigquery"
    assert followers("mapped") == set(destinations())
    assert followers("s3_archive") == {"bigquery"}
    assert followers("bigquery") == set()


def test_attribution_is_not_extracted() -> None:
    keys = list(keys_of(loading(), ["event", "attribution"]))

    assert ["extracted", "event"] in keys
    assert ["extracted", "attribution"] not in keys
    assert all(dg.AssetKey(key) in defs.get_repository_def().assets_defs_by_key for key in keys)


def test_no_other_module_spells_a_stage_that_the_graph_names() -> None:
    package = Path(klaviyo_assets.__file__).parent
    # Words that also mean something else: Dagster's kinds, resource keys, SQL dialects.
    spelled = re.compile(r'"(extracted|s3_archive)"|[\[(]"(fivetran|mapped|bigquery|report|view)", ')
    modules = [
        path.relative_to(package).as_posix() for path in package.rglob("*.py")
        if "sandbox" not in path.parts and path.name != "graph.py" and spelled.search(path.read_text())
    ]  # fmt: skip

    assert not modules
