"""Expressions and queries drawn at random, typed, so that most of them mean something.

Here: a grammar of GoogleSQL as `query` users write it. Not here: who judges the result (`test_google_fuzz`).
"""

from collections.abc import Callable
from random import Random

LEAVES = {
    "INT64": "0 1 2 -1 7 10 -3 9223372036854775807 i CAST(NULL|AS|INT64)",
    "FLOAT64": "0.0 1.5 -2.25 1e10 1e300 1e-10 CAST('nan'|AS|FLOAT64) CAST('inf'|AS|FLOAT64) CAST(NULL|AS|FLOAT64) f",
    "NUMERIC": "NUMERIC|'0' NUMERIC|'1.5' NUMERIC|'-2.345' NUMERIC|'0.000000001' NUMERIC|'12345678901234567890.5'"
    " CAST(NULL|AS|NUMERIC) n",
    "STRING": "'' 'a' 'abc' 'A|b' 'ä' '12' '-3.5' '2024-05-06' 'a,b,c' '|x|' '%a_' CAST(NULL|AS|STRING) s k",
    "BOOL": "TRUE FALSE CAST(NULL|AS|BOOL) b",
    "DATE": "DATE|'2024-02-29' DATE|'2023-12-31' DATE|'0001-01-01' DATE|'9999-12-31' CAST(NULL|AS|DATE) d",
    "TIMESTAMP": "TIMESTAMP|'2024-03-10|07:30:00+00' TIMESTAMP|'2024-11-03|05:30:00.123456+00'"
    " TIMESTAMP|'1969-12-31|23:59:59.5+00' CAST(NULL|AS|TIMESTAMP) t",
    "DATETIME": "DATETIME|'2024-03-10|02:30:00' DATETIME|'2024-12-31|23:59:59.999' CAST(NULL|AS|DATETIME) c",
    "JSON": '\'{"a":1,"b":[1,2,{"c":"x"}]}\' \'{"a":"y","b":null}\' \'[1,"2",true]\' \'5\' \'x\' j',
    "ARRAY<STRING>": "['a','b'] ['x'] SPLIT('a,b,,c',',') SPLIT('',',')",
    "ZONE": "'UTC' 'America/New_York' 'Asia/Kolkata' '+05:30' '-8'",
    "DATE_PART": "DAY WEEK WEEK(MONDAY) ISOWEEK MONTH QUARTER YEAR ISOYEAR",
    "ADD_PART": "DAY WEEK MONTH QUARTER YEAR",
    "TIME_PART": "MICROSECOND MILLISECOND SECOND MINUTE HOUR DAY",
    "PATTERN": "'a%' '%b_' '_' '%' 'A%' ''",
    "REGEX": r"r'a' r'[a-z]+' r'(b)' r'x*' r'^.' r'\d+' r'(?i)A' r'$'",
    "PATH": "'$' '$.a' '$.b' '$.b[2].c' '$.b[0]' '$.z'",
    "DIGITS": "0 1 2 -1 9 12",
    "POSITION": "0 1 2 -1 -2 5 CAST(NULL|AS|INT64)",
    "LENGTH": "0 1 2 5 CAST(NULL|AS|INT64)",
    "FORM": "'%Y-%m-%d' '%b|%e' '%G-W%V' '%Q' '%A' '%j'",
    "CLOCK_FORM": "'%H:%M:%S' '%Y%m%d|%H' '%I' '%E3S' '%Ez'",
}
_COMPARED = ("INT64", "FLOAT64", "NUMERIC", "STRING", "DATE", "TIMESTAMP", "DATETIME")
RULES = {
    "INT64": """
        ({INT64} + {INT64}) | ({INT64} - {INT64}) | ({INT64} * {INT64}) | -({INT64}) | DIV({INT64}, {INT64})
        MOD({INT64}, {INT64}) | ABS({INT64}) | SIGN({INT64}) | LENGTH({STRING}) | BYTE_LENGTH({STRING})
        STRPOS({STRING}, {STRING}) | CAST({FLOAT64} AS INT64) | CAST({NUMERIC} AS INT64) | CAST({BOOL} AS INT64)
        SAFE_CAST({STRING} AS INT64) | DATE_DIFF({DATE}, {DATE}, {DATE_PART}) | EXTRACT({DATE_PART} FROM {DATE})
        TIMESTAMP_DIFF({TIMESTAMP}, {TIMESTAMP}, {TIME_PART}) | EXTRACT(DAYOFWEEK FROM {DATE})
        UNIX_MICROS({TIMESTAMP})
        EXTRACT(HOUR FROM {TIMESTAMP} AT TIME ZONE {ZONE}) | DATETIME_DIFF({DATETIME}, {DATETIME}, {DATE_PART})
        ARRAY_LENGTH({ARRAY<STRING>}) | SAFE_CAST(JSON_VALUE({JSON}, {PATH}) AS INT64) | UNIX_DATE({DATE})
        ({INT64} & {INT64}) | ({INT64} ^ {INT64}) | SAFE_ADD({INT64}, {INT64}) | SAFE_MULTIPLY({INT64}, {INT64})
        """,
    "FLOAT64": """
        ({FLOAT64} + {FLOAT64}) | ({FLOAT64} - {INT64}) | ({FLOAT64} * {NUMERIC}) | ({INT64} / {INT64})
        ({FLOAT64} / {FLOAT64}) | SAFE_DIVIDE({FLOAT64}, {FLOAT64}) | SAFE_DIVIDE({INT64}, {INT64}) | ABS({FLOAT64})
        ROUND({FLOAT64}, {DIGITS}) | FLOOR({FLOAT64}) | CEIL({INT64}) | SQRT({FLOAT64}) | POW({FLOAT64}, {INT64})
        EXP({FLOAT64}) | LN({FLOAT64}) | CAST({INT64} AS FLOAT64) | CAST({NUMERIC} AS FLOAT64) | SIGN({FLOAT64})
        SAFE_CAST({STRING} AS FLOAT64) | -({FLOAT64}) | TRUNC({FLOAT64}) | IEEE_DIVIDE({FLOAT64}, {INT64})
        """,
    "NUMERIC": """
        ({NUMERIC} + {NUMERIC}) | ({NUMERIC} - {INT64}) | ({NUMERIC} * {NUMERIC}) | ({NUMERIC} * {INT64})
        ({NUMERIC} / {NUMERIC}) | SAFE_DIVIDE({NUMERIC}, {NUMERIC}) | ROUND({NUMERIC}, {DIGITS}) | FLOOR({NUMERIC})
        CAST({INT64} AS NUMERIC) | SAFE_CAST({FLOAT64} AS NUMERIC) | ABS({NUMERIC}) | MOD({NUMERIC}, {NUMERIC})
        SAFE_CAST({STRING} AS NUMERIC) | DIV({NUMERIC}, {NUMERIC}) | -({NUMERIC}) | TRUNC({NUMERIC})
        SQRT(ABS({NUMERIC}))
        """,
    "STRING": """
        CONCAT({STRING}, {STRING}) | ({STRING} || {INT64}) | UPPER({STRING}) | LOWER({STRING}) | TRIM({STRING})
        SUBSTR({STRING}, {POSITION}) | SUBSTR({STRING}, {POSITION}, {LENGTH}) | LEFT({STRING}, {LENGTH})
        RIGHT({STRING}, {LENGTH}) | LPAD({STRING}, {LENGTH}, 'xy') | REPLACE({STRING}, {STRING}, '-')
        REVERSE({STRING})
        CAST({INT64} AS STRING) | CAST({FLOAT64} AS STRING) | CAST({NUMERIC} AS STRING) | CAST({DATE} AS STRING)
        CAST({TIMESTAMP} AS STRING) | CAST({DATETIME} AS STRING) | CAST({BOOL} AS STRING) | STRING({TIMESTAMP}, {ZONE})
        REGEXP_EXTRACT({STRING}, {REGEX}) | REGEXP_REPLACE({STRING}, {REGEX}, 'q') | INITCAP({STRING})
        JSON_VALUE({JSON}, {PATH}) | JSON_QUERY({JSON}, {PATH}) | TO_JSON_STRING({NUMERIC}) | TO_JSON_STRING({FLOAT64})
        TO_JSON_STRING(STRUCT({INT64} AS x, {STRING} AS y)) | FORMAT_DATE({FORM}, {DATE})
        FORMAT('%d|%s', {INT64}, {STRING})
        FORMAT_TIMESTAMP({CLOCK_FORM}, {TIMESTAMP}, {ZONE}) | FORMAT('%.2f', {NUMERIC}) | FORMAT("%'.1f", {FLOAT64})
        FORMAT("%'d", {INT64}) | FORMAT('%t', {DATE}) | ARRAY_TO_STRING({ARRAY<STRING>}, '+') | TO_HEX(MD5({STRING}))
        {ARRAY<STRING>}[SAFE_OFFSET({POSITION})] | IFNULL({STRING}, 'none') | REPEAT({STRING}, {LENGTH})
        """,
    "BOOL": f"""
        ({{BOOL}} AND {{BOOL}}) | ({{BOOL}} OR {{BOOL}}) | (NOT {{BOOL}}) | ({{STRING}} LIKE {{PATTERN}})
        ({{STRING}} NOT LIKE {{PATTERN}}) | {{INT64}} IS NULL | ({{INT64}} IN ({{INT64}}, {{INT64}}))
        ({{FLOAT64}} BETWEEN {{FLOAT64}} AND {{FLOAT64}}) | STARTS_WITH({{STRING}}, {{STRING}})
        REGEXP_CONTAINS({{STRING}}, {{REGEX}}) | ({{STRING}} IS NOT DISTINCT FROM {{STRING}})
        ({{DATE}} < {{DATETIME}})
        ({{FLOAT64}} IN ({{FLOAT64}}, {{FLOAT64}})) | ({{INT64}} = {{FLOAT64}}) | ({{NUMERIC}} > {{INT64}})
        IS_NAN({{FLOAT64}})
        {" | ".join(f"({{{kind}}} {sign} {{{kind}}})" for kind in _COMPARED for sign in ("=", "<>", "<", ">="))}
        """,
    "DATE": """
        DATE_ADD({DATE}, INTERVAL {INT64} {ADD_PART}) | DATE_TRUNC({DATE}, {DATE_PART}) | ({DATE} + {LENGTH})
        DATE_SUB({DATE}, INTERVAL 1 {ADD_PART}) | DATE({TIMESTAMP}, {ZONE}) | DATE({DATETIME})
        LAST_DAY({DATE}, {DATE_PART})
        SAFE_CAST({STRING} AS DATE) | SAFE.PARSE_DATE('%Y-%m-%d', {STRING}) | LAST_DAY({DATETIME}) | ({DATE} - {LENGTH})
        """,
    "TIMESTAMP": """
        TIMESTAMP_ADD({TIMESTAMP}, INTERVAL {LENGTH} {TIME_PART}) | TIMESTAMP_TRUNC({TIMESTAMP}, {TIME_PART}, {ZONE})
        TIMESTAMP({DATE}, {ZONE}) | TIMESTAMP({DATETIME}, {ZONE}) | TIMESTAMP_TRUNC({TIMESTAMP}, {DATE_PART}, {ZONE})
        SAFE_CAST({STRING} AS TIMESTAMP) | TIMESTAMP_SECONDS({LENGTH}) | CAST({DATE} AS TIMESTAMP)
        """,
    "DATETIME": """
        DATETIME({TIMESTAMP}, {ZONE}) | DATETIME_TRUNC({DATETIME}, {DATE_PART})
        DATETIME_TRUNC({DATETIME}, {TIME_PART})
        DATETIME_ADD({DATETIME}, INTERVAL {LENGTH} {ADD_PART}) | CAST({DATE} AS DATETIME)
        ({DATE} + INTERVAL 1 {ADD_PART})
        """,
    "JSON": "TO_JSON_STRING(STRUCT({STRING} AS a, [{INT64}] AS b))",
    "ARRAY<STRING>": """
        SPLIT({STRING}, ',') | REGEXP_EXTRACT_ALL({STRING}, {REGEX}) | ARRAY_REVERSE({ARRAY<STRING>})
        ARRAY_CONCAT({ARRAY<STRING>}, {ARRAY<STRING>})
        """,
}
_ANY = """
    IF({BOOL}, {X}, {X}) | COALESCE({X}, {X}) | NULLIF({X}, {X}) | CASE WHEN {BOOL} THEN {X} ELSE {X} END
    CASE {X} WHEN {X} THEN {X} END | GREATEST({X}, {X}) | LEAST({X}, {X})
    """
