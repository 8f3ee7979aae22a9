"""Whether BigQuery's own description of its API knows what the client and the stand-in say to each other.

Google's discovery document ships in google-api-python-client. The checker finds field names it does not know at
any depth, wrong JSON types, int64 values that are not strings of digits, values outside an enumeration, unknown
query parameters, and any answer of the 5xx kind. It cannot find a missing field: the document marks none as required.
"""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import googleapiclient
import requests

# The client sends it to jobs.get, though only jobs.list is documented to take it.
UNDOCUMENTED_PARAMETERS = {"jobs.get": {"projection"}, "jobs.cancel": {"projection"}}

_UPLOAD_PARAMETERS = {"uploadType", "upload_id"}
_ERROR = {"code": int, "message": str, "status": str, "errors": list}


@functools.cache
def document() -> dict[str, Any]:
    """Return the discovery document of BigQuery's version 2."""
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    return json.loads((folder / "bigquery.v2.json").read_text(encoding="utf-8"))


@functools.cache
def _methods() -> list[tuple[str, str, re.Pattern[str], dict[str, Any]]]:
    methods = []
    for resource, content in document()["resources"].items():
        for name, method in content["methods"].items():
            pattern = re.sub(r"\{\+?(\w+)\}", r"[^/]+", method["path"])
            methods.append((f"{resource}.{name}", method["httpMethod"], re.compile(f"/bigquery/v2/{pattern}"), method))
    return methods


def method_of(verb: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """Return the name and description of the API method that a request calls."""
    plain = path.removeprefix("/upload")
    # The chunks of a resumable upload are PUT to where jobs.insert is POSTed.
    wanted = "POST" if path.startswith("/upload") else verb
    for name, method_verb, pattern, method in _methods():
        if method_verb == wanted and pattern.fullmatch(plain):
            return name, method
    return None


def problems_of_value(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Compare a JSON value with its schema; give a sentence per difference."""
    if "$ref" in schema:
        schema = document()["schemas"][schema["$ref"]]
    check = _CHECKS.get(schema["type"])
    if value is None or check is None:
        # A null is an absent field; "any" is anything.
        return
    yield from check(value, schema, where)


def _problems_of_object(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
        return
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, entry in value.items():
        inner = properties.get(name, others)
        if inner is None:
            yield f"{where}.{name}: unknown field"
        else:
            yield from problems_of_value(entry, inner, f"{where}.{name}")


def _problems_of_array(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: {value!r} is no array"
        return
    # Rows are all alike: the first and last hundred tell.
    for place, entry in enumerate([*value[:100], *value[100:][-100:]]):
        yield from problems_of_value(entry, schema["items"], f"{where}[{place}]")


def _problems_of_string(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where}: {value!r} is no string"
    elif schema.get("format") in ("int64", "uint64") and not re.fullmatch(r"-?\d+", value):
        yield f"{where}: {value!r} is no {schema['format']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"


def _problems_of_number(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    kinds = (int,) if schema["type"] == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        yield f"{where}: {value!r} is no {schema['type']}"


def _problems_of_boolean(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{where}: {value!r} is no boolean"


_CHECKS = {
    "object": _problems_of_object,
    "array": _problems_of_array,
    "string": _problems_of_string,
    "integer": _problems_of_number,
    "number": _problems_of_number,
    "boolean": _problems_of_boolean,
}


def problems_of_exchange(response: requests.Response) -> list[str]:
    """Check one request and its answer; return a sentence per difference."""
    request = response.request
    parts = urlsplit(request.url)
    where = f"{request.method} {parts.path}"
    if response.status_code >= 500:
        return [f"{where}: answered {response.status_code}: {response.text[:500]}"]
    name_and_method = method_of(request.method, parts.path)
    if name_and_method is None:
        return [f"{where}: no method of the API"]
    name, method = name_and_method
    problems = list(_problems_of_query(parts.query, name, method, where))
    body = _json_body(request)
    if body is not None and "request" in method:
        problems += problems_of_value(body, method["request"], f"{where} request")
    return problems + list(_problems_of_answer(response, method, where))


def _problems_of_query(query: str, name: str, method: dict[str, Any], where: str) -> Iterator[str]:
    parameters = {*method["parameters"], *document()["parameters"], *_UPLOAD_PARAMETERS}
    parameters |= UNDOCUMENTED_PARAMETERS.get(name, set())
    for parameter, _ in parse_qsl(query, keep_blank_values=True):
        if parameter not in parameters:
            yield f"{where}: unknown query parameter {parameter}"


def _problems_of_answer(response: requests.Response, method: dict[str, Any], where: str) -> Iterator[str]:
    if response.status_code >= 400:
        error = response.json().get("error", {})
        for field, kind in _ERROR.items():
            if not isinstance(error.get(field), kind):
                yield f"{where}: error.{field} is {error.get(field)!r}"
        if not all({"reason", "message"} <= set(entry) for entry in error.get("errors", [])):
            yield f"{where}: an error without reason or message"
    elif response.content and "response" in method:
        yield from problems_of_value(response.json(), method["response"], f"{where} answer")


def _json_body(request: requests.PreparedRequest) -> Any:
    body, kind = request.body, request.headers.get("Content-Type", "")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if not body or (request.method == "PUT" and "/upload/" in request.url):
        return None
    if kind.startswith("application/json"):
        return json.loads(body)
    if kind.startswith("multipart/related"):
        return json.loads(body.split(b"\r\n\r\n", 2)[1].split(b"\r\n--")[0])
    return None
