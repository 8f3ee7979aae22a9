-- Queries as a marketer or an analyst types them; a blank line is between two.

SELECT i FROM fact AS i

SELECT a.i FROM fact AS a WHERE a.i = 1

WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM r WHERE x < 5) SELECT * FROM r

SELECT f FROM fact ORDER BY f

SELECT f FROM fact ORDER BY f DESC

SELECT MIN(f), MAX(f) FROM fact

SELECT COUNTIF(f > 0), COUNTIF(f = f), COUNTIF(f < 0), COUNTIF(f <> f) FROM fact

SELECT i, RANK() OVER (ORDER BY f) FROM fact

SELECT PERCENTILE_CONT(n, 0.5) OVER () FROM fact

SELECT f, COUNT(*) FROM fact GROUP BY f

SELECT DISTINCT f FROM fact

SELECT t.partition FROM (SELECT 1 AS `partition`) AS t

SELECT fact FROM fact

SELECT i FROM fact AS i WHERE i.i = 1

SELECT fact.i FROM fact

SELECT TO_JSON_STRING(t) FROM (SELECT 1 AS x, 'b' AS y) AS t

SELECT x FROM (SELECT 1 AS x) AS x

SELECT x.x FROM (SELECT 1 AS x) AS x

SELECT COUNT(x) FROM (SELECT 1 AS x) AS x

SELECT x FROM UNNEST([1,2]) AS x ORDER BY x

WITH d AS (SELECT 1 AS d) SELECT d FROM d

WITH d AS (SELECT 1 AS d) SELECT d.d FROM d WHERE d.d > 0

SELECT * FROM (SELECT metric, occurred_on, quantity FROM event) PIVOT(SUM(quantity) FOR metric IN ('open', 'order')) ORDER BY occurred_on

SELECT * FROM (SELECT metric, occurred_on, quantity FROM event) PIVOT(SUM(quantity) AS q, COUNT(*) AS n FOR metric IN ('open' AS o, 'order' AS r)) AS p ORDER BY 1

SELECT p.open, p.occurred_on FROM (SELECT metric, occurred_on, quantity FROM event) PIVOT(AVG(quantity) FOR metric IN ('open', 'order')) AS p WHERE p.open IS NOT NULL ORDER BY occurred_on

SELECT * FROM (SELECT metric, quantity FROM event) PIVOT(MAX(quantity) FOR metric IN ('open', 'never'))

SELECT * FROM (SELECT quantity, value FROM event) PIVOT(COUNT(*) FOR quantity IN (1, 2, 3 AS three))

SELECT * FROM (SELECT quantity, value FROM event) PIVOT(COUNT(*) FOR quantity IN (NULL AS none, 2))

SELECT * FROM (SELECT metric, person_id FROM event) PIVOT(COUNT(DISTINCT person_id) AS p FOR metric IN ('open', 'a b'))

SELECT * FROM (SELECT metric, event_id FROM event) PIVOT(STRING_AGG(event_id, '|') AS p FOR metric IN ('click'))

SELECT * FROM (SELECT metric, occurred_on FROM event) PIVOT(COUNT(occurred_on) FOR UPPER(metric) IN ('OPEN'))

WITH t AS (SELECT metric, quantity FROM event) SELECT * FROM t PIVOT(SUM(quantity) FOR metric IN ('open'))

SELECT * FROM (SELECT 1 AS id, 10 AS opens, 3 AS clicks) UNPIVOT(n FOR kind IN (opens, clicks)) ORDER BY kind

SELECT * FROM (SELECT 1 AS id, 10 AS opens, NULL AS clicks) UNPIVOT(n FOR kind IN (opens AS 'O', clicks AS 'C')) ORDER BY kind

SELECT * FROM (SELECT 1 AS id, 10 AS opens, NULL AS clicks) UNPIVOT INCLUDE NULLS (n FOR kind IN (opens AS 'O', clicks AS 'C')) AS u ORDER BY kind