KINDS = ("INT64", "FLOAT64", "NUMERIC", "STRING", "BOOL", "DATE", "TIMESTAMP", "DATETIME")


def _rules(text: str) -> list[str]:
    return [rule.strip() for line in text.strip().splitlines() for rule in line.split(" | ")]


_LEAVES = {kind: [leaf.replace("|", " ") for leaf in text.split()] for kind, text in LEAVES.items()}
_COLUMNS = set("infsbdtcjk")
_RULES = {
    kind: _rules(text) + ([rule.replace("{X}", "{" + kind + "}") for rule in _rules(_ANY)] if kind in KINDS else [])
    for kind, text in RULES.items()
}


def expression(random: Random, kind: str, depth: int = 2, columns: bool = False) -> str:
    """An expression of a type; with `columns` it may use those of the table `fact`."""
    if depth == 0 or kind not in _RULES:
        stored = [leaf for leaf in _LEAVES[kind] if leaf in _COLUMNS]
        if columns and stored and random.random() < 0.7:
            return random.choice(stored)
        return random.choice([leaf for leaf in _LEAVES[kind] if leaf not in _COLUMNS])
    return _filled(
        random.choice(_RULES[kind]), lambda inner: expression(random, inner, random.randrange(depth), columns)
    )


def _filled(template: str, fill: Callable[[str], str]) -> str:
    pieces = template.split("{")
    parts = (piece.partition("}") for piece in pieces[1:])
    return pieces[0] + "".join(fill(inner) + rest for inner, _, rest in parts)


