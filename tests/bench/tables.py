"""Tables of what bench-driver measured, for tests/bench/end-to-end: tables.py FOLDER PROFILE"""
import json
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

DOCUMENT = Path("docs/benchmarks/end-to-end.md")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
SYSTEMS = {"naive": "naive", "whole": "Orderflow, whole", "equal": "Orderflow, equal features"}
# The same when every call to AWS takes its way to a region.
FAR = {f"far-{name}": said for name, said in SYSTEMS.items()}
LATENCY = 5
# What is aimed at, and what is held: the price of what is counted, of an order that is alone, with equal
# features while the projection waits two seconds. (Functions' time is this machine's.)
AIM_RATE, AIM_PRICE = 2.0, 0.35
HELD_PRICE = 0.62
WINDOW = "equal features, `ProjectionWindowSeconds=2`"
# How an order comes to be confirmed: what is done, from when, until when.
WAY = [
    ("HTTP API: token, route, waiting for a process", "sent", "place-order"),
    ("`place-order`: check, decide, one conditional write", "place-order", "OrderPlaced"),
    ("table's stream → `publish-events`", "OrderPlaced", "publish-events OrderPlaced"),
    ("`PutEvents`, rules, delivery", "publish-events OrderPlaced", "update-inventory"),
    ("`update-inventory`: decide, one transaction with two SKUs", "update-inventory", "InventoryUpdated"),
    ("table's stream → `publish-events`", "InventoryUpdated", "publish-events InventoryUpdated"),
    ("`PutEvents`, rules, delivery", "publish-events InventoryUpdated", "process-payment"),
    ("`process-payment`: decide, charge (simulated), one conditional write", "process-payment", "PaymentProcessed"),
]


class Run:
    """What one run took."""

    def __init__(self, path):
        told = json.loads(path.read_text())
        self.told, self.orders = told, told["orders"]
        self.count = len(self.orders)
        begin = min(sent for _, sent, _, _ in self.orders) / 1000
        end = max(confirmed for *_, confirmed in self.orders)
        self.rate = self.count / (end - begin) * 1000
        self.rate_to_rest = self.count / (told["rest_millis"] - begin) * 1000
        self.accept = [(answered - sent) / 1000 for _, sent, answered, _ in self.orders]
        self.confirm = [confirmed - sent / 1000 for _, sent, _, confirmed in self.orders]
        self.usd = {what: usd * 1e6 / self.count for what, usd in told["usd"].items()}
        self.counted = self.usd["all"] - self.usd["function time"]
        used, events = told["used"], told["used"]["events"]
        self.units = {
            "DynamoDB requests": used["dynamodb"]["requests"],
            "write units": used["dynamodb"]["writeUnits"],
            "read units": used["dynamodb"]["readUnits"],
            "`PutEvents`": events["requests"],
            "entries": events["entries"],
            "invocations": used["invocations"],
            "stream, archive units": used["kinesis"]["chunks"] + used["firehose"]["chunks"],
            "log bytes": used["log_bytes"],
        }
        self.units = {what: number / self.count for what, number in self.units.items()}
        self.processor = told["processor"]


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(head, rows, left=1):
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def spread(ratios):
    low, high = min(ratios), max(ratios)
    return f"{statistics.median(ratios):.2f}" + (f" ({low:.2f}–{high:.2f})" if len(ratios) > 1 else "")


def rates(runs, systems):
    rows = []
    for clients in (1, 8, 32):
        for name, said in systems.items():
            same = runs[name, clients]
            pooled = lambda what: [value for run in same for value in getattr(run, what)]
            accept, confirm = pooled("accept"), pooled("confirm")
            rows.append([
                clients, said,
                f"{statistics.median(run.rate for run in same):.1f}",
                f"{statistics.median(run.rate_to_rest for run in same):.1f}",
                f"{percentile(accept, 50):.0f} / {percentile(accept, 95):.0f}",
                f"{percentile(confirm, 50):.0f} / {percentile(confirm, 95):.0f}",
                f"{cores() * 1000 / statistics.median(map(processor_of, same)):.1f}",
            ])
    return table(["clients", "system", "orders/s to confirmed", "to rest", "accepted p50 / p95, ms",
                  "confirmed p50 / p95, ms", f"orders/s that {cores()} cores to themselves allow"], rows, 2)


