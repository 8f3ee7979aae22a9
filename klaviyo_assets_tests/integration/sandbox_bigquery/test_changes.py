"""How many changes of a table's metadata the product asks for: Google allows five in ten seconds."""

from collections import Counter

import pytest
import requests

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.pace import Pace
from klaviyo_assets.model.spec import Column, LogicalType

NOTES = (Column(name="note", type=LogicalType.STRING, description="A note."),)


@pytest.fixture
def asked(monkeypatch) -> Counter[str]:
    """The requests that change something, by method and last part of the address."""
    counts, send = Counter(), requests.Session.send

    def counted(session, request, **options):
        if request.method != "GET":
            counts[f"{request.method} {request.url.partition('?')[0].rpartition('/')[2]}"] += 1
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", counted)
    return counts


def test_what_is_there_is_not_created_again(client, dataset, asked):
    """Three loads are three load jobs, and one table."""
    for number in range(3):
        place = BigQueryDataset(client, dataset, pace=Pace())
        place.ensure("A dataset.")
        place.append("notes", NOTES, [{"note": str(number)}], f"{dataset}-{number}")

    assert asked == {"POST tables": 1, "POST jobs": 3}


def test_every_change_of_a_table_is_counted(client, dataset, asked):
    """Creating it, widening it, and each load: a pace of one table's changes sees all of them."""
    waited: list[float] = []
    pace = Pace(per_table=3, clock=lambda: 1000.0 + sum(waited), sleep=waited.append)
    place = BigQueryDataset(client, dataset, pace=pace)
    wider = (*NOTES, Column(name="author", type=LogicalType.STRING, description="Who."))

    place.append("notes", NOTES, [{"note": "one"}], f"{dataset}-one")
    place.append("notes", wider, [{"note": "two", "author": "me"}], f"{dataset}-two")

    assert asked == {"POST tables": 1, "POST jobs": 2, "PATCH notes": 1}
    assert waited == [10.0]
