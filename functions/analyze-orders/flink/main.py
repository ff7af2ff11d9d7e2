"""The minutes of `analyze-orders` as a Flink SQL job: `windows.sql`, and where it reads and writes.

On Managed Service for Apache Flink it reads the analytics stream and writes windows to another one;
the property group `windows` of the application says which. On one machine,

    main.py --input FILE --output FOLDER [--batch]

reads recorded records, one JSON object a line: the record's own fields, and beside them `shardId`,
`sequenceNumber` and `arrivedMs`. It writes a folder of JSON lines per table of windows.
"""

import argparse
import json
from pathlib import Path
from string import Template

from pyflink.table import EnvironmentSettings, TableEnvironment

SQL = Path(__file__).resolve().parent / "windows.sql"
# Where Managed Service for Apache Flink puts an application's properties.
PROPERTIES = Path("/etc/flink/application_properties.json")

# How far in the future the clocks of producers may be, and for how long late records correct a
# minute: the defaults of `streaming-analytics::window::Lateness`.
SKEW_MS, RETENTION_MS = 30_000, 172_800_000
END_OF_TIME = 7_258_118_400  # 2200-01-01

ORDER_EVENTS = """'OrderPlaced', 'PaymentProcessed', 'InventoryRejected', 'PaymentFailed',
    'OrderCancelled', 'PaymentRefunded'"""

# The columns of each table of windows, after its name and the minute.
TABLES = {
    "arrivals": "records BIGINT, duplicate BIGINT",
    "orders": """onTime BIGINT, late BIGINT, tooLate BIGINT, tooEarly BIGINT, malformed BIGINT,
        placed BIGINT, confirmed BIGINT, rejected BIGINT, failed BIGINT, cancelled BIGINT,
        refunded BIGINT, other BIGINT, distinctCustomers BIGINT, failureRatio DECIMAL(38, 18)""",
    "latencies": "unmeasured BIGINT, p50Ms BIGINT, p95Ms BIGINT",
    "money": "what STRING, currency STRING, amount DECIMAL(38, 18)",
    "skus": "sku STRING, pieces BIGINT",
    "sensors": """deviceId STRING, sensor STRING, `count` BIGINT, `sum` DECIMAL(38, 18),
        `min` DECIMAL(38, 18), mean DECIMAL(38, 18), `max` DECIMAL(38, 18),
        `last` DECIMAL(38, 18), unit STRING, unitsDiffer BOOLEAN, firstMs BIGINT, lastMs BIGINT""",
    "gaps": "deviceId STRING, sensor STRING, longestGapMs BIGINT",
}

# What must be there, or the record is malformed.
SOUND = f"""CASE
  WHEN detail IS NULL
  THEN deviceId IS NOT NULL AND sensor IS NOT NULL AND unit IS NOT NULL AND `value` IS NOT NULL
  ELSE detail.eventId IS NOT NULL AND detail.data IS NOT NULL
    AND COALESCE(`detail-type`, detail.eventType) = detail.eventType
    AND (detail.eventType NOT IN ({ORDER_EVENTS}) OR (detail.data.orderId IS NOT NULL
      AND detail.data.userId IS NOT NULL AND detail.data.totalAmount IS NOT NULL)) END"""


def nanoseconds(text):
    """RFC 3339 as nanoseconds from 1970 to 2200; what is no such time is in the first second."""
    seconds = f"UNIX_TIMESTAMP(REGEXP_REPLACE({text}, '[.][0-9]+', ''), 'yyyy-MM-dd''T''HH:mm:ssXXX')"
    fraction = f"RPAD(COALESCE(REGEXP_EXTRACT({text}, '[.]([0-9]{{1,9}})', 1), '0'), 9, '0')"
    return f"(GREATEST(0, LEAST({END_OF_TIME}, {seconds})) * 1000000000 + CAST({fraction} AS BIGINT))"


def percentile(percent):
    """The time that so many percent did not exceed: the upper end of its bucket in an HDR histogram
    with two significant digits."""
    place = f"GREATEST(CAST(CEIL({percent / 100}E0 * measured) AS INT), 1)"
    millis = f"CAST(SUBSTRING(all_took[{place}], 1, 10) AS BIGINT)"
    width = f"CAST(POWER(2, GREATEST(CHAR_LENGTH(BIN({millis})) - 8, 0)) AS BIGINT)"
    return f"({millis} / {width} + 1) * {width} - 1"


