"""Allow-list: STRING and BYTES functions."""

import re

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, combine, mismatch, require, unify
from klaviyo_assets.sandbox.bigquery.sql.calls import Call, allow, scalar, signature
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.operators import as_texts
from klaviyo_assets.sandbox.bigquery.sql.session import SPACES
from klaviyo_assets.sandbox.bigquery.sql.types import BOOL, BYTES, INT64, STRING, array_of, text

for _name in ("LOWER", "REVERSE"):
    allow(_name, signature(f"{_name.lower()}({{0}})", STRING, STRING))
allow("UPPER", signature("upper(replace({0}, 'ß', 'SS'))", STRING, STRING))
allow("CHR", signature("chr(CAST({0} AS INTEGER))", STRING, INT64))
allow("UNICODE", signature("CAST(CASE WHEN {0} = '' THEN 0 ELSE unicode({0}) END AS BIGINT)", INT64, STRING))
for _name in ("LENGTH", "CHAR_LENGTH", "CHARACTER_LENGTH"):
    allow(_name, signature("length({0})", INT64, STRING))
allow("LENGTH", signature("length({0})", INT64, STRING), signature("octet_length({0})", INT64, BYTES))
for _name in ("BYTE_LENGTH", "OCTET_LENGTH"):
    allow(_name, signature("strlen({0})", INT64, STRING), signature("octet_length({0})", INT64, BYTES))
for _name, _duckdb in (("TRIM", "trim"), ("LTRIM", "ltrim"), ("RTRIM", "rtrim")):
    allow(
        _name,
        signature(f"{_duckdb}({{0}}, {text(SPACES)})", STRING, STRING),
        signature(f"{_duckdb}({{0}}, {{1}})", STRING, STRING, STRING),
    )
allow("INITCAP", signature("bq_initcap({0})", STRING, STRING))
allow("STRPOS", signature("strpos({0}, {1})", INT64, STRING, STRING))
allow("INSTR", signature("strpos({0}, {1})", INT64, STRING, STRING))
allow("REPLACE", signature("replace({0}, {1}, {2})", STRING, STRING, STRING, STRING))
allow("STARTS_WITH", signature("starts_with({0}, {1})", BOOL, STRING, STRING))
allow("ENDS_WITH", signature("suffix({0}, {1})", BOOL, STRING, STRING))
allow("REPEAT", signature("bq_repeat({0}, {1})", STRING, STRING, INT64))
allow("LEFT", signature("bq_left({0}, {1})", STRING, STRING, INT64))
allow("RIGHT", signature("bq_right({0}, {1})", STRING, STRING, INT64))
allow(
    "SPLIT",
    signature("string_split({0}, ',')", array_of(STRING), STRING),
    signature("string_split({0}, {1})", array_of(STRING), STRING, STRING),
)
for _name in ("SUBSTR", "SUBSTRING"):
    allow(
        _name,
        signature("bq_substr({0}, {1})", STRING, STRING, INT64),
        signature("bq_substr_of({0}, {1}, {2})", STRING, STRING, INT64, INT64),
    )
for _name in ("LPAD", "RPAD"):
    allow(
        _name,
        signature(f"bq_{_name.lower()}({{0}}, {{1}}, ' ')", STRING, STRING, INT64),
        signature(f"bq_{_name.lower()}({{0}}, {{1}}, {{2}})", STRING, STRING, INT64, STRING),
    )
for _name, _duckdb in (("MD5", "md5"), ("SHA1", "sha1"), ("SHA256", "sha256")):
    hashed = f"unhex({_duckdb}({{0}}))"
    allow(_name, signature(hashed, BYTES, STRING), signature(hashed, BYTES, BYTES))
allow("TO_HEX", signature("lower(hex({0}))", STRING, BYTES))
allow("FROM_HEX", signature("unhex({0})", BYTES, STRING))
allow("TO_BASE64", signature("to_base64({0})", STRING, BYTES))
allow(
    "FROM_BASE64", signature("from_base64(rpad({0}, CAST(4 * ceil(length({0}) / 4) AS INTEGER), '='))", BYTES, STRING)
)
allow("ASCII", signature("CAST(CASE WHEN {0} = '' THEN 0 ELSE ascii({0}) END AS BIGINT)", INT64, STRING))


@scalar("CONCAT")
def _concat(call: Call) -> Bound:
    call.arity(1, 10_000)
    arguments = call.values()
    if {value.type.kind for value in arguments} == {"STRING", "BYTES"}:
        raise unsupported("CONCAT of STRING and BYTES")
    values, kind = unify(as_texts(arguments), "function CONCAT")
    if kind not in (STRING, BYTES):
        raise mismatch("function CONCAT", values)
    return combine(f"({' || '.join(value.sql for value in values)})", kind, values)


def _pattern(call: Call) -> tuple[Bound, str, int]:
    """Text, regular expression as DuckDB text, and its number of groups."""
    value = require(call.bind(0), STRING, call.name)
    pattern = call.literal(1, "regular expression")
    if require(call.bind(1), STRING, call.name).literal is None:
        raise mismatch(f"function {call.name}", [value])
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise unsupported(f"the regular expression {pattern!r} ({error})") from error
    return value, text(pattern), groups


@scalar("REGEXP_CONTAINS")
def _regexp_contains(call: Call) -> Bound:
    call.arity(2)
    value, pattern = (require(each, STRING, call.name) for each in call.values())
    return combine(f"regexp_matches({value.sql}, {pattern.sql})", BOOL, [value, pattern])


@scalar("REGEXP_EXTRACT", "REGEXP_SUBSTR")
def _regexp_extract(call: Call) -> Bound:
    if len(call.nodes) > 2:
        raise unsupported(f"{call.name} from a position or of an occurrence")
    call.arity(2)
    value, pattern, groups = _pattern(call)
    group = _group(call, groups)
    # The list holds NULL if the group did not take part in the match; the text alone would be empty.
    return combine(f"regexp_extract_all({value.sql}, {pattern}, {group})[1]", STRING, [value])


@scalar("REGEXP_EXTRACT_ALL")
def _regexp_extract_all(call: Call) -> Bound:
    call.arity(2)
    value, pattern, groups = _pattern(call)
    sql = (
        f"list_transform(regexp_extract_all({value.sql}, {pattern}, {_group(call, groups)}), lambda m: coalesce(m, ''))"
    )
    if _matches_nothing(call.literal(1, "regular expression")):
        # DuckDB tries once more after the last letter.
        sql = f"CASE WHEN {value.sql} = '' THEN {sql} ELSE {sql}[:-2] END"
    return combine(sql, array_of(STRING), [value])


def _matches_nothing(pattern: str) -> bool:
    """Whether an expression can match the empty text anywhere, as `a*` can and `$` cannot."""
    return re.compile(pattern).match("\0\0", 1) is not None


def _group(call: Call, groups: int) -> int:
    if groups > 1:
        raise invalid(f"Regular expression passed to {call.name} must not have more than 1 capturing group")
    return groups


@scalar("REGEXP_REPLACE")
def _regexp_replace(call: Call) -> Bound:
    call.arity(3)
    value, pattern, _ = _pattern(call)
    new = require(call.bind(2), STRING, call.name)
    return combine(f"regexp_replace({value.sql}, {pattern}, {new.sql}, 'g')", STRING, [value, new])