SELECT d, EXTRACT(WEEK(SUNDAY) FROM d), EXTRACT(WEEK FROM d), EXTRACT(WEEK(MONDAY) FROM d), EXTRACT(WEEK(TUESDAY) FROM d), EXTRACT(WEEK(WEDNESDAY) FROM d), EXTRACT(WEEK(THURSDAY) FROM d), EXTRACT(WEEK(FRIDAY) FROM d), EXTRACT(WEEK(SATURDAY) FROM d), EXTRACT(ISOWEEK FROM d), EXTRACT(ISOYEAR FROM d) FROM UNNEST(GENERATE_DATE_ARRAY('2022-12-20', '2024-01-20')) AS d

SELECT d, LAST_DAY(d, WEEK(FRIDAY)), LAST_DAY(d, ISOYEAR), LAST_DAY(d, ISOWEEK), DATE_TRUNC(d, ISOYEAR), LAST_DAY(d, YEAR), DATE_TRUNC(d, WEEK(SATURDAY)) FROM UNNEST(GENERATE_DATE_ARRAY('2022-12-20', '2024-01-20')) AS d

SELECT t, DATE(t, 'America/Havana'), TIMESTAMP_TRUNC(t, DAY, 'America/Havana'), TIMESTAMP_TRUNC(t, HOUR, 'America/Havana'), TIMESTAMP(DATETIME(t, 'America/Havana'), 'America/Havana') FROM UNNEST(GENERATE_TIMESTAMP_ARRAY('2024-11-02 20:00:00+00', '2024-11-03 12:00:00+00', INTERVAL 30 MINUTE)) AS t

SELECT d, TIMESTAMP(d, 'America/Santiago'), TIMESTAMP(d, 'America/Havana'), TIMESTAMP(d, 'Asia/Beirut'), TIMESTAMP(d, 'America/New_York') FROM UNNEST(GENERATE_DATE_ARRAY('2023-01-01', '2024-12-31')) AS d

SELECT d, TIMESTAMP(DATETIME_ADD(DATETIME '2024-03-10 00:00:00', INTERVAL d MINUTE), 'America/New_York') FROM UNNEST(GENERATE_ARRAY(0, 300, 15)) AS d

SELECT DATE(t, z), DATETIME(t, z), TIMESTAMP(DATETIME(t, z), z) FROM (SELECT TIMESTAMP '2024-11-03 05:30:00+00' AS t), UNNEST(['UTC', '+05:30', 'America/New_York', '-8', 'Asia/Kolkata', 'Europe/Berlin']) AS z

SELECT partition FROM (SELECT 1 AS `partition`)

SELECT x + 1 FROM (SELECT 1 AS x) AS x

SELECT STRING_AGG(s) FROM (SELECT 'a' AS s) s

SELECT u.n FROM (SELECT 1 AS id, 10 AS opens, 2.5 AS clicks) UNPIVOT(n FOR kind IN (opens, clicks)) AS u

SELECT metric, n FROM (SELECT metric, COUNT(*) AS n FROM event GROUP BY metric) UNPIVOT(v FOR k IN (n)) ORDER BY 1

SELECT PERCENTILE_CONT(f, 0.5) OVER () FROM fact

SELECT PERCENTILE_DISC(f, 0.5) OVER () FROM fact

SELECT DISTINCT a FROM fact

SELECT t, DATE(t, 'Australia/Lord_Howe'), TIMESTAMP_TRUNC(t, DAY, 'Australia/Lord_Howe'), TIMESTAMP_TRUNC(t, HOUR, 'Australia/Lord_Howe'), TIMESTAMP(DATETIME(t, 'Australia/Lord_Howe'), 'Australia/Lord_Howe') FROM UNNEST(GENERATE_TIMESTAMP_ARRAY('2024-04-06 10:00:00+00', '2024-04-06 20:00:00+00', INTERVAL 10 MINUTE)) AS t

SELECT metric, COUNT(*) AS n, COUNT(DISTINCT person_id) AS people FROM event GROUP BY metric ORDER BY n DESC, metric

