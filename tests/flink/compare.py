"""Runs the fold of `analyze-orders` and the Flink job over the same recorded records, and compares
every figure of every window: `compare.py RECORDS WORK_FOLDER`."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLD = ROOT / "target/release/examples/windows"
JOB = ROOT / "functions/analyze-orders/flink/main.py"
# Customers are the one figure that the fold estimates (HyperLogLog, 2^12 registers) and Flink counts:
# four standard errors of 1.04 / sqrt(4096) each, and one for few customers who share a register.
CUSTOMERS_OFF = Decimal(4 * 1.04 / 64)
# Means have 18 places; where the next digit is an exact half, Flink rounds up and the fold to even.
MEAN_OFF = Decimal("1e-18")
# Windows in which nothing stood so would prove nothing.
STANDINGS = {"stream": ("onTime", "duplicate", "tooLate", "tooEarly", "malformed"),
             "batch": ("onTime", "late", "duplicate", "tooLate", "tooEarly", "malformed")}


def lines(text):
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in text.splitlines()]


def millis(text):
    return Decimal(round(datetime.fromisoformat(text).timestamp() * 1000))


def of_fold(minutes):
    """The fold's figures by `(minute, figure, of what)`; what is zero or nothing is left out."""
    for result in minutes:
        minute, orders, counts = result["minute"], result["orders"], result["counts"]
        if result["overlapping"]:
            raise SystemExit(f"{minute} has events of two shards: these records have none")
        yield (minute, "records"), sum(counts.values())
        for figure, value in (counts | {"other": result["other"]}).items():
            yield (minute, figure), value
        for figure in ("placed", "confirmed", "rejected", "failed", "cancelled", "refunded",
                       "unmeasured", "failureRatio", "distinctCustomers", "p50Ms", "p95Ms"):
            yield (minute, figure), orders[figure]
        for figure in ("revenue", "refunds"):
            for currency, amount in orders[figure].items():
                yield (minute, figure, currency), amount
        for top in orders["topSkus"]:
            if top["pieces"] != top["atMost"]:
                raise SystemExit(f"{minute} has too many SKUs to count them exactly")
            yield (minute, "pieces", top["sku"]), top["pieces"]
        for device in result["devices"]:
            sensor = device["deviceId"], device["sensor"]
            for figure in ("count", "sum", "min", "mean", "max", "last", "unit", "unitsDiffer"):
                yield (minute, figure, *sensor), device[figure]
            yield (minute, "firstMs", *sensor), millis(device["firstAt"])
            yield (minute, "lastMs", *sensor), millis(device["lastAt"])
            yield (minute, "longestGapMs", *sensor), device["longestGapMs"]


def of_flink(folder):
    """The same of what the job wrote."""
    def rows(table):
        for file in sorted((folder / table).iterdir()):
            yield from lines(file.read_text(encoding="utf-8"))

    for table in ("arrivals", "orders", "latencies"):
        for row in rows(table):
            minute, _ = row.pop("minute"), row.pop("figures")
            for figure, value in row.items():
                yield (minute, figure), value
    for row in rows("money"):
        yield (row["minute"], row["what"], row["currency"]), row["amount"]
    for row in rows("skus"):
        yield (row["minute"], "pieces", row["sku"]), row["pieces"]
    for table in ("sensors", "gaps"):
        for row in rows(table):
            minute, device, sensor, _ = (
                row.pop(key) for key in ("minute", "deviceId", "sensor", "figures"))
            for figure, value in row.items():
                yield (minute, figure, device, sensor), value


def figures(pairs):
    known = {}
    for key, value in pairs:
        if key in known:
            raise SystemExit(f"{key} is there twice")
        known[key] = value
    # A count of none is the same as no row; a smallest value of 0 is not.
    return {key: value for key, value in known.items()
            if value is not None and (value or key[1] in ("sum", "min", "mean", "max", "last", "failureRatio"))}


def same(key, ours, theirs):
    if None in (ours, theirs):
        return False
    if key[1] == "distinctCustomers":
        return abs(ours - theirs) <= theirs * CUSTOMERS_OFF + 1
    if key[1] == "mean":
        return abs(ours - theirs) <= MEAN_OFF
    return ours == theirs


def fold(mode, records):
    """The fold's figures, and the seconds that it took."""
    bounds = ["--on-time"] if mode == "stream" else []
    answer = subprocess.run([FOLD, *bounds, records], check=True, capture_output=True, text=True)
    return figures(of_fold(lines(answer.stdout))), json.loads(answer.stderr)["seconds"]


def flink(mode, records, folder):
    """Flink's figures, and the seconds that its job took: without the start of Java and planning."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, JOB, "--input", records, "--output", folder / "windows"]
    command += ["--batch"] if mode == "batch" else []
    with (folder / "log").open("w+", encoding="utf-8") as log:
        job = subprocess.run(command, stdout=log, stderr=log)
        log.seek(0)
        told = log.read()
    if job.returncode:
        raise SystemExit(f"the Flink job failed:\n{told[-4000:]}")
    return figures(of_flink(folder / "windows")), json.loads(told.splitlines()[-1])["seconds"]


def main():
    records, work = Path(sys.argv[1]), Path(sys.argv[2])
    with records.open("rb") as file:
        count = sum(1 for _ in file)
    print("| mode | records | windows | figures | differences | fold, records/s | Flink, records/s |")
    print("|---|---|---|---|---|---|---|")
    differ = []
    for mode, standings in STANDINGS.items():
        ours, ours_took = fold(mode, records)
        theirs, theirs_took = flink(mode, records, work / mode)
        wrong = [(mode, key, ours.get(key), theirs.get(key))
                 for key in sorted(ours.keys() | theirs.keys())
                 if not same(key, ours.get(key), theirs.get(key))]
        windows = {key[0] for key in ours}
        print(f"| {mode} | {count:,} | {len(windows):,} | {len(ours):,} | {len(wrong):,} "
              f"| {count / ours_took:,.0f} | {count / theirs_took:,.0f} |", flush=True)
        seen = Counter()
        for key, value in ours.items():
            if key[1:] in {("records",), *((standing,) for standing in standings)}:
                seen[key[1]] += value
        missing = [standing for standing in standings if not seen[standing]]
        if missing or seen["records"] != count:
            raise SystemExit(f"{mode}: {seen['records']} of {count} records counted, none {missing}")
        differ += wrong
    for mode, key, ours, theirs in differ[:20]:
        print(f"{mode}: {' '.join(key)}: the fold has {ours}, Flink has {theirs}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
