"""Large account tables through real servers: what changed is enough, and gives what a whole load gives."""

from dataclasses import replace
from itertools import count
from typing import Any

import dagster as dg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.stages import deltas
from klaviyo_assets_tests.integration.deployment import STAGES
from klaviyo_assets_tests.integration.large_tables import NAMES, LargeTables

CHANGE = """
    UPDATE {0}.person SET city = 'Paris', _fivetran_synced = %s WHERE id IN ('p001', 'p299');
    UPDATE {0}.person SET _fivetran_deleted = true, _fivetran_synced = %s WHERE id = 'p007';
    INSERT INTO {0}.person VALUES ('a0', 'a@example.com', 'Rome', NULL, NULL, '2', false, %s);
    INSERT INTO {0}.person VALUES ('zz', 'z@example.com', NULL, NULL, NULL, 'much', false, %s);
    UPDATE {0}.list_person SET _fivetran_deleted = true, _fivetran_synced = %s WHERE person_id = 'p007'
"""
_NUMBERS = count()


@pytest.fixture
def tables(deploy) -> LargeTables:
    """Two tables of an account of their own, loaded once."""
    large_tables = LargeTables.begin(deploy(f"large_{next(_NUMBERS)}", last_days=0))
    assert {record.mode for record in large_tables.load().values()} == {"whole"}
    return large_tables


def test_a_sync_runs_through_the_stages_by_what_it_changed(tables):
    """As Dagster runs them, with what the page then says."""
    deployment = tables.deployment
    tables.sync(CHANGE)

    keys = [dg.AssetKey([stage, name]) for stage in STAGES for name in NAMES]
    config = {"ops": {"extract_tables": {"config": {"delta_from_rows": 10}}}}
    outcome = deployment._execute(keys, partition_key=deployment.account.name, run_config=config)

    assert outcome.failures == []
    told = {stage: metadata(deployment, stage) for stage in STAGES}
    assert {said["mode"] for said in told.values()} == {"delta"}
    assert (told["extracted"]["rows_changed"], told["extracted"]["rows_of_table"]) == (5, 302)
    assert told["extracted"]["why"] == "5 rows synced after 2026-02-01 00:00:00 UTC"
    assert told["s3_archive"]["parts"] == 2
    assert (told["bigquery"]["rows_changed"], told["bigquery"]["dagster/partition_row_count"]) == (5, 302)
    tables.check()
    assert deployment.frame_files() == []


def metadata(deployment, stage: str) -> dict[str, Any]:
    event = deployment.instance.get_latest_materialization_event(dg.AssetKey([stage, "person"]))
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


@pytest.mark.slow
def test_small_tables_are_read_whole(tables):
    tables.sync(CHANGE)

    records = tables.load(delta_from_rows=1000)

    assert [(record.mode, record.state) for record in records.values()] == [("whole", None)] * 2
    tables.check()


def test_nothing_changed_writes_nothing(tables):
    tables.sync(CHANGE)
    tables.load()
    before = tables.deployment.objects()

    assert {record.mode for record in tables.load().values()} == {"delta"}

    assert tables.deployment.objects() == before
    tables.check()


# What a sync may do to people, how the table is then read, and why.
SYNCS = {
    "update": ("UPDATE {0}.person SET city = 'Oslo', custom_shoe = '50', _fivetran_synced = %s WHERE id LIKE 'p02_'",
               "delta", "rows synced after"),
    "insert": ("INSERT INTO {0}.person VALUES ('n1', 'n', 'Bonn', NULL, NULL, NULL, NULL, %s)",
               "delta", "rows synced after"),
    "soft delete": ("UPDATE {0}.person SET _fivetran_deleted = true, _fivetran_synced = %s WHERE id LIKE 'p03_'",
                    "delta", "rows synced after"),
    "un-delete": ("UPDATE {0}.person SET _fivetran_deleted = false, _fivetran_synced = %s WHERE _fivetran_deleted",
                  "delta", "rows synced after"),
    "late in a sync under way": ("UPDATE {0}.person SET city = 'Late', _fivetran_synced = %s::timestamptz "
                                 "- interval '12 hours 30 minutes' WHERE id = 'p005'", "delta", "rows synced after"),
    "hard delete": ("DELETE FROM {0}.person WHERE id LIKE 'p1__'", "whole", "disappeared without a newer sync time"),
    "hard delete of what came last": ("DELETE FROM {0}.person WHERE id IN ('n1', 'p005')", "whole", "went without"),
    "older": ("UPDATE {0}.person SET city = 'Old', _fivetran_synced = '2020-01-01' WHERE id = 'p006'",
              "whole", "not the same"),
    "no sync time": ("UPDATE {0}.person SET _fivetran_synced = NULL WHERE id = 'p008'", "whole", "not the same"),
    "update again": ("UPDATE {0}.person SET city = 'Ulm', _fivetran_synced = %s WHERE id = 'p009'",
                     "delta", "rows synced after"),
    "new column": ("ALTER TABLE {0}.person ADD COLUMN custom_hat text DEFAULT 'cap'", "whole", "columns of the table"),
    "re-sync": ("UPDATE {0}.person SET _fivetran_synced = %s", "whole", "too many rows changed"),
    "truncate and reload": (
        "CREATE TABLE {0}.kept AS SELECT * FROM {0}.person WHERE id < 'p02'; TRUNCATE {0}.person; "
        "INSERT INTO {0}.person SELECT id, email, 'again', updated, custom_shoe, NULL, false, %s FROM {0}.kept; "
        "DROP TABLE {0}.kept", "whole", "too many"),
    "a key there twice": ("ALTER TABLE {0}.person DROP CONSTRAINT person_pkey; INSERT INTO {0}.person "
                          "VALUES ('p009', 'twice', NULL, NULL, NULL, NULL, false, %s)", "whole", "not the same"),
    "a row in quarantine": ("UPDATE {0}.person SET city = 'Kiel', _fivetran_synced = %s WHERE id = 'p010'",
                            "whole", "in quarantine"),
    "a key there once": ("DELETE FROM {0}.person WHERE email = 'twice'", "whole", "in quarantine"),
    "no key": ("INSERT INTO {0}.person VALUES (' ', 'blank', NULL, NULL, NULL, NULL, false, %s)", "whole",
               "a key is missing"),
    "no sync times at all": ("DELETE FROM {0}.person WHERE id = ' '; ALTER TABLE {0}.person DROP COLUMN "
                             "_fivetran_synced", "whole", "no _fivetran_synced"),
}  # fmt: skip


