"""One account's dataset in this process: GoogleSQL through the sandbox's translator on an in-memory DuckDB.

Here: tables made from the specs, loading mapped rows, running statements with parameters. Not here: HTTP, jobs and
load rules, which the sandbox's server has.
"""

from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from klaviyo_assets.accounts import Account
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.statement import (
    PARAMETER_TYPES,
    Days,
    affected,
    affected_parameters,
    restate,
    restate_parameters,
)
from klaviyo_assets.sandbox.bigquery.sql import Field, Parameter, session_setup, translate
from klaviyo_assets.schemas.arrow import arrow_type
from klaviyo_assets.spec import LogicalType, TableSpec
from klaviyo_assets.tables.attribution import SPEC as ATTRIBUTION
from klaviyo_assets.tables.campaign import SPEC as CAMPAIGN
from klaviyo_assets.tables.event import SPEC as EVENT
from klaviyo_assets_tests.reference import Mapped, Row, Standing

PROJECT, DATASET = "a-project", "klaviyo_acme"
LOCATION = f"{PROJECT}.{DATASET}"
SPECS: dict[str, TableSpec] = {spec.name: spec for spec in (EVENT, ATTRIBUTION, CAMPAIGN, *REPORTS.values())}
