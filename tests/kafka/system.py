"""A `cargo local` that runs, spoken to as a shop and an operator do."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "target/debug/orderflow-local"
SECONDS = 30


class System:
    def __init__(self, folder, parameters):
        self.folder = folder
        self._log = (folder / "log").open("w")
        command = [PROGRAM, "up", "--api-port", "0", "--aws-port", "0", "--json-ready", "--logs",
                   "--data-dir", folder / "data"]
        for name, value in parameters.items():
            command += ["--parameter", f"{name}={value}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError((folder / "log").read_text())
        self._api = json.loads(line)["api"]
        self._token = self.run("token", "--operator").stdout.strip()

    def end(self):
        self._process.terminate()
        self._process.wait(SECONDS)

    def log(self):
        return (self.folder / "log").read_text()

    def run(self, *arguments, check=True):
        command = [PROGRAM, *arguments, "--data-dir", self.folder / "data"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"{arguments} ends with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def request(self, method, path, body=None, headers=None):
        """Status and body."""
        request = urllib.request.Request(
            self._api + path, method=method, data=body and json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def expect(self, status, *request):
        answered, body = self.request(*request)
        assert answered == status, (request, answered, body)
        return body

    def place(self, key, user):
        order = {"userId": user, "currency": "USD",
                 "items": [{"sku": "tea", "quantity": 1, "unitPrice": 4.5}],
                 "contact": {"email": f"{user}@example.com"}}
        return self.expect(202, "POST", "/orders", order, {"Idempotency-Key": key})["orderId"]

    def confirmed(self, order):
        def look():
            status, body = self.request("GET", f"/orders/{order}")
            return body if status == 200 and body["status"] == "confirmed" else None
        return eventually(f"order {order} is confirmed", look)

    def events(self, order):
        """As they are stored."""
        return self.expect(200, "GET", f"/orders/{order}/events")["events"]

    def letters(self, consumer):
        """What a consumer gave up: in its queue, and taken in."""
        found = json.loads(self.run("dlq", "list", "--json", "--consumer", consumer).stdout)
        return found["queues"][consumer] + found["total"]


def eventually(what, look):
    """Asks until there is something; the pace is that of whoever is asked."""
    until = time.monotonic() + SECONDS
    while not (found := look()):
        if time.monotonic() > until:
            raise TimeoutError(f"not within {SECONDS} s: {what}")
        time.sleep(0.05)
    return found