QUERIES = """
    SELECT {ANY} AS x FROM fact
    SELECT i, {ANY} AS x FROM fact WHERE {BOOL} ORDER BY i
    SELECT {KEY} AS x, COUNT(*) AS y FROM fact GROUP BY x
    SELECT k, SUM({NUMBER}) AS x, MIN({ANY}) AS y, MAX({ANY}) AS z FROM fact GROUP BY k
    SELECT k, COUNTIF({BOOL}) AS x, COUNT({ANY}) AS y, COUNT(DISTINCT {KEY}) AS z FROM fact GROUP BY k
    SELECT AVG({NUMBER}) AS x, LOGICAL_OR({BOOL}) AS y, STRING_AGG({STRING}, '|' ORDER BY i) AS z FROM fact
    SELECT k, STRING_AGG(DISTINCT s ORDER BY s) AS x FROM fact GROUP BY k HAVING COUNT(*) > 1
    SELECT i, ROW_NUMBER() OVER (PARTITION BY k ORDER BY {KEY}, i) AS x FROM fact
    SELECT i, RANK() OVER (ORDER BY {NUMBER}) AS x, DENSE_RANK() OVER (ORDER BY {KEY} DESC) AS y FROM fact
    SELECT i, LAG({ANY}) OVER (ORDER BY i) AS x, LEAD({ANY}, 2) OVER (ORDER BY i DESC) AS y FROM fact
    SELECT i, SUM({NUMBER}) OVER (PARTITION BY k ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM fact
    SELECT i, MAX({KEY}) OVER (PARTITION BY k) AS x, COUNT(*) OVER (ORDER BY {KEY}) AS y FROM fact
    SELECT i, FIRST_VALUE(n) OVER (PARTITION BY k ORDER BY i) AS x FROM fact QUALIFY ROW_NUMBER() OVER (ORDER BY i) < 4
    SELECT DISTINCT {KEY} AS x FROM fact
    SELECT {KEY} AS x FROM fact ORDER BY x
    SELECT {KEY} AS x FROM fact ORDER BY x DESC
    SELECT {NUMBER} AS x FROM fact ORDER BY x NULLS LAST LIMIT 3
    SELECT a.i, b.k AS x FROM fact AS a JOIN fact AS b ON a.k = b.k AND a.i < b.i
    SELECT a.i, b.i AS x FROM fact AS a LEFT JOIN fact AS b ON a.i = b.i + 1
    SELECT k, COUNT(*) AS x FROM fact AS a FULL JOIN (SELECT 'y' AS k UNION ALL SELECT 'z') AS b USING (k) GROUP BY k
    SELECT i, e AS x FROM fact, UNNEST(a) AS e
    SELECT i, e AS x, o FROM fact LEFT JOIN UNNEST(a) AS e WITH OFFSET AS o
    SELECT i, (SELECT COUNT(*) FROM UNNEST(a) AS e WHERE e > 1) AS x FROM fact
    SELECT i, ARRAY(SELECT e + 1 FROM UNNEST(a) AS e ORDER BY e DESC) AS x FROM fact
    SELECT {KEY} AS x FROM fact EXCEPT DISTINCT SELECT {SAME} FROM fact WHERE {BOOL}
    SELECT {KEY} AS x FROM fact UNION ALL SELECT {SAME} FROM fact ORDER BY x
    SELECT {KEY} AS x FROM fact INTERSECT DISTINCT SELECT {SAME} FROM fact
    WITH g AS (SELECT k, SUM(i) AS v FROM fact GROUP BY k) SELECT i, v AS x FROM fact LEFT JOIN g USING (k) WHERE {BOOL}
    SELECT k, x FROM (SELECT k, {ANY} AS x FROM fact WHERE {BOOL}) WHERE x IS NOT NULL
    SELECT i FROM fact WHERE {KEY} IN (SELECT {SAME} FROM fact WHERE {BOOL})
    SELECT i FROM fact AS o WHERE EXISTS (SELECT 1 FROM fact AS p WHERE p.k = o.k AND p.i > o.i)
    SELECT * FROM (SELECT k, i, n FROM fact) PIVOT(SUM(n) AS x, COUNT(*) AS y FOR k IN ('x', 'y'))
    SELECT k, b, COUNT(*) AS x, GROUPING(k) AS y FROM fact GROUP BY ROLLUP(k, b)
    SELECT STDDEV({NUMBER}) AS x, VAR_POP({NUMBER}) AS y, CORR(i, n) AS z FROM fact
    SELECT i, PERCENTILE_CONT(n, 0.25) OVER () AS x, PERCENTILE_DISC(i, 0.5) OVER (PARTITION BY k) AS y FROM fact
    SELECT i, CUME_DIST() OVER (ORDER BY {KEY}) AS x, PERCENT_RANK() OVER (ORDER BY {NUMBER}) AS y FROM fact
    """


_QUERIES = [line.strip() for line in QUERIES.strip().splitlines()]


def query(random: Random) -> str:
    """A query over the table `fact`."""
    key = random.choice(("INT64", "FLOAT64", "NUMERIC", "STRING", "DATE", "TIMESTAMP", "DATETIME"))

    def fill(hole: str) -> str:
        kinds = {"KEY": (key,), "SAME": (key,), "ANY": KINDS, "NUMBER": KINDS[:3]}.get(hole, (hole,))
        return expression(random, random.choice(kinds), random.choice((0, 1, 1, 2)), columns=True)

    return _filled(random.choice(_QUERIES), fill)
