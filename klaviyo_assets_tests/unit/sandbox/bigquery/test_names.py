"""Names of tables, days and columns."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox.bigquery.errors import ApiError
from klaviyo_assets.sandbox.bigquery.names import address_of, column_name, job_id, physical_name, table_address

plain = st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True)


def test_a_decorator_is_a_day():
    address = table_address("p", "d", "event$20240229")

    assert (address.ref, address.day) == (("p", "d", "event"), dt.date(2024, 2, 29))
    assert str(address) == "p:d.event$20240229"


@pytest.mark.parametrize(
    "name", ["e$", "e$2024", "e$20230229", "e$2024022912", "e$__NULL__", "e-f", "e f", "", "$20240229"]
)
def test_other_table_ids_are_refused(name):
    with pytest.raises(ApiError) as caught:
        table_address("p", "d", name)
    assert caught.value.code == 400


@given(st.tuples(plain, plain), st.tuples(plain, plain))
def test_two_tables_never_share_a_physical_name(left, right):
    first, second = (physical_name(("p", *pair)) for pair in (left, right))

    assert (first == second) == (left == right)
    assert first.isidentifier()


def test_a_reference_names_what_it_lacks():
    with pytest.raises(ApiError, match="datasetId"):
        address_of({"projectId": "p", "tableId": "t"})


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "x" * 301])
def test_columns_are_plain_identifiers(name):
    with pytest.raises(ApiError, match="Invalid field name"):
        column_name(name)


def test_job_ids_have_no_path_in_them():
    assert job_id("load-2024_05") == "load-2024_05"
    with pytest.raises(ApiError, match="Invalid job ID"):
        job_id("../x")
