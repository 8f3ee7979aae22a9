"""How long anything outside this process may take: every limit, in one table.

Here: the limits as named constants. Not here: how a limit is kept (the resource of each system;
`transport/limited_http.py` for all that goes over HTTP), and the table in docs/reliability.md (`documentation/`).
"""

from dataclasses import dataclass

_AGAIN = "the call is repeated while its own limit allows"
_FAILS = "the partition fails with a transient error, and the step tries it again"


@dataclass(frozen=True)
class TimeLimit:
    """One limit.

    Attributes:
        system: The system that has to answer.
        call: The action that the limit is on.
        seconds: The limit.
        consequence: What happens when it is reached.
    """

    system: str
    call: str
    seconds: float
    consequence: str


FIVETRAN_CONNECT = TimeLimit("Fivetran", "a connection, TLS included", 10, _AGAIN)
FIVETRAN_SILENCE = TimeLimit("Fivetran", "no byte comes", 60, _AGAIN)
FIVETRAN_EXCHANGE = TimeLimit("Fivetran", "one request and its whole answer", 120, _AGAIN)
FIVETRAN_CALL = TimeLimit("Fivetran", "a call, made at most 5 times", 600, "it fails with a transient error")
FIVETRAN_SYNC = TimeLimit(
    "Fivetran", "waiting for the end of a sync", 3600, "it fails with a transient error; the sync goes on at Fivetran"
)
POSTGRES_CONNECT = TimeLimit("Postgres", "a connection to one address, TLS and login included", 10, _FAILS)
POSTGRES_ANSWER = TimeLimit("Postgres", "a short answer: opening a session, a turn", 30, _FAILS)
POSTGRES_DEAD_PEER = TimeLimit(
    "Postgres", "a machine that acknowledges nothing (keepalives, tcp_user_timeout)", 60, _FAILS
)
POSTGRES_STATEMENT = TimeLimit(
    "Postgres", "a statement; the server ends it, or this side does if it stays silent 15 s longer", 900,
    "the partition fails: the limit or an index has to change",
)  # fmt: skip
POSTGRES_BATCH = TimeLimit("Postgres", "the next 16 MB of rows, once rows have begun to come", 120, _FAILS)
POSTGRES_LOCK = TimeLimit("Postgres", "a lock on a table that somebody else holds", 60, _FAILS)
POSTGRES_IDLE = TimeLimit("Postgres", "an idle snapshot", 3600, "the server ends it; the partition is read again")
POSTGRES_CLOSE = TimeLimit("Postgres", "ending a session", 10, "the connection is cut")
POSTGRES_TURN = TimeLimit(
    "Postgres", "an account's turn, while another run writes the account", 900, "the account's partitions fail"
)
S3_CONNECT = TimeLimit("S3", "a connection, TLS included", 10, _AGAIN)
S3_SILENCE = TimeLimit("S3", "no byte comes", 60, _AGAIN)
S3_EXCHANGE = TimeLimit("S3", "one request and its whole answer, upload or download", 600, _AGAIN)
S3_CALL = TimeLimit("S3", "a call with its repetitions, at most 5 of each request", 900, _FAILS)
BIGQUERY_CONNECT = TimeLimit("BigQuery", "a connection, TLS included; likewise to Google's token server", 10, _AGAIN)
BIGQUERY_SILENCE = TimeLimit("BigQuery", "no byte comes", 120, _AGAIN)
BIGQUERY_EXCHANGE = TimeLimit("BigQuery", "one request and its whole answer; of an upload, 100 MB of it", 600, _AGAIN)
BIGQUERY_PATIENCE = TimeLimit(
    "BigQuery", "a call with its repetitions (10 s against a local stand-in)", 120, "no further repetition begins"
)
BIGQUERY_JOB = TimeLimit(
    "BigQuery", "waiting for the end of a job", 900, f"{_FAILS}; the next run waits for the job first"
)
BIGQUERY_EARLIER_JOBS = TimeLimit("BigQuery", "waiting for jobs of an earlier attempt", 600, _FAILS)
BIGQUERY_ACTION = TimeLimit(
    "BigQuery", "an action: an upload with its job, a query with a page of its rows, a table prepared", 1800, _FAILS
)
KLAVIYO_CONNECT = TimeLimit("Klaviyo", "a connection, TLS included", 10, "the comparison fails with a transient error")
KLAVIYO_SILENCE = TimeLimit("Klaviyo", "no byte comes", 120, "the comparison fails with a transient error")
KLAVIYO_EXCHANGE = TimeLimit(
    "Klaviyo", "one request and its whole answer", 180, "the comparison fails with a transient error"
)
KLAVIYO_PAUSE = TimeLimit(
    "Klaviyo", "a pause that Klaviyo's quota asks for", 150, "it is not waited for; the message says until when"
)
SES_CONNECT = TimeLimit("Amazon SES", "a connection, TLS included", 10, "the mail is sent again, 4 times in all")
SES_SILENCE = TimeLimit("Amazon SES", "no byte comes", 20, "the mail is sent again, 4 times in all")
SES_EXCHANGE = TimeLimit("Amazon SES", "one mail", 120, "the mail is sent again, 4 times in all")
SMTP_ANSWER = TimeLimit(
    "SMTP", "a connection; an answer of greeting, TLS and login", 20, "the mail is sent again, 4 times in all"
)
SMTP_MESSAGE = TimeLimit("SMTP", "an answer from MAIL FROM on, taking the message included", 60, "likewise")
SMTP_SESSION = TimeLimit("SMTP", "a whole session, however slowly its answers drip", 180, "likewise")
MAIL_ATTEMPTS = TimeLimit("mail", "attempts to send one mail, by SMTP or SES", 30, "no further attempt begins")


def all_limits() -> tuple[TimeLimit, ...]:
    """Every limit of this module, in order."""
    return tuple(value for value in globals().values() if isinstance(value, TimeLimit))
