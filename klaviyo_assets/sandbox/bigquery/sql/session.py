"""What a DuckDB connection needs before it runs translated statements: settings and macros.

A macro implements a piece of GoogleSQL that needs more than one call in DuckDB. Errors inside macros are failing
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
_CLOCK = r"([01]?\d|2[0-3]):\d{1,2}:\d{1,2}(\.\d{1,6})?"
_ZONE = r"([Zz]|[+-](\d|0\d|1[0-4])(:\d\d?)?| [A-Z][A-Za-z_]+(/[A-Za-z_]+)*)?"
_LEAP = r"(:\d{1,2}):60(\.\d{1,6})?"
"""A 60th second is the next minute."""
_WORD = r"""'[\s\[\](){}/|<>!?@"^#$&~_,.:;*%+\-]|[^\s\[\](){}/|<>!?@"^#$&~_,.:;*%+\-]+'"""
"""A delimiter of INITCAP, or what stands between two."""
SPACES = (
    "\t\n\v\f\r \u0085\u00a0\u1680" + "".join(chr(c) for c in range(0x2000, 0x200B)) + "\u2028\u2029\u202f\u205f\u3000"
)
"""What TRIM removes: every character Unicode calls white space."""

_MACROS = {
    "bq_int64(s)": "CASE WHEN regexp_full_match(s, '\\s*[+-]?[0-9]+\\s*') THEN CAST(trim(s) AS BIGINT)"
    " WHEN regexp_full_match(s, '\\s*[+-]?0[xX][0-9a-fA-F]{1,15}\\s*')"
    " THEN CAST(regexp_extract(s, '0[xX][0-9a-fA-F]+') AS BIGINT) * CASE WHEN contains(s, '-') THEN -1 ELSE 1 END"
    " ELSE CAST('Bad int64 value: ' || s AS BIGINT) END",
    "bq_float64(s)": f"CASE WHEN regexp_full_match(lower(s), '{_NUMBER}|[+-]?inf(inity)?|[+-]?nan')"
    " THEN CAST(CASE WHEN lower(s) LIKE '%nan' THEN 'nan' ELSE trim(s) END AS DOUBLE)"
    " ELSE CAST('Bad double value: ' || s AS DOUBLE) END",
    "bq_numeric(s)": f"CASE WHEN regexp_full_match(s, '{_NUMBER}') THEN CAST(trim(s) AS DECIMAL(38,9))"
    " ELSE CAST('Invalid NUMERIC value: ' || s AS DECIMAL(38,9)) END",
    "bq_bool(s)": "CASE lower(s) WHEN 'true' THEN true WHEN 'false' THEN false"
    " ELSE CAST('Bad bool value: ' || s AS BOOLEAN) END",
    "bq_date(s)": f"CASE WHEN regexp_full_match(s, '{_DAY}') AND s NOT LIKE '0000%' THEN CAST(s AS DATE)"
    " ELSE CAST('Invalid date: ' || s AS DATE) END",
    "bq_before_leap(s)": f"regexp_replace(s, '{_LEAP}', '\\1:59')",
    "bq_after_leap(s)": f"to_seconds(CASE WHEN regexp_matches(s, '{_LEAP}') THEN 1 ELSE 0 END)",
    "bq_time(s)": f"CASE WHEN regexp_full_match(s, '{_CLOCK}')"
    " THEN CAST(bq_before_leap(s) AS TIME) + bq_after_leap(s)"
    " ELSE CAST('Invalid time string: ' || s AS TIME) END",
    "bq_datetime(s)": f"CASE WHEN regexp_full_match(s, '{_DAY}([ Tt]{_CLOCK})?') AND s NOT LIKE '0000%'"
    " THEN CAST(upper(bq_before_leap(s)) AS TIMESTAMP) + bq_after_leap(s)"
    " ELSE CAST('Invalid datetime string: ' || s AS TIMESTAMP) END",
    "bq_zone(z)": "CASE WHEN lower(z) IN ('', 'z') THEN '+00' WHEN regexp_matches(z, '^[+-]')"
    " THEN regexp_replace(regexp_replace(z, '^([+-])(\\d)(:|$)', '\\10\\2\\3'), ':(\\d)$', ':0\\1')"
    " ELSE ' ' || trim(z) END",
    "bq_named_zone(z)": "CASE WHEN regexp_matches(z, '^[+-]') THEN 'UTC' ELSE z END",
    "bq_offset(z)": "to_minutes(CASE WHEN regexp_full_match(z, '[+-]\\d{1,2}(:\\d{1,2})?')"
    " THEN CAST(z[1] || '1' AS BIGINT) * (60 * CAST(regexp_extract(z, '\\d+') AS BIGINT)"
    " + coalesce(TRY_CAST(regexp_extract(z, ':(\\d+)', 1) AS BIGINT), 0)) ELSE 0 END)",
    "bq_local(t, z)": "((t AT TIME ZONE bq_named_zone(z)) + bq_offset(z))",
    # When clocks are set back, a local time occurs twice: BigQuery takes the first, DuckDB the second.
    "bq_moment(t, z)": "list_transform([t - bq_offset(z)], lambda v: CASE WHEN ((v AT TIME ZONE bq_named_zone(z))"
    " - to_hours(1)) AT TIME ZONE bq_named_zone(z) = v THEN (v AT TIME ZONE bq_named_zone(z)) - to_hours(1)"
    " ELSE v AT TIME ZONE bq_named_zone(z) END)[1]",
    "bq_timestamp(s)": f"CASE WHEN regexp_full_match(s, '{_DAY}([ Tt]{_CLOCK})?{_ZONE}')"
    f" AND s NOT LIKE '0000%' AND NOT regexp_full_match(s, '{_DAY}[Zz]')"
    f" THEN CAST(regexp_extract(s, '{_DAY}') || ' '"
    f" || coalesce(nullif(bq_before_leap(regexp_extract(s, '{_CLOCK}')), ''), '00:00:00')"
    f" || bq_zone(regexp_extract(s, '^{_DAY}([ Tt]{_CLOCK})?{_ZONE}$', 4)) AS TIMESTAMPTZ) + bq_after_leap(s)"
    " ELSE CAST('Invalid timestamp: ' || s AS TIMESTAMPTZ) END",
    "bq_float64_text(x)": "CASE WHEN isnan(x) THEN 'nan' WHEN isinf(x) AND x > 0 THEN 'inf'"
    " WHEN isinf(x) THEN '-inf' WHEN x = 0 THEN '0' WHEN CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x)"
    " ELSE printf('%.17g', x) END",
    "bq_float64_json(x)": "CASE WHEN isnan(x) THEN '\"NaN\"' WHEN isinf(x) AND x > 0 THEN '\"Infinity\"'"
    " WHEN isinf(x) THEN '\"-Infinity\"' ELSE bq_float64_text(x) END",
    "bq_numeric_units(x)": "CAST(x * CAST(1000000000 AS DECIMAL(10,0)) AS HUGEINT)",
    "bq_large_units(x)": "CAST(trunc(x) AS HUGEINT) * CAST(1000000000 AS HUGEINT)"
    " + CAST((x - trunc(x)) * CAST(1000000000 AS DECIMAL(10,0)) AS HUGEINT)",
    "bq_is_small(x)": "x BETWEEN -5000000000 AND 5000000000",
    # Only one division of HUGEINT: each costs as much as the rest of a quotient.
    "bq_halved(n, d)": "(2 * abs(n) + abs(d)) // (2 * abs(d)) * CASE WHEN (n < 0) = (d < 0) THEN 1 ELSE -1 END",
    "bq_numeric_of_units(n)": "CAST(n AS DECIMAL(38,0)) * CAST('0.000000001' AS DECIMAL(9,9))",
    "bq_units_quotient(n, d)": "(n // d) * _E9 + bq_halved((n % d) * _E9, d)",
    "bq_units_product(m, n)": "(m // _E9) * n + (m % _E9) * (n // _E9) + bq_halved((m % _E9) * (n % _E9), _E9)",
    "bq_numeric_divide(a, b)": "list_transform([{'a': a, 'b': b}], lambda p:"
    " bq_numeric_of_units(CASE WHEN bq_is_small(p.a) AND bq_is_small(p.b)"
    " THEN bq_halved(bq_numeric_units(p.a) * _E9, bq_numeric_units(p.b))"
    " ELSE bq_units_quotient(bq_large_units(p.a), bq_large_units(p.b)) END))[1]",
    "bq_numeric_multiply(a, b)": "list_transform([{'a': a, 'b': b}], lambda p:"
    " CASE WHEN bq_is_small(p.a) AND bq_is_small(p.b) THEN CAST(p.a * p.b AS DECIMAL(38,9))"
    " ELSE bq_numeric_of_units(bq_units_product(bq_large_units(p.a), bq_large_units(p.b))) END)[1]",
    "bq_numeric_div(a, b)": "CAST(list_transform([{'a': a, 'b': b}],"
    " lambda p: bq_large_units(p.a) // bq_large_units(p.b))[1] AS DECIMAL(38,9))",
    "bq_numeric_of_float(x)": "list_transform([CAST(x AS DOUBLE)], lambda v: CASE WHEN abs(v) < 1000001"
    " THEN CAST(printf('%.9f', v) AS DECIMAL(38,9)) ELSE CAST('not supported by the local stand-in: a NUMERIC result"
    " of more than 1,000,000 of EXP, LOG, POW or SQRT: ' || v AS DECIMAL(38,9)) END)[1]",
    "bq_numeric_text(x)": "rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.')",
    "bq_floor_div(n, d)": "CASE WHEN n % d < 0 THEN n // d - 1 ELSE n // d END",
    "bq_ieee_divide(a, b)": "CASE WHEN b <> 0 THEN a / b WHEN a = 0 OR isnan(a) THEN b + CAST('nan' AS DOUBLE)"
    " WHEN a > 0 THEN b + CAST('inf' AS DOUBLE) WHEN a < 0 THEN b - CAST('inf' AS DOUBLE) END",
    "bq_initcap(s)": f"array_to_string(list_transform(regexp_extract_all(s, {_WORD}),"
    " lambda word: upper(word[1]) || lower(word[2:])), '')",
    "bq_step(n)": "CASE WHEN n = 0 THEN CAST('Sequence step cannot be 0: ' || n AS BIGINT) ELSE n END",
    "bq_grouped(t)": "CASE WHEN regexp_matches(t, '^-?[0-9]') THEN CASE WHEN t[1] = '-' THEN '-' ELSE '' END"
    " || ltrim(reverse(regexp_replace(reverse(regexp_extract(t, '[0-9]+')), '([0-9]{3})', '\\1,', 'g')), ',')"
    " || regexp_extract(t, '[.e].*') ELSE t END",
    "bq_signed(t, sign)": "CASE WHEN t[1] = '-' OR t = 'nan' THEN t ELSE sign || t END",
    "bq_padded_left(t, width)": "repeat(' ', greatest(width - length(t), 0)) || t",
    "bq_padded_right(t, width)": "t || repeat(' ', greatest(width - length(t), 0))",
    "bq_padded_zeros(t, width)": "CASE WHEN NOT regexp_matches(t, '[0-9]') THEN bq_padded_left(t, width)"
    " WHEN t[1] IN ('-', '+', ' ') THEN t[1] || repeat('0', greatest(width - length(t), 0)) || t[2:]"
    " ELSE repeat('0', greatest(width - length(t), 0)) || t END",
    "bq_negative(n)": "CAST(CAST('Negative length: ' || n AS BIGINT) AS VARCHAR)",
    "bq_natural(n)": "CASE WHEN n < 0 THEN CAST('Negative length: ' || n AS BIGINT) ELSE n END",
    "bq_substr_start(s, p)": "CASE WHEN p > 0 THEN p WHEN p = 0 OR length(s) + p < 0 THEN 1 ELSE length(s) + p + 1 END",
    "bq_substr(s, p)": "substring(s, bq_substr_start(s, p))",
    "bq_substr_of(s, p, n)": "CASE WHEN n < 0 THEN bq_negative(n) ELSE substring(s, bq_substr_start(s, p), n) END",
    "bq_left(s, n)": "CASE WHEN n < 0 THEN bq_negative(n) ELSE substring(s, 1, n) END",
    "bq_right(s, n)": "CASE WHEN n < 0 THEN bq_negative(n) WHEN n >= length(s) THEN s"
    " ELSE substring(s, length(s) - n + 1) END",
    "bq_repeat(s, n)": "repeat(s, bq_natural(n))",
    "bq_lpad(s, n, p)": "lpad(s, CAST(bq_natural(n) AS INTEGER), p)",
    "bq_rpad(s, n, p)": "rpad(s, CAST(bq_natural(n) AS INTEGER), p)",
    "bq_json_or_null(s)": "CASE WHEN json_valid(s) THEN s END",
    "bq_json_value(s, path, written)": "CASE json_type(s, path) WHEN 'OBJECT' THEN NULL WHEN 'ARRAY' THEN NULL"
    " WHEN 'DOUBLE' THEN coalesce(bq_as_written(s, json_extract_string(s, path), written),"
    " json_extract_string(s, path)) ELSE json_extract_string(s, path) END",
    "bq_as_written(s, number, written)": "list_filter(regexp_extract_all(s, written, 1),"
    " lambda each: TRY_CAST(each AS DOUBLE) = CAST(number AS DOUBLE))[1]",
    "bq_json_items(s, path)": "CASE WHEN json_type(s, path) = 'ARRAY'"
    " THEN CAST(json_extract(s, path || '[*]') AS JSON[]) END",
    "bq_json_value_array(s, path)": "list_transform([bq_json_items(s, path)], lambda items:"
    " CASE WHEN len(list_filter(items, lambda each: json_type(each) IN ('OBJECT', 'ARRAY'))) = 0"
    " THEN list_transform(items, lambda each: bq_json_value(each, '$', '([^\\s\\S])')) END)[1]",
    "bq_json_query(s, path, written, number)": "CASE json_type(s, path) WHEN 'NULL' THEN NULL"
    " WHEN 'DOUBLE' THEN bq_json_value(s, path, written) ELSE bq_spelled(s, CAST(json_extract(s, path) AS VARCHAR),"
    " number) END",
    # DuckDB writes 1.50 as 1.5: a text with such a number is refused rather than changed.
    "bq_spelled(s, part, number)": "CASE WHEN list_has_all(regexp_extract_all(s, number),"
    " regexp_extract_all(part, number)) THEN part ELSE CAST(CAST("
    "'not supported by the local stand-in: JSON with a number that is written unlike ' || part"
    " AS BIGINT) AS VARCHAR) END",
    "bq_numeric_json(x)": "CASE WHEN x % 1 = 0 AND abs(x) <= 9007199254740992"
    " THEN bq_numeric_text(x) ELSE '\"' || bq_numeric_text(x) || '\"' END",
    "bq_time_text(x)": "strftime(DATE '1970-01-01' + x, '%H:%M:%S') || CASE WHEN epoch_us(x) % 1000000 = 0 THEN ''"
    " WHEN epoch_us(x) % 1000 = 0 THEN strftime(DATE '1970-01-01' + x, '.%g')"
    " ELSE strftime(DATE '1970-01-01' + x, '.%f') END",
    "bq_offset_hours(m)": "CASE WHEN m < 0 THEN '-' ELSE '+' END || lpad(CAST(abs(m) // 60 AS VARCHAR), 2, '0')",
    "bq_offset_minutes(m)": "lpad(CAST(abs(m) % 60 AS VARCHAR), 2, '0')",
    "bq_offset_text(m)": "bq_offset_hours(m) || CASE WHEN m % 60 = 0 THEN '' ELSE ':' || bq_offset_minutes(m) END",
    "bq_offset_of(t, z)": "date_diff('minute', t AT TIME ZONE 'UTC', bq_local(t, z))",
    "bq_datetime_text(x)": "strftime(x, '%Y-%m-%d %H:%M:%S') || CASE"
    " WHEN epoch_us(x) % 1000000 = 0 THEN '' WHEN epoch_us(x) % 1000 = 0 THEN strftime(x, '.%g')"
    " ELSE strftime(x, '.%f') END",
}

# GoogleSQL's FLOAT64: NaN equals nothing and is neither less nor greater; what overflows is an error. The operands
# are put into a list first, so that nested macros do not repeat their text.
for _word, _sign in (("eq", "="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    _MACROS[f"bq_float_{_word}(a, b)"] = f"CASE WHEN isnan(a) OR isnan(b) THEN a <> a OR b <> b ELSE a {_sign} b END"
_MACROS["bq_float_ne(a, b)"] = "CASE WHEN isnan(a) OR isnan(b) THEN a = a AND b = b ELSE a <> b END"
_CALCULATIONS = {"add": "p.a + p.b", "subtract": "p.a - p.b", "multiply": "p.a * p.b", "divide": "p.a / p.b"}
for _word, _result in {**_CALCULATIONS, "pow": "pow(p.a, p.b)"}.items():
    _MACROS[f"bq_float_{_word}(a, b)"] = (
        f"list_transform([{{'a': CAST(a AS DOUBLE), 'b': CAST(b AS DOUBLE)}}], lambda p:"
        f" CASE WHEN NOT isfinite({_result}) AND isfinite(p.a) AND isfinite(p.b)"
        f" THEN CAST('double overflow: ' || p.a || ', ' || p.b AS DOUBLE) ELSE {_result} END)[1]"
    )
_MACROS["bq_float_exp(a)"] = (
    "list_transform([CAST(a AS DOUBLE)], lambda v: CASE WHEN isinf(exp(v)) AND NOT isinf(v)"
    " THEN CAST('Floating point error in function: EXP ' || v AS DOUBLE) ELSE exp(v) END)[1]"
)
# GoogleSQL's dates are those of the years 1 to 9999.
for _word, _kind in (("date", "DATE"), ("datetime", "TIMESTAMP"), ("timestamp", "TIMESTAMPTZ")):
    _MACROS[f"bq_checked_{_word}(x)"] = (
        f"list_transform([CAST(x AS {_kind})], lambda v: CASE WHEN v < CAST('0001-01-01' AS {_kind})"
        f" OR v >= CAST('10000-01-01' AS {_kind}) THEN CAST('overflow: ' || v AS {_kind}) ELSE v END)[1]"
    )


def session_setup() -> list[str]:
    """Statements to run once on every new DuckDB connection (each cursor is one)."""
    bodies = {head: body.replace("_E9", "CAST(1000000000 AS HUGEINT)") for head, body in _MACROS.items()}
    macros = (f"CREATE OR REPLACE TEMP MACRO {head} AS ({body})" for head, body in bodies.items())
    return [*_SETTINGS, *macros]