def cores():
    return Path("/proc/cpuinfo").read_text().count("processor\t")


def ratios(runs, systems):
    rows = []
    naive, *ours = systems
    for clients in (1, 8, 32):
        for name in ours:
            pairs = list(zip(runs[name, clients], runs[naive, clients]))
            rows.append([
                clients, systems[name],
                spread([ours.rate / naive.rate for ours, naive in pairs]),
                spread([ours.rate_to_rest / naive.rate_to_rest for ours, naive in pairs]),
                spread([percentile(naive.confirm, 50) / percentile(ours.confirm, 50) for ours, naive in pairs]),
                spread([processor_of(naive) / processor_of(ours) for ours, naive in pairs]),
                f"{price_ratio(pairs, 'counted'):.2f}",
                f"{price_ratio(pairs, 'all'):.2f}",
            ])
    return table(["clients", "system", f"orders/s (aim ≥ {AIM_RATE:.0f})", "orders/s to rest",
                  "confirmed sooner, p50", "processor time less", f"price of what is counted (aim ≤ {AIM_PRICE})",
                  "price with functions' time"], rows, 2)


def price(run, what):
    return run.counted if what == "counted" else run.usd["all"]


def price_ratio(pairs, what):
    return sum(price(ours, what) for ours, _ in pairs) / sum(price(naive, what) for _, naive in pairs)


def processor_of(run):
    """Milliseconds of processor time for an order, without the clients'."""
    return (run.processor["host"] + sum(run.processor["functions"].values())) * 1000 / run.count


def units(columns):
    rows = []
    for what in next(iter(columns.values())).units:
        digits = 0 if what == "log bytes" else 1
        rows.append([what, *(f"{run.units[what]:.{digits}f}" for run in columns.values())])
    return table(["of an order", *columns], rows)


def prices(columns):
    rows = []
    for what in ("tables", "bus", "invocations", "HTTP API", "logs", "analytics and archive"):
        rows.append([what, *(f"{run.usd[what]:.2f}" for run in columns.values())])
    rows.append(["**what is counted**", *(f"**{run.counted:.2f}**" for run in columns.values())])
    rows.append(["functions' time, as measured here", *(f"{run.usd['function time']:.2f}" for run in columns.values())])
    return table(["USD for a million orders", *columns], rows)


def processors(columns):
    """Milliseconds of processor time by what took them."""
    functions = sorted({name for run in columns.values() for name in run.processor["functions"]})
    times = lambda take: [f"{take(run) * 1000 / run.count:.1f}" for run in columns.values()]
    rows = [["host: HTTP API, tables, bus, deliveries", *times(lambda run: run.processor["host"])]]
    for name in functions:
        row = times(lambda run: run.processor["functions"].get(name, 0))
        if any(float(cell) >= 0.1 for cell in row):
            rows.append([f"`{name}`", *row])
    rows.append(["**together**", *(f"**{processor_of(run):.1f}**" for run in columns.values())])
    return table(["ms of processor time for an order", *columns], rows)


def way(runs):
    """The mean time of each step from placing to confirmation; and the slowest twentieth's."""
    columns = []
    for run in runs:
        moments = {order: {"sent": sent} for order, sent, _, _ in run.orders}
        for begin, _, function, stream, event in run.told["steps"]["invocations"]:
            order = moments.get(stream.removeprefix("order-"))
            if order is None:
                continue
            kind = event.split(" ")[0]
            name = f"{function} {kind}" if function == "publish-events" else function
            order.setdefault(name, begin)
        for at, stream, event in run.told["steps"]["stored"]:
            order = moments.get((stream or "").removeprefix("order-"))
            if order is not None:
                # Somewhere in that millisecond.
                order.setdefault(event, at * 1000 + 500)
        whole = [order for order in moments.values() if all(end in order for _, _, end in WAY)]
        columns.append([[(order[end] - order[begin]) / 1000 for order in whole] for _, begin, end in WAY])
    head = ["step"]
    for run in runs:
        head += [f"{run.told['clients']} clients: mean, ms" if run.told["clients"] > 1 else "1 client: mean, ms", "share", "p95, ms"]
    rows = []
    for at, (said, _, _) in enumerate(WAY):
        row = [said]
        for column in columns:
            mean = statistics.fmean(column[at])
            together = sum(statistics.fmean(step) for step in column)
            row += [f"{mean:.1f}", f"{mean / together:.0%}", f"{percentile(column[at], 95):.1f}"]
        rows.append(row)
    row = ["**placed → confirmed**"]
    for column in columns:
        together = [sum(steps) for steps in zip(*column)]
        row += [f"**{statistics.fmean(together):.1f}**", "", f"**{percentile(together, 95):.1f}**"]
    return table(head, [*rows, row])


