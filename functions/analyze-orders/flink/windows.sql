-- Minutes of event time, as analyze-orders and close-windows make them. What stands in braces comes
-- from main.py: where records come from, where windows go to, and the bounds of lateness.

-- The stream. A record counts in the minute in which it happened; one that is not folded, because it
-- cannot be read or its minute is closed, in the minute in which it arrived. A minute waits for what
-- arrives within the lateness after its end: so the watermark follows arrivals, not events. It is a
-- minute further behind, so that in the order of time (LAG, below) no record of a minute comes too late.
CREATE TEMPORARY TABLE records (
  ${arrival_columns},
  `detail-type` STRING,
  detail ROW<
    eventId STRING,
    eventType STRING,
    `timestamp` STRING,
    data ROW<
      orderId STRING,
      userId STRING,
      totalAmount DECIMAL(38, 18),
      currency STRING,
      placedAt STRING,
      items ARRAY<ROW<sku STRING, quantity BIGINT>>>>,
  deviceId STRING,
  sensor STRING,
  `value` DECIMAL(38, 18),
  unit STRING,
  `at` STRING,
  eventId STRING,
  happened_ns AS ${happened_ns},
  counts_at AS TO_TIMESTAMP_LTZ(CASE
    WHEN ${sound} AND ${happened_ns} / 1000000
      BETWEEN (${arrived_ms} - ${kept_ms}) / 60000 * 60000 AND ${arrived_ms} + ${skew_ms}
    THEN ${happened_ns} / 1000000 ELSE ${arrived_ms} END, 3),
  WATERMARK FOR counts_at AS TO_TIMESTAMP_LTZ(${arrived_ms} - ${kept_ms} - 60000 - 1, 3)
) WITH (${source});

-- How a record stands to its minute.
CREATE TEMPORARY VIEW judged AS
SELECT *, CASE
    WHEN (${sound} AND happened_ns BETWEEN 1000000000 AND ${last_ns}) IS NOT TRUE THEN 'malformed'
    WHEN happened_ns / 1000000 > arrived_ms + ${skew_ms} THEN 'tooEarly'
    WHEN arrived_ms - minute_end_ms < ${lateness_ms} THEN 'onTime'
    WHEN arrived_ms - minute_end_ms < ${kept_ms} THEN 'late'
    ELSE 'tooLate'
  END AS timing
FROM (
  SELECT *, ${arrived_ms} AS arrived_ms, (happened_ns / 60000000000 + 1) * 60000 AS minute_end_ms
  FROM records);

-- A record with its identity: what comes again under it is a duplicate.
CREATE TEMPORARY VIEW facts AS
SELECT counts_at, shardId AS shard, LPAD(sequenceNumber, 128, '0') AS sequence, arrived_ms, timing,
  happened_ns, detail, deviceId, sensor, `value`, unit,
  CASE
    WHEN timing NOT IN ('onTime', 'late') THEN CONCAT_WS(CHR(9), 'place', shardId, sequenceNumber)
    WHEN detail IS NOT NULL THEN CONCAT_WS(CHR(9), 'event', detail.eventId)
    WHEN eventId IS NOT NULL THEN CONCAT_WS(CHR(9), 'named', deviceId, eventId)
    ELSE CONCAT_WS(CHR(9), 'reading', deviceId, sensor, CAST(happened_ns AS STRING))
  END AS id,
  CASE WHEN timing IN ('onTime', 'late') THEN detail.eventType END AS event,
  timing IN ('onTime', 'late') AND detail IS NULL AS is_reading
FROM judged;

CREATE TEMPORARY VIEW minutes AS
SELECT * FROM TABLE(TUMBLE(TABLE facts, DESCRIPTOR(counts_at), INTERVAL '1' MINUTE));

-- Each record once: the one that arrived first.
CREATE TEMPORARY VIEW once AS
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end, id ORDER BY arrived_ms, shard, sequence) AS delivery
  FROM minutes)
WHERE delivery = 1;

-- How many records came, and how many of them again.
INSERT INTO arrivals
SELECT 'arrivals', ${minute}, COUNT(*), COUNT(*) - COUNT(DISTINCT id)
FROM minutes GROUP BY window_start, window_end;

-- What happened to orders, and how records stood to their minute.
INSERT INTO orders
SELECT 'orders', ${minute}, on_time, late, too_late, too_early, malformed,
  placed, confirmed, rejected, failed, cancelled, refunded, other, customers,
  CAST(rejected + failed AS DECIMAL(38, 18)) / NULLIF(confirmed + rejected + failed, 0)