@pytest.mark.slow
def test_whatever_a_sync_does_the_tables_are_what_a_rebuild_gives(tables, monkeypatch):
    monkeypatch.setattr(deltas, "MOST_SHARE", 0.5)
    for name, (statements, mode, why) in SYNCS.items():
        tables.sync(statements)
        record = tables.load(("person",))["person"]
        assert record.state is not None
        assert (name, record.mode) == (name, mode), record.state.why
        assert why in record.state.why, (name, record.state.why)
        tables.check()


CHANGES = {
    "update": "UPDATE {0}.person SET city = 'c{n}', _fivetran_synced = %s WHERE id LIKE '{who}'",
    "soft delete": "UPDATE {0}.person SET _fivetran_deleted = true, _fivetran_synced = %s WHERE id LIKE '{who}'",
    "un-delete": "UPDATE {0}.person SET _fivetran_deleted = false, _fivetran_synced = %s WHERE id LIKE '{who}'",
    "hard delete": "DELETE FROM {0}.person WHERE id LIKE '{who}'",
    "insert": "INSERT INTO {0}.person SELECT 'n{n}' || i, 'e', NULL, NULL, NULL, 'x{n}', false, %s::timestamptz "
              "FROM generate_series(1, 3) AS i ON CONFLICT DO NOTHING",
    "set back": "UPDATE {0}.person SET city = 'back', _fivetran_synced = '2026-01-15' WHERE id LIKE '{who}'",
    "members leave": "UPDATE {0}.list_person SET _fivetran_deleted = true, _fivetran_synced = %s "
                     "WHERE person_id LIKE '{who}'",
    "members go": "DELETE FROM {0}.list_person WHERE person_id LIKE '{who}'",
}  # fmt: skip
# What becomes of a load: done, or dead after a stage or before the ledger.
FATES = ("done", "done", "extracted", "archived", "merged")
steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.sampled_from(["p00_", "p01_", "p1_5", "n1_"])),
                 max_size=3),
        st.sampled_from(FATES),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


def go(tables: LargeTables, changes: list[tuple[str, str]], fate: str) -> None:
    """One sync, and a load that may die on the way."""
    number = tables.shop.syncs
    statements = [CHANGES[name].replace("{n}", str(number)).replace("{who}", who) for name, who in changes]
    tables.sync("; ".join(statements))
    if fate == "done":
        tables.load()
        return
    tables.extract()
    if fate != "extracted":
        tables.archive()
    if fate == "merged":
        tables.bring(book=False)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=[Phase.generate, Phase.reuse],
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(steps)
@pytest.mark.slow
def test_any_sequence_of_syncs_and_dying_loads_ends_as_a_rebuild(tables, sequence):
    """The next load that lives puts everything right, whatever the others left."""
    for changes, fate in sequence:
        go(tables, changes, fate)
    tables.load()
    tables.check()


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["extracted", "archived", "merged"])
def test_a_load_that_dies_is_made_good_by_the_next_even_if_its_rows_are_gone(tables, fate):
    """The archive must not keep the row that only the dead load saw."""
    tables.sync("INSERT INTO {0}.person VALUES ('brief', 'b', NULL, NULL, NULL, NULL, false, %s)")
    go(tables, [], fate)
    tables.sync("DELETE FROM {0}.person WHERE id = 'brief'")
    tables.sync("UPDATE {0}.person SET city = 'Riga', _fivetran_synced = %s WHERE id = 'p011'")

    tables.load()

    tables.check()


