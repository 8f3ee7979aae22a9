"""What a DuckDB connection needs before it runs translated statements: settings and macros.

A macro stands for a piece of GoogleSQL that takes more than a call in DuckDB. Errors inside macros are failing
casts, not error(): DuckDB's TRY, which SAFE_CAST becomes, refuses error().
"""

_SETTINGS = (
    "SET GLOBAL TimeZone='UTC'",
    "SET GLOBAL autoinstall_known_extensions=false",
    "SET GLOBAL autoload_known_extensions=false",
    "SET GLOBAL ieee_floating_point_ops=false",
)
_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{1,2}:\d{1,2}(\.\d{1,6})?"
_ZONE = r"([Zz]|\s?[+-]\d\d?(:\d\d)?| [A-Za-z_]+(/[A-Za-z_]+)*)?"
SPACES = (
    "\t\n\v\f\r \u0085\u00a0\u1680" + "".join(chr(c) for c in range(0x2000, 0x200B)) + "\u2028\u2029\u202f\u205f\u3000"
)
"""What TRIM removes: every character Unicode calls white space."""

_MACROS = {
    "bq_int64(s)": "CASE WHEN regexp_full_match(s, '\\s*[+-]?[0-9]+\\s*') THEN CAST(trim(s) AS BIGINT)"
    " WHEN regexp_full_match(s, '0[xX][0-9a-fA-F]{1,15}') THEN CAST(s AS BIGINT)"
    " ELSE CAST('Bad int64 value: ' || s AS BIGINT) END",
    "bq_float64(s)": f"CASE WHEN regexp_full_match(lower(s), '{_NUMBER}|[+-]?inf(inity)?|nan')"
    " THEN CAST(trim(s) AS DOUBLE) ELSE CAST('Bad double value: ' || s AS DOUBLE) END",
    "bq_numeric(s)": f"CASE WHEN regexp_full_match(s, '{_NUMBER}') THEN CAST(trim(s) AS DECIMAL(38,9))"
    " ELSE CAST('Invalid NUMERIC value: ' || s AS DECIMAL(38,9)) END",
    "bq_bool(s)": "CASE lower(s) WHEN 'true' THEN true WHEN 'false' THEN false"
    " ELSE CAST('Bad bool value: ' || s AS BOOLEAN) END",
    "bq_date(s)": f"CASE WHEN regexp_full_match(s, '\\s*{_DAY}\\s*') THEN CAST(trim(s) AS DATE)"
    " ELSE CAST('Invalid date: ' || s AS DATE) END",
    "bq_time(s)": f"CASE WHEN regexp_full_match(s, '{_CLOCK}') THEN CAST(s AS TIME)"
    " ELSE CAST('Invalid time string: ' || s AS TIME) END",
    "bq_datetime(s)": f"CASE WHEN regexp_full_match(s, '\\s*{_DAY}([ Tt]{_CLOCK})?\\s*')"
    " THEN CAST(upper(trim(s)) AS TIMESTAMP) ELSE CAST('Invalid datetime string: ' || s AS TIMESTAMP) END",
    "bq_zone(z)": "CASE WHEN lower(z) IN ('', 'z') THEN '+00' WHEN regexp_matches(z, '^\\s?[+-]')"
    " THEN regexp_replace(trim(z), '^([+-])(\\d)(:|$)', '\\10\\2\\3') ELSE ' ' || trim(z) END",
    "bq_timestamp(s)": f"CASE WHEN regexp_full_match(s, '\\s*{_DAY}([ Tt]{_CLOCK})?{_ZONE}\\s*')"
    f" THEN CAST(regexp_extract(s, '{_DAY}') || ' '"
    f" || coalesce(nullif(regexp_extract(s, '{_CLOCK}'), ''), '00:00:00')"
    f" || bq_zone(regexp_extract(trim(s), '^{_DAY}([ Tt]{_CLOCK})?{_ZONE}$', 3)) AS TIMESTAMPTZ)"
    " ELSE CAST('Invalid timestamp: ' || s AS TIMESTAMPTZ) END",
    "bq_float64_text(x)": "CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) AND x > 0 THEN 'Infinity'"
    " WHEN isinf(x) THEN '-Infinity' WHEN CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x)"
    " ELSE printf('%.17g', x) END",
    "bq_numeric_units(x)": "CAST(x * CAST(1000000000 AS DECIMAL(10,0)) AS HUGEINT)",
    "bq_halved(n, d)": "n // d + CASE WHEN abs(n % d) >= abs(d) - abs(n % d)"
    " THEN CASE WHEN (n < 0) = (d < 0) THEN 1 ELSE -1 END ELSE 0 END",
    "bq_numeric_of_units(n)": "CAST(n AS DECIMAL(38,0)) * CAST('0.000000001' AS DECIMAL(9,9))",
    "bq_numeric_divide(a, b)": "bq_numeric_of_units(bq_halved("
    "bq_numeric_units(a) * CAST(1000000000 AS HUGEINT), bq_numeric_units(b)))",
    "bq_numeric_text(x)": "rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.')",
    "bq_floor_div(n, d)": "CASE WHEN n % d < 0 THEN n // d - 1 ELSE n // d END",
    "bq_natural(n)": "CASE WHEN n < 0 THEN CAST('Negative length: ' || n AS BIGINT) ELSE n END",
    "bq_substr_start(s, p)": "CASE WHEN p > 0 THEN p WHEN p = 0 THEN 1 ELSE greatest(length(s) + p + 1, 1) END",
    "bq_substr(s, p)": "substring(s, bq_substr_start(s, p))",
    "bq_substr_of(s, p, n)": "substring(s, bq_substr_start(s, p), bq_natural(n))",
    "bq_left(s, n)": "substring(s, 1, bq_natural(n))",
    "bq_right(s, n)": "substring(s, greatest(length(s) - bq_natural(n) + 1, 1))",
    "bq_repeat(s, n)": "repeat(s, bq_natural(n))",
    "bq_lpad(s, n, p)": "lpad(s, CAST(bq_natural(n) AS INTEGER), p)",
    "bq_rpad(s, n, p)": "rpad(s, CAST(bq_natural(n) AS INTEGER), p)",
    "bq_json_or_null(s)": "CASE WHEN json_valid(s) THEN s END",
    "bq_json_value(s, path, written)": "CASE json_type(s, path) WHEN 'OBJECT' THEN NULL WHEN 'ARRAY' THEN NULL"
    " WHEN 'DOUBLE' THEN coalesce(bq_as_written(s, json_extract_string(s, path), written),"
    " json_extract_string(s, path)) ELSE json_extract_string(s, path) END",
    "bq_as_written(s, number, written)": "list_filter(regexp_extract_all(s, written, 1),"
    " lambda each: TRY_CAST(each AS DOUBLE) = CAST(number AS DOUBLE))[1]",
    "bq_json_value_array(s, path)": "CASE WHEN json_type(s, path) = 'ARRAY' AND len(list_filter("
    "json_extract(s, path || '[*]'), lambda each: json_type(each) IN ('OBJECT', 'ARRAY'))) = 0"
    " THEN json_extract_string(s, path || '[*]') END",
    "bq_json_query_array(s, path)": "CASE WHEN json_type(s, path) = 'ARRAY' THEN json_extract(s, path || '[*]') END",
    "bq_numeric_json(x)": "CASE WHEN bq_numeric(bq_float64_text(CAST(CAST(x AS VARCHAR) AS DOUBLE))) = x"
    " THEN bq_numeric_text(x) ELSE '\"' || bq_numeric_text(x) || '\"' END",
    "bq_datetime_text(x)": "strftime(x, '%Y-%m-%d %H:%M:%S') || CASE"
    " WHEN epoch_us(x) % 1000000 = 0 THEN '' WHEN epoch_us(x) % 1000 = 0 THEN strftime(x, '.%g')"
    " ELSE strftime(x, '.%f') END",
}


def session_setup() -> list[str]:
    """Statements to run once on every new DuckDB connection (each cursor is one)."""
    macros = (f"CREATE OR REPLACE TEMP MACRO {head} AS ({body})" for head, body in _MACROS.items())
    return [*_SETTINGS, *macros]