FROM (
  SELECT window_start, window_end,
    COUNT(*) FILTER (WHERE timing = 'onTime') AS on_time,
    COUNT(*) FILTER (WHERE timing = 'late') AS late,
    COUNT(*) FILTER (WHERE timing = 'tooLate') AS too_late,
    COUNT(*) FILTER (WHERE timing = 'tooEarly') AS too_early,
    COUNT(*) FILTER (WHERE timing = 'malformed') AS malformed,
    COUNT(*) FILTER (WHERE event = 'OrderPlaced') AS placed,
    COUNT(*) FILTER (WHERE event = 'PaymentProcessed') AS confirmed,
    COUNT(*) FILTER (WHERE event = 'InventoryRejected') AS rejected,
    COUNT(*) FILTER (WHERE event = 'PaymentFailed') AS failed,
    COUNT(*) FILTER (WHERE event = 'OrderCancelled') AS cancelled,
    COUNT(*) FILTER (WHERE event = 'PaymentRefunded') AS refunded,
    COUNT(*) FILTER (WHERE event IS NOT NULL AND event NOT IN (${order_events})) AS other,
    COUNT(DISTINCT detail.data.userId) FILTER (WHERE event = 'OrderPlaced') AS customers
  FROM once GROUP BY window_start, window_end);

-- How long confirmed orders took, from 1 ms to 30 days, as the upper end of a bucket: two significant
-- digits. Times are sorted as texts that end with the id, for ARRAY_SORT fails on equal elements (FLINK-39677).
INSERT INTO latencies
SELECT 'latencies', ${minute}, unmeasured, ${p50_ms}, ${p95_ms}
FROM (
  SELECT window_start, window_end, COUNT(*) - COUNT(took) AS unmeasured, COUNT(took) AS measured,
    ARRAY_SORT(ARRAY_AGG(took) FILTER (WHERE took IS NOT NULL)) AS all_took
  FROM (
    SELECT window_start, window_end, LPAD(CAST(LEAST(GREATEST(
      (happened_ns - ${placed_ns}) / 1000000, 1), 2592000000) AS STRING), 10, '0') || id AS took
    FROM once WHERE event = 'PaymentProcessed')
  GROUP BY window_start, window_end);

-- What confirmed orders paid, and what was given back.
INSERT INTO money
SELECT 'money', ${minute}, what, currency, SUM(amount)
FROM (
  SELECT window_start, window_end, detail.data.totalAmount AS amount,
    CASE event WHEN 'PaymentProcessed' THEN 'revenue' ELSE 'refunds' END AS what,
    COALESCE(detail.data.currency, 'USD') AS currency
  FROM once WHERE event IN ('PaymentProcessed', 'PaymentRefunded'))
GROUP BY window_start, window_end, what, currency;

-- The 1,000 SKUs of which most pieces were ordered.
INSERT INTO skus
SELECT 'skus', ${minute}, sku, pieces
FROM (
  SELECT *, ROW_NUMBER() OVER (
    PARTITION BY window_start, window_end ORDER BY pieces DESC, sku) AS place
  FROM (
    SELECT window_start, window_end, sku, SUM(quantity) AS pieces
    FROM (SELECT window_start, window_end, detail.data.items AS items FROM once WHERE event = 'OrderPlaced')
    CROSS JOIN UNNEST(items) AS line (sku, quantity)
    GROUP BY window_start, window_end, sku))
WHERE place <= 1000;

-- What sensors measured. The last reading is the largest text of time, value and unit.
INSERT INTO sensors
SELECT 'sensors', ${minute}, device, sensor, readings, total, smallest, mean, largest,
  CAST(SPLIT_INDEX(latest, ' ', 1) AS DECIMAL(38, 18)),
  REGEXP_REPLACE(latest, '^[^ ]+ [^ ]+ ', ''), units > 1, first_ms, last_ms
FROM (
  SELECT window_start, window_end, deviceId AS device, sensor, COUNT(*) AS readings,
    MIN(`value`) AS smallest, SUM(`value`) AS total, AVG(`value`) AS mean, MAX(`value`) AS largest,
    MAX(LPAD(CAST(happened_ns AS STRING), 19, '0') || ' ' || CAST(`value` AS STRING) || ' ' || unit) AS latest,
    COUNT(DISTINCT unit) AS units,
    MIN(happened_ns) / 1000000 AS first_ms, MAX(happened_ns) / 1000000 AS last_ms
  FROM once WHERE is_reading GROUP BY window_start, window_end, deviceId, sensor);

-- The longest time between neighbouring readings of a minute, from the last of a second to the first of
-- a later one. In seconds first, so that no two rows of a sensor have one time: LAG takes those for one.
CREATE TEMPORARY VIEW readings AS
SELECT counts_at, deviceId, sensor, happened_ns / 1000000 AS at_ms FROM facts WHERE is_reading;

CREATE TEMPORARY VIEW spaced AS
SELECT second_at, deviceId, sensor, first_ms,
  LAG(last_ms) OVER (PARTITION BY deviceId, sensor ORDER BY second_at) AS before_ms
FROM (
  SELECT window_time AS second_at, deviceId, sensor, MIN(at_ms) AS first_ms, MAX(at_ms) AS last_ms
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(counts_at), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, window_time, deviceId, sensor);

INSERT INTO gaps
SELECT 'gaps', ${minute}, deviceId, sensor, MAX(first_ms - before_ms)
FROM TABLE(TUMBLE(TABLE spaced, DESCRIPTOR(second_at), INTERVAL '1' MINUTE))
WHERE first_ms / 60000 = before_ms / 60000
GROUP BY window_start, window_end, deviceId, sensor;
