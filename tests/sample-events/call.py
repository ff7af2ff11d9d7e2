"""Calls the functions with their sample events, as AWS's own tools do."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
FUNCTIONS = sorted(path.name for path in (ROOT / "functions").iterdir())
PATIENCE_SECONDS = 60
# `cargo lambda watch` builds a function before its first call.
BUILD_SECONDS = 900
ORDER = "67890"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(found, what, seconds=PATIENCE_SECONDS):
    """Asks until there is something, which is given back."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"{what}: not within {seconds} s")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Processes:
    """What was started; all of it ends with its `with`."""

    def __init__(self, logs):
        self._started = []
        self._logs = logs

    def __enter__(self):
        return self

    def start(self, name, command, environment=None, **options):
        log = (self._logs / f"{name}.log").open("wb")
        process = subprocess.Popen(command, env=environment, stderr=log,
                                   start_new_session=True, **{"stdout": log, **options})
        self._started.append(process)
        return process

    def __exit__(self, *_):
        for process in reversed(self._started):
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=20)
            except ProcessLookupError:
                continue
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def start_system(processes):
    """`cargo local`, whose tables the functions use: its addresses."""
    program = ROOT / "target/debug/orderflow-local"
    command = [program, "up", "--api-port", "0", "--aws-port", "0", "--json-ready"]
    system = processes.start("local", command, stdout=subprocess.PIPE)
    line = system.stdout.readline()
    if not line:
        raise SystemExit("`cargo local` does not start")
    return json.loads(line)


def environment(system):
    """What local/watch.env sets, for this system."""
    variables = dict(os.environ)
    for line in (ROOT / "local/watch.env").read_text().splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            variables[name] = value.replace("http://127.0.0.1:4566", system["aws"])
    return variables


class RuntimeInterfaceEmulator:
    """Each built bootstrap under AWS's own emulator of the runtime interface."""

    def __init__(self, processes, system, programs, tools):
        found = list(tools.rglob("aws-lambda-rie-x86_64"))
        if not found:
            raise SystemExit("there is no aws-lambda-rie-x86_64 in the SAM CLI's package")
        self._program = found[0]
        self._program.chmod(0o755)
        self._processes = processes
        self._environment = environment(system)
        self._aws = system["aws"]
        self._programs = programs
        self._ports = {}

    def call(self, function, payload):
        if function not in self._ports:
            self._ports[function] = self._start(function)
        url = f"http://127.0.0.1:{self._ports[function]}/2015-03-31/functions/function/invocations"
        request = urllib.request.Request(url, payload.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.read()

    def _start(self, function):
        port, runtime_port = free_port(), free_port()
        self._processes.start(
            function,
            [self._program, "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
             "--runtime-api-address", f"127.0.0.1:{runtime_port}", self._programs / function],
            {**self._environment, "AWS_LAMBDA_FUNCTION_NAME": function,
             "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
             "DEAD_LETTER_QUEUE_URL": f"{self._aws}/000000000000/{function}-dlq"},
        )
        until(lambda: listens(port), f"the emulator of {function}")
        return port


class Watch:
    """`cargo lambda watch`, and `cargo lambda invoke`. All functions have the same environment there,
    so no dead-letter queue: what would go into it is an error."""

    def __init__(self, processes, system, _programs, tools):
        self._program = tools / "bin/cargo-lambda"
        self._port = free_port()
        # The artifacts of `cargo build --release` are used, so nothing is built twice.
        command = [self._program, "lambda", "watch", "--release", "--invoke-port", str(self._port),
                   "--ignore-changes"]
        processes.start("watch", command, environment(system), cwd=ROOT)
        until(lambda: listens(self._port), "cargo lambda watch", BUILD_SECONDS)

    def call(self, function, payload):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(payload)
            file.flush()
            command = [self._program, "lambda", "invoke", function, "--data-file", file.name,
                       "--invoke-port", str(self._port)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=BUILD_SECONDS)
        # A failure is told on standard error, as text around its fields.
        return done.stdout if done.returncode == 0 else done.stderr


def is_answered(answer, expected):
    """Whether an answer is what is expected: part of it, where an object is."""
    if not isinstance(expected, dict):
        return answer == expected
    return isinstance(answer, dict) and all(
        value in answer.get(field, "") if isinstance(value, str) else answer.get(field) == value
        for field, value in expected.items())


def without_queue(expected):
    """What is answered where a function has no dead-letter queue."""
    if isinstance(expected, dict) and "givenUp" in expected:
        return {"errorType": expected["givenUp"], "errorMessage": expected["cause"]}
    return expected


def parsed(raw):
    """The answer; what is no JSON as an error with its text."""
    try:
        return json.loads(raw)
    except ValueError:
        # cargo-lambda draws a line beside an error and wraps it.
        text = " ".join(raw.decode(errors="replace").replace("│", " ").split())
        kind = next((kind for kind in ("Permanent", "Transient", "Waiting") if kind in text), "?")
        return {"errorType": kind, "errorMessage": text}


def order_is(system, state):
    url = f"{system['aws']}/"
    body = json.dumps({"TableName": "Orders", "Key": {"orderId": {"S": ORDER}}}).encode()
    request = urllib.request.Request(url, body, headers={
        "X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        item = json.loads(answer.read()).get("Item", {})
    return item.get("status", {}).get("S") == state


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["rie", "watch"])
    parser.add_argument("--tools", type=Path, required=True, help="where the tools are installed")
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release")
    told = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder)) as processes:
        system = start_system(processes)
        way = {"rie": RuntimeInterfaceEmulator, "watch": Watch}[told.way](
            processes, system, told.programs.resolve(), told.tools)
        for step in json.loads((Path(__file__).with_name("answers.json")).read_text()):
            if "await" in step:
                until(lambda: order_is(system, step["await"]), f"order {ORDER} {step['await']}")
                continue
            name = step["call"]
            function = next(one for one in FUNCTIONS
                            if name == one or name.startswith(f"{one}-"))
            answer = parsed(way.call(function, (EVENTS / f"{name}.json").read_text()))
            expected = step["answer"] if told.way == "rie" else without_queue(step["answer"])
            good = is_answered(answer, expected)
            failed += not good
            print(f"  {name:36} {'as expected' if good else f'ANSWERS {answer}'}", flush=True)
    if failed:
        sys.exit(f"{failed} of the answers are not as expected")


if __name__ == "__main__":
    main()