def recorded(file, folder):
    """Tables over a file of recorded records and, per table of windows, a folder."""
    arrival = {
        "arrival_columns": "shardId STRING, sequenceNumber STRING, arrivedMs BIGINT",
        "arrived_ms": "arrivedMs",
    }
    source = {"connector": "filesystem", "path": Path(file).resolve()}
    sinks = {name: {"connector": "filesystem", "path": Path(folder).resolve() / name} for name in TABLES}
    return arrival, source, sinks


def streams(properties):
    """Tables over two Kinesis streams; the windows of all tables go to one."""
    arrival = {
        "arrival_columns": """arrived TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL,
  shardId STRING NOT NULL METADATA FROM 'shard-id' VIRTUAL,
  sequenceNumber STRING NOT NULL METADATA FROM 'sequence-number' VIRTUAL""",
        "arrived_ms": "(EXTRACT(EPOCH FROM arrived) * 1000 + EXTRACT(MILLISECOND FROM arrived))",
    }
    region = {"aws.region": properties["aws.region"]}
    # The connector's newer source, `kinesis`, does not tell when the stream took a record.
    source = {"connector": "kinesis-legacy", "stream": properties["input.stream.name"],
              "scan.stream.initpos": "TRIM_HORIZON", "scan.shard-assigner": "uniform", **region}
    sink = {"connector": "kinesis", "stream.arn": properties["output.stream.arn"], **region}
    return arrival, source, dict.fromkeys(TABLES, sink)


def options(named):
    return ", ".join(f"'{name}' = '{value}'" for name, value in named.items())


def statements(arrival, source, lateness_ms, kept_ms):
    """The statements of `windows.sql`, filled in."""
    filled = Template(SQL.read_text(encoding="utf-8")).substitute(
        arrival,
        source=options({**source, "format": "json", "json.ignore-parse-errors": "true"}),
        sound=SOUND,
        skew_ms=SKEW_MS,
        lateness_ms=lateness_ms,
        kept_ms=kept_ms,
        last_ns=END_OF_TIME * 10**9 - 1,
        happened_ns=nanoseconds("COALESCE(detail.`timestamp`, `at`)"),
        placed_ns=nanoseconds("detail.data.placedAt"),
        order_events=ORDER_EVENTS,
        p50_ms=percentile(50),
        p95_ms=percentile(95),
        minute="DATE_FORMAT(window_start, 'yyyy-MM-dd''T''HH:mm:ss''Z''')",
    )
    lines = [line for line in filled.splitlines() if not line.startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]


def properties():
    groups = json.loads(PROPERTIES.read_text(encoding="utf-8"))
    return {group["PropertyGroupId"]: group["PropertyMap"] for group in groups}["windows"]


def main():
    parser = argparse.ArgumentParser(description="Minutes of orders and readings.")
    parser.add_argument("--input", help="recorded records; without it, the stream of the properties")
    parser.add_argument("--output", help="folder of the windows")
    parser.add_argument("--batch", action="store_true", help="with what came late, as it is in the end")
    arguments = parser.parse_args()
    settings = {} if arguments.input else properties()
    lateness_ms = int(settings.get("lateness.seconds", "120")) * 1000
    # A stream's minute is written once, when its lateness is over.
    kept_ms = RETENTION_MS if arguments.batch else lateness_ms
    arrival, source, sinks = (
        recorded(arguments.input, arguments.output) if arguments.input else streams(settings))

    builder = EnvironmentSettings.new_instance()
    builder = builder.in_batch_mode() if arguments.batch else builder.in_streaming_mode()
    tables = TableEnvironment.create(builder.build())
    config = tables.get_config()
    config.set_local_timezone("UTC")
    config.set("pipeline.object-reuse", "true")
    if arguments.input:
        config.set("parallelism.default", "1")
    else:
        # A shard without records holds up no minute.
        config.set("table.exec.source.idle-timeout", "60 s")
    for name, columns in TABLES.items():
        written = {**sinks[name], "format": "json", "json.encode.decimal-as-plain-number": "true"}
        tables.execute_sql(
            f"CREATE TEMPORARY TABLE {name} (figures STRING, `minute` STRING, {columns}) "
            f"WITH ({options(written)})")
    inserts = tables.create_statement_set()
    for statement in statements(arrival, source, lateness_ms, kept_ms):
        if statement.strip().startswith("INSERT"):
            inserts.add_insert_sql(statement)
        else:
            tables.execute_sql(statement)
    job = inserts.execute()
    if arguments.input:
        result = job.get_job_client().get_job_execution_result().result()
        print(json.dumps({"seconds": result.get_net_runtime() / 1000}))


if __name__ == "__main__":
    main()
