"""The servers that this package implements: the BigQuery and Fivetran stand-ins, and mail.

Here: how each is started and proves that it is ours. Not here: the servers themselves (`bigquery`, `fivetran`, `mail`).
"""

import base64

from klaviyo_assets.sandbox.environment import BIGQUERY_PROJECT, MAIL_FROM, SES_REGION
from klaviyo_assets.sandbox.moto_server import TOKEN_VARIABLE
from klaviyo_assets.sandbox.ports import LOCALHOST, answers
from klaviyo_assets.sandbox.postgres import writer_url
from klaviyo_assets.sandbox.processes import Launch
from klaviyo_assets.sandbox.server import NotReadyError, PortNeed, Server, ask, base_environment, python_module


class BigQuery(Server):
    """The subset of BigQuery's REST API on DuckDB."""

    name = "bigquery"
    ports = (PortNeed("bigquery"),)

    def launch(self) -> Launch:
        """Run its module; the token is in the environment."""
        command = python_module(
            "klaviyo_assets.sandbox.bigquery",
            *("--port", str(self.port()), "--data", str(self.data), "--project", BIGQUERY_PROJECT),
        )
        token = self.state.secrets["bigquery_token"]
        return Launch(command, base_environment(KLAVIYO_SANDBOX_BIGQUERY_TOKEN=token), self.data)

    def prove(self) -> None:
        """List datasets with our token; any other token is refused."""
        datasets = f"{self.address}/bigquery/v2/projects/{BIGQUERY_PROJECT}/datasets?maxResults=1"
        ask(datasets, {"Authorization": f"Bearer {self.state.secrets['bigquery_token']}"})


class Fivetran(Server):
    """Fivetran's REST API with simulated Klaviyo shops behind it, which write into our Postgres."""

    name = "fivetran"
    ports = (PortNeed("fivetran"),)
    needs = ("postgres",)

    def launch(self) -> Launch:
        """Run its module; addresses with passwords are in the environment."""
        shop = self.state.shop
        command = python_module(
            "klaviyo_assets.sandbox.fivetran",
            *("--port", str(self.port()), "--state", str(self.data), "--accounts", str(shop["accounts"])),
            *("--events-per-day", str(shop["events_per_day"]), "--days", str(shop["days"])),
            *("--seed", str(shop["seed"]), "--accounts-file", str(self.folder.accounts_file)),
        )
        environment = base_environment(
            KLAVIYO_SANDBOX_POSTGRES_URL=writer_url(self.state),
            FIVETRAN_API_KEY=self.state.fivetran_key,
            FIVETRAN_API_SECRET=self.state.secrets["fivetran_secret"],
        )
        return Launch(command, environment, self.data)

    def prove(self) -> None:
        """Ask for its clock with our key and secret; planned faults never apply to that page."""
        pair = f"{self.state.fivetran_key}:{self.state.secrets['fivetran_secret']}".encode()
        ask(f"{self.address}/sandbox/clock", {"Authorization": f"Basic {base64.b64encode(pair).decode()}"})


class Mail(Server):
    """SMTP and SES in one process."""

    name = "mail"
    ports = (PortNeed("smtp"), PortNeed("ses"))

    def launch(self) -> Launch:
        """Run its module; the token is in the environment."""
        command = python_module(
            "klaviyo_assets.sandbox.mail",
            *("--smtp-port", str(self.port("smtp")), "--ses-port", str(self.port("ses"))),
            *("--folder", str(self.data), "--sender", MAIL_FROM, "--region", SES_REGION),
        )
        environment = {TOKEN_VARIABLE: self.state.secrets["mail_token"]}
        return Launch(command, base_environment(**environment), self.data)

    def prove(self) -> None:
        """Ask SES for its health with our token. SMTP runs in the same process, which ends if SMTP cannot listen."""
        token = self.state.secrets["mail_token"]
        ask(f"http://{LOCALHOST}:{self.port('ses')}/health", {"Authorization": f"Bearer {token}"})
        if not answers(self.port("smtp")):
            raise NotReadyError(f"nobody answers on SMTP port {self.port('smtp')}")

    @property
    def address(self) -> str:
        """The addresses of SMTP and SES."""
        return f"smtp://{LOCALHOST}:{self.port('smtp')}, SES http://{LOCALHOST}:{self.port('ses')}"