SELECT DATE_TRUNC(occurred_on, WEEK(MONDAY)) AS week, SUM(value) AS revenue FROM event WHERE metric = 'order' GROUP BY week ORDER BY week

SELECT FORMAT_DATE('%Y-%m', occurred_on) AS month, COUNTIF(metric = 'open') AS opens, SAFE_DIVIDE(COUNTIF(metric='click'), COUNTIF(metric='open')) AS ctr FROM event GROUP BY 1 ORDER BY 1

SELECT * FROM (SELECT metric, occurred_on, quantity FROM event) PIVOT(SUM(quantity) AS q, COUNT(*) AS n FOR metric IN ('open' AS o, 'order' AS r)) ORDER BY 1

SELECT c.name, COUNT(*) AS sends, SUM(e.value) AS revenue FROM event AS e LEFT JOIN campaign AS c USING (campaign_id) GROUP BY c.name ORDER BY 2 DESC, 1

SELECT person_id, ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY occurred_at) AS n, LAG(metric) OVER (PARTITION BY person_id ORDER BY occurred_at) AS before FROM event ORDER BY 1, 2

SELECT person_id, occurred_at FROM event QUALIFY ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY occurred_at DESC) = 1 ORDER BY 1

SELECT occurred_on, SUM(SUM(quantity)) OVER (ORDER BY occurred_on ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS rolling FROM event GROUP BY occurred_on ORDER BY 1

SELECT JSON_VALUE(properties, '$.n') AS n, JSON_VALUE(properties, '$."$ua"') AS ua FROM event ORDER BY event_id

SELECT CAST(JSON_VALUE(properties, '$.n') AS INT64) + 1 AS n FROM event WHERE event_id = 'e1'

SELECT event_id, t FROM event, UNNEST(tags) AS t ORDER BY 1, 2

SELECT event_id, touch.channel FROM event CROSS JOIN UNNEST(touches) AS touch ORDER BY touch.rank

SELECT event_id, (SELECT STRING_AGG(channel, '>' ORDER BY rank) FROM UNNEST(touches)) AS path FROM event ORDER BY 1

SELECT event_id, ARRAY_LENGTH(tags) AS n, ARRAY_TO_STRING(tags, '+') AS t FROM event ORDER BY 1

WITH days AS (SELECT d FROM UNNEST(GENERATE_DATE_ARRAY('2024-05-01', '2024-05-05')) AS d) SELECT d, COUNT(event_id) AS n FROM days LEFT JOIN event ON occurred_on = d GROUP BY d ORDER BY d

SELECT EXTRACT(HOUR FROM occurred_at AT TIME ZONE 'America/New_York') AS h, COUNT(*) AS n FROM event GROUP BY h ORDER BY h

SELECT FORMAT_TIMESTAMP('%a %H:00', occurred_at, 'Europe/Berlin') AS slot, COUNT(*) AS n FROM event GROUP BY 1 ORDER BY 1

SELECT TIMESTAMP_DIFF(MAX(occurred_at), MIN(occurred_at), HOUR) AS hours FROM event

SELECT person_id, DATE_DIFF(MAX(occurred_on), MIN(occurred_on), DAY) AS days FROM event GROUP BY 1 HAVING COUNT(*) > 1 ORDER BY 1

SELECT IF(value > 10, 'large', 'small') AS size, COUNT(*) AS n FROM event WHERE value IS NOT NULL GROUP BY size ORDER BY size

SELECT CASE WHEN metric IN ('open','click') THEN 'engaged' WHEN metric LIKE 'ord%' THEN 'bought' ELSE 'other' END AS kind, COUNT(*) FROM event GROUP BY 1 ORDER BY 1

SELECT name FROM campaign WHERE LOWER(name) LIKE '%s%' AND name NOT LIKE 'Sp%' ORDER BY name

SELECT name FROM campaign WHERE REGEXP_CONTAINS(name, r'(?i)^s') ORDER BY name

SELECT CONCAT(name, ' (', campaign_id, ')') AS label, LENGTH(name) AS l, UPPER(LEFT(name, 3)) AS u, INITCAP(name) FROM campaign ORDER BY 1

SELECT FORMAT('%.1f%%', 100 * COUNTIF(metric = 'open') / COUNT(*)) AS rate, FORMAT("%'d", SUM(quantity)) AS q FROM event

SELECT ROUND(100 * SAFE_DIVIDE(SUM(value), COUNT(*)), 2) AS rpr FROM event

SELECT ROUND(SUM(value), 1), CAST(SUM(value) AS INT64), CAST(SUM(value) AS FLOAT64) FROM event

SELECT MIN(occurred_at), MAX(occurred_at), ANY_VALUE(metric HAVING MAX occurred_at) FROM event

SELECT COUNT(*) AS total, COUNT(campaign_id) AS with_campaign, COUNT(*) - COUNT(campaign_id) AS without FROM event

SELECT person_id FROM event WHERE metric = 'open' INTERSECT DISTINCT SELECT person_id FROM event WHERE metric = 'order'

SELECT person_id FROM event WHERE metric = 'open' EXCEPT DISTINCT SELECT person_id FROM event WHERE metric = 'order' ORDER BY 1

SELECT DISTINCT person_id FROM event WHERE campaign_id IN (SELECT campaign_id FROM campaign WHERE name = 'Spring') ORDER BY person_id

SELECT e.event_id FROM event e WHERE EXISTS (SELECT 1 FROM campaign c WHERE c.campaign_id = e.campaign_id AND c.send_at < e.occurred_at) ORDER BY 1

WITH firsts AS (SELECT person_id, MIN(occurred_on) AS first_on FROM event GROUP BY person_id) SELECT first_on AS cohort, DATE_DIFF(occurred_on, first_on, DAY) AS day, COUNT(DISTINCT person_id) AS people FROM event JOIN firsts USING (person_id) GROUP BY cohort, day ORDER BY cohort, day

SELECT metric, SUM(quantity) AS q, ROUND(SUM(quantity) / SUM(SUM(quantity)) OVER () * 100, 2) AS share FROM event GROUP BY metric ORDER BY metric

SELECT metric, RANK() OVER (ORDER BY COUNT(*) DESC) AS r FROM event GROUP BY metric ORDER BY r, metric

SELECT NTILE(2) OVER (ORDER BY quantity) AS half, event_id FROM event ORDER BY event_id

SELECT PERCENTILE_CONT(quantity, 0.5) OVER () AS median FROM event LIMIT 1

SELECT TIMESTAMP_TRUNC(occurred_at, DAY, 'America/New_York') AS d, COUNT(*) FROM event GROUP BY d ORDER BY d

SELECT occurred_at + INTERVAL 1 DAY, occurred_on + 7, DATE_ADD(occurred_on, INTERVAL 1 MONTH), occurred_on - INTERVAL 1 WEEK FROM event ORDER BY 1

SELECT * FROM event WHERE occurred_on BETWEEN '2024-05-01' AND '2024-05-02' AND occurred_at >= TIMESTAMP('2024-05-01') ORDER BY event_id

SELECT * FROM event WHERE occurred_at > '2024-05-02' ORDER BY event_id

SELECT * FROM event WHERE occurred_on >= DATE_SUB(DATE '2024-05-04', INTERVAL 2 DAY) ORDER BY event_id

SELECT COALESCE(campaign_id, '(none)') AS c, NULLIF(metric, 'open') AS m FROM event ORDER BY event_id

SELECT STRING_AGG(DISTINCT metric ORDER BY metric) AS metrics, ARRAY_AGG(DISTINCT person_id ORDER BY person_id) AS people FROM event

SELECT metric, ARRAY_AGG(event_id ORDER BY occurred_at DESC LIMIT 1)[OFFSET(0)] AS latest FROM event GROUP BY metric ORDER BY metric

SELECT metric, ARRAY_AGG(STRUCT(event_id, value) ORDER BY event_id LIMIT 2) AS top FROM event GROUP BY metric ORDER BY metric

SELECT campaign_id, metric, COUNT(*) FROM event GROUP BY ROLLUP(campaign_id, metric) ORDER BY 1, 2, 3

SELECT GROUPING(metric) AS g, metric, COUNT(*) FROM event GROUP BY CUBE(metric) ORDER BY 1, 2

SELECT SPLIT('a,b,c', ',')[SAFE_OFFSET(1)], SPLIT('x y', ' ')[ORDINAL(2)], REGEXP_EXTRACT('utm=abc&x', r'utm=(\w+)'), REGEXP_REPLACE('a-b', '-', '_'), SPLIT('abc', '')

SELECT TO_JSON_STRING(t) FROM campaign AS t ORDER BY campaign_id

SELECT LAST_DAY(occurred_on), EXTRACT(DAYOFWEEK FROM occurred_on), EXTRACT(ISOWEEK FROM occurred_on), EXTRACT(QUARTER FROM occurred_on) FROM event ORDER BY event_id

SELECT UNIX_SECONDS(occurred_at), TIMESTAMP_SECONDS(1714520000), PARSE_DATE('%d/%m/%Y', '05/01/2024') FROM event ORDER BY event_id LIMIT 1

SELECT SAFE_CAST(JSON_VALUE(properties, '$.n') AS FLOAT64) * 2 FROM event ORDER BY event_id

SELECT LOGICAL_OR(is_machine_open), LOGICAL_AND(IFNULL(is_machine_open, FALSE)), COUNTIF(NOT is_machine_open) FROM event

SELECT VARIANCE(score), STDDEV(score), AVG(score), CORR(score, quantity) FROM event

SELECT e1.person_id, e1.event_id, e2.event_id AS next FROM event e1 JOIN event e2 ON e1.person_id = e2.person_id AND e2.occurred_at > e1.occurred_at ORDER BY 1, 2, 3

SELECT FIRST_VALUE(metric) OVER w AS f, LAST_VALUE(metric) OVER w AS l, SUM(quantity) OVER w AS s FROM event WINDOW w AS (PARTITION BY person_id ORDER BY occurred_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) ORDER BY 1, 2, 3

SELECT metric, value FROM event ORDER BY value DESC NULLS LAST, event_id LIMIT 3

SELECT * EXCEPT (properties, tags, touches) FROM event WHERE event_id = 'e1'

SELECT event.* EXCEPT (tags, touches) REPLACE (UPPER(metric) AS metric) FROM event ORDER BY event_id LIMIT 1

SELECT 'total' AS k, COUNT(*) AS n FROM event UNION ALL SELECT metric, COUNT(*) FROM event GROUP BY metric ORDER BY n DESC, k

SELECT COUNT(DISTINCT CONCAT(person_id, CAST(occurred_on AS STRING))) FROM event

SELECT DATE(2024, 1, 5), DATETIME(2024, 1, 5, 10, 0, 0), TIMESTAMP_MILLIS(0), DATE_FROM_UNIX_DATE(1), TIME(10, 0, 0), DATE_TRUNC(DATE '2024-05-05', ISOWEEK), DATE_TRUNC(DATE '2024-05-05', QUARTER), DATETIME_TRUNC(DATETIME '2024-05-05 10:11:12', HOUR), DATETIME_ADD(DATETIME '2024-05-05 10:11:12', INTERVAL 1 MONTH), TIME_ADD(TIME '10:00:00', INTERVAL 1 HOUR)

SELECT i, n FROM fact WHERE n > 1.5 OR n < 0 ORDER BY i

SELECT b, AVG(n) AS a, SUM(f) AS s FROM fact GROUP BY b ORDER BY b

SELECT k, MAX(f), MIN(s) FROM fact GROUP BY k HAVING MAX(i) > 1 ORDER BY k

SELECT CURRENT_DATE() = DATE(CURRENT_TIMESTAMP()), CURRENT_DATETIME() <= DATETIME(CURRENT_TIMESTAMP()), DATE_DIFF(CURRENT_DATE('UTC'), CURRENT_DATE(), DAY)

SELECT COUNT(*) FROM event WHERE tags[SAFE_OFFSET(0)] = 'a' OR 'b' IN UNNEST(tags)

SELECT event_id, offset FROM event, UNNEST(tags) AS t WITH OFFSET ORDER BY 1, 2

SELECT event_id, t.channel FROM event, event.touches AS t ORDER BY 1, 2

SELECT s.* FROM (SELECT STRUCT(1 AS a, 'x' AS b) AS s)

SELECT ANY_VALUE(name), MAX(send_at) FROM campaign

SELECT IFNULL(CAST(quantity AS STRING), 'none') || '!' FROM event ORDER BY event_id

SELECT EXTRACT(DATE FROM occurred_at AT TIME ZONE 'Asia/Tokyo') AS d, COUNT(*) FROM event GROUP BY d ORDER BY d

SELECT SUM(quantity) OVER (ORDER BY occurred_on RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM event ORDER BY 1

SELECT SUM(quantity) OVER (ORDER BY UNIX_DATE(occurred_on) RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM event ORDER BY 1

SELECT LAG(quantity, 1, 0) OVER (ORDER BY event_id), LEAD(quantity) OVER (ORDER BY event_id), CUME_DIST() OVER (ORDER BY event_id), PERCENT_RANK() OVER (ORDER BY event_id) FROM event ORDER BY event_id

SELECT LAST_VALUE(quantity IGNORE NULLS) OVER (ORDER BY event_id) FROM event ORDER BY event_id

WITH RECURSIVE d AS (SELECT DATE '2024-05-01' AS day UNION ALL SELECT DATE_ADD(day, INTERVAL 1 DAY) FROM d WHERE day < '2024-05-03') SELECT day, COUNT(event_id) FROM d LEFT JOIN event ON occurred_on = day GROUP BY day ORDER BY day

SELECT event_id FROM event WHERE metric LIKE ANY ('op%', 'cl%') ORDER BY 1

SELECT ERROR('x') FROM event WHERE FALSE

SELECT APPROX_TOP_COUNT(metric, 2) FROM event

SELECT HASH FROM (SELECT 1)

SELECT TRIM('  a '), LTRIM('xxa', 'x'), LPAD('7', 3, '0'), REVERSE('abc'), REPEAT('ab', 2), STRPOS('abc', 'c'), INSTR('abcabc', 'b', 3), CHAR_LENGTH('ä'), CONTAINS_SUBSTR('Hello', 'hell'), TRANSLATE('abc', 'ab', 'xy'), SOUNDEX('abc')

SELECT SUM(x) FILTER (WHERE x > 1) FROM UNNEST([1,2]) AS x

SELECT APPROX_QUANTILES(quantity, 2)[OFFSET(1)] FROM event

SELECT TO_HEX(SHA256('a')), TO_HEX(MD5('a')), FARM_FINGERPRINT('a')

SELECT GENERATE_ARRAY(1, 10, 3), GENERATE_ARRAY(0.0, 1.0, 0.5), ARRAY(SELECT x * 2 FROM UNNEST([1,2]) AS x ORDER BY x)

SELECT AS STRUCT 1 AS a, 'x' AS b

SELECT MAX_BY(event_id, occurred_at), MIN_BY(event_id, occurred_at) FROM event

SELECT GREATEST(1, 2.5, NUMERIC '3'), LEAST(DATE '2024-01-01', '2023-01-01'), MOD(10, 3), DIV(10, 3), POW(2, 3), ABS(-1), SIGN(-2), TRUNC(1.9), CEIL(1.1), FLOOR(1.9), SQRT(9), EXP(0), LN(1), LOG10(100), LOG(8, 2), RAND() < 1, IEEE_DIVIDE(1, 0), SAFE_ADD(1, 2), RANGE_BUCKET(5, [0, 10]), CBRT(27), BIT_COUNT(7)

SELECT event_id FROM event TABLESAMPLE SYSTEM (100 PERCENT)

SELECT DATE_BUCKET(occurred_on, INTERVAL 2 DAY) FROM event