@pytest.mark.slow
def test_many_deltas_become_a_new_whole_part(tables, monkeypatch):
    monkeypatch.setattr(deltas, "MOST_PARTS", 3)
    modes = []
    for _ in range(4):
        tables.sync("UPDATE {0}.person SET city = 'x' || city, _fivetran_synced = %s WHERE id = 'p012'")
        modes.append(tables.load(("person",))["person"].mode)

    assert modes == ["delta", "delta", "whole", "delta"]
    tables.check()


@pytest.mark.slow
def test_deltas_with_many_rows_become_a_new_whole_part(tables):
    modes = []
    for _ in range(3):
        tables.sync("UPDATE {0}.person SET city = 'x' || city, _fivetran_synced = %s WHERE id < 'p025'")
        modes.append(tables.load(("person",))["person"].mode)

    assert modes == ["delta", "delta", "whole"]


@pytest.mark.slow
def test_a_changed_setting_or_hash_key_reads_the_table_whole(tables):
    tables.deployment.changes["PII_HASH_KEY"] = "another key of enough letters"
    assert tables.load(("person",))["person"].mode == "whole"
    tables.deployment.account = replace(tables.deployment.account, pii="keep")
    assert tables.load(("person",))["person"].mode == "whole"
    assert tables.load()["person"].mode == "delta"
    tables.check()


@pytest.mark.slow
def test_a_table_is_read_whole_on_demand(tables):
    assert tables.load(("person",), whole_because="it was asked for")["person"].state.why == "it was asked for"


@pytest.mark.slow
def test_a_bigquery_or_archive_that_lost_the_table_gets_it_whole(tables):
    archive, name = tables.deployment.archive, tables.deployment.account.name
    tables.deployment.query("DELETE FROM person WHERE person_id = 'p013'")
    assert "went without" in tables.load(("person",))["person"].state.why
    tables.deployment.query("DROP TABLE person")
    assert "what was loaded is not known" in tables.load(("person",))["person"].state.why
    archive.client.delete_object(Bucket=archive.bucket, Key=f"{archive.folder(name, 'person', None)}/_manifest.json")
    assert "the archive does not hold" in tables.load(("person",))["person"].state.why
    tables.check()


@pytest.mark.slow
def test_a_bigquery_that_cannot_be_asked_does_not_keep_the_table_from_being_read(tables):
    tables.deployment.changes["BIGQUERY_EMULATOR_HOST"] = "http://127.0.0.1:1"
    record = tables.extract(("person",))["person"]
    assert record.mode == "whole"
    assert record.state.why.startswith("what was loaded is not known")


@pytest.mark.slow
def test_changed_rows_that_were_read_before_another_load_are_refused(tables):
    """They would put older rows over newer ones."""
    tables.sync(CHANGE)
    tables.extract(("person",))
    frames = f"{tables.deployment.variables['KLAVIYO_FRAMES_URL']}_other"
    other = replace(tables, deployment=replace(tables.deployment, changes={"KLAVIYO_FRAMES_URL": frames}))
    other.sync("UPDATE {0}.person SET city = 'Newer', _fivetran_synced = %s WHERE id = 'p001'")
    other.load()

    with pytest.raises(PermanentError, match="after its changed rows were read"):
        tables.bring(("person",))

    other.check()


@pytest.mark.slow
def test_a_bigquery_that_is_not_what_was_counted_on_fails_the_load(tables):
    tables.sync(CHANGE)
    tables.extract(("person",))
    tables.archive(("person",))
    tables.deployment.query("DELETE FROM person WHERE person_id = 'p014'")

    with pytest.raises(PermanentError, match="differs from Postgres after its changed rows were merged"):
        tables.bring(("person",))

    assert "went without" in tables.load()["person"].state.why
    tables.check()


@pytest.mark.slow
def test_the_archive_alone_gives_the_merged_rows_back(tables):
    """Loading from the archive, where the frame is gone."""
    tables.sync(CHANGE)
    tables.load()
    tables.deployment.query("DELETE FROM person WHERE TRUE")

    tables.bring(("person",))

    assert tables.deployment.query("SELECT COUNT(*) FROM person") == [(302,)]
    assert tables.load(("person",))["person"].state.why == "nothing is known about an earlier load"
    tables.check()


@pytest.mark.slow
def test_verify_understands_deltas_and_names_a_part_that_is_gone(tables, tmp_path):
    deployment = tables.deployment
    deployment.run()
    tables.load(whole_because="it was asked for")
    tables.sync(CHANGE)
    assert tables.load()["person"].mode == "delta"

    assert deployment.command(tmp_path, "verify", "--deep").exit_code == 0

    base = deployment.archive.manifest(deployment.account.name, "person", None).parts[0]
    folder = deployment.archive.folder(deployment.account.name, "person", None)
    deployment.archive.client.delete_object(
        Bucket=deployment.archive.bucket, Key=f"{folder}/part-{base.sha256}.parquet"
    )
    result = deployment.command(tmp_path, "verify")
    assert result.exit_code == 1
    assert f"Delete s3://{deployment.archive.bucket}/{folder}/part-{base.sha256}.parquet" in result.output