def machine(profile, rounds, orders):
    line = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
    models = [text.split(":")[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in text]
    return (f"{date.today()}, {cores()} cores of {next(iter(models), platform.machine())}, Linux {platform.release()}, {line('rustc', '--version')}, "
            f"Python {platform.python_version()}; profile `{profile}`; {orders} orders a run, {rounds} "
            f"{'round' if rounds == 1 else 'rounds'}, load average {Path('/proc/loadavg').read_text().split()[1]}.")


def main():
    folder, profile = Path(sys.argv[1]), sys.argv[2]
    found = {}
    for path in sorted(folder.glob("*.json")):
        name, *rest = path.stem.split(" ")
        if name in SYSTEMS or name in FAR:
            found.setdefault((name, int(rest[0])), []).append(Run(path))
    one = {said: middle(found[name, 1]) for name, said in SYSTEMS.items()}
    one[WINDOW] = Run(folder / "window 1.json")
    many = {said: middle(found[name, 32]) for name, said in SYSTEMS.items()}
    many[WINDOW] = Run(folder / "window 32.json")
    busy = {said: middle(found[name, 8]) for name, said in SYSTEMS.items()}
    shared = {"naive": Run(folder / "shared naive.json"), "Orderflow, whole": Run(folder / "shared orderflow.json")}
    first = found["naive", 1]
    text = "\n\n".join([
        machine(profile, len(first), first[0].count),
        "## Orders per second and latency", rates(found, SYSTEMS),
        "Ratios, Orderflow to naive; of times the median of the rounds and their spread:", ratios(found, SYSTEMS),
        f"### When a call to AWS takes {LATENCY} ms longer",
        f"As it does from Lambda to a region (`--aws-latency {LATENCY}`); the processor is waited for less:",
        rates(found, FAR), ratios(found, FAR),
        "## What an order takes", "One client:", units(one), prices(one),
        "32 clients:", units(many), prices(many),
        "32 clients that all want the same eight SKUs:", rates_of(shared), units(shared),
        "## Where the time goes",
        "From placing to confirmation, Orderflow with everything:",
        way([Run(folder / "steps 1.json"), Run(folder / "steps 8.json")]),
        "Processor time by process, 8 clients:", processors(busy),
    ])
    print(text)
    before, after = document()
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    held = price_ratio([(one[WINDOW], one["naive"])], "counted")
    if held > HELD_PRICE:
        sys.exit(f"with {WINDOW} an order costs {held:.2f} of a naive one by what is counted, at most {HELD_PRICE}")


def middle(runs):
    """The run that took the median of the processor's time."""
    return sorted(runs, key=processor_of)[(len(runs) - 1) // 2]


def rates_of(columns):
    rows = [["orders/s to confirmed", *(f"{run.rate:.1f}" for run in columns.values())],
            ["confirmed p50 / p95, ms", *(f"{percentile(run.confirm, 50):.0f} / {percentile(run.confirm, 95):.0f}" for run in columns.values())],
            ["USD for a million orders, what is counted", *(f"{run.counted:.2f}" for run in columns.values())]]
    return table(["", *columns], rows)


def document():
    """The document before and after the figures."""
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    return before, rest.split(END)[1]


if __name__ == "__main__":
    main()
