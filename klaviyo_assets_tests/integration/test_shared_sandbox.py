"""What one module leaves changed in the sandbox of the session is noticed before the next module begins."""

import httpx

from klaviyo_assets_tests.integration.deployment import Sandbox


def test_nothing_is_noticed_where_nothing_changed(sandbox: Sandbox) -> None:
    assert sandbox.switches() == sandbox.first_switches


def test_an_account_more_is_noticed(sandbox: Sandbox) -> None:
    before = sandbox.folder.accounts_file.read_text()
    sandbox.folder.accounts_file.write_text(f'{before}\n[[account]]\nname = "more"\n')
    try:
        assert sandbox.switches() != sandbox.first_switches
    finally:
        sandbox.folder.accounts_file.write_text(before)


def test_a_planned_fault_is_noticed(sandbox: Sandbox) -> None:
    login = sandbox.variables["FIVETRAN_API_KEY"], sandbox.variables["FIVETRAN_API_SECRET"]
    with httpx.Client(base_url=sandbox.variables["FIVETRAN_API_URL"], auth=login) as fivetran:
        fivetran.post("/sandbox/faults", json={"kind": "error", "status": 503}).raise_for_status()
        try:
            assert sandbox.switches() != sandbox.first_switches
        finally:
            fivetran.delete("/sandbox/faults").raise_for_status()
