"""MiniStack, as a process of its own on a port of its own."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "us-east-1"
START_SECONDS = 60


def free_port():
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class MiniStack:
    """A running MiniStack; ends with its `with`."""

    def __init__(self, program):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="ministack-")
        self.log = Path(self._folder.name) / "ministack.log"
        self._process = None

    def __enter__(self):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self._folder.name,
            "TMPDIR": self._folder.name,
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            # What functions call.
            "AWS_ENDPOINT_URL": self.url,
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.5",
        }
        self._process = subprocess.Popen(
            [self._program], env=environment, stdout=self.log.open("wb"), stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise SystemExit(f"MiniStack does not start:\n{self.tail()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _healthy(self):
        try:
            urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def tail(self, lines=40):
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def client(self, service):
        """A client of one of its services."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def request(self, api_id, method, path, body=None, headers=None):
        """Sends a request to a deployed HTTP API: status and body."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Host": f"{api_id}.execute-api.localhost:{self.port}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            return answer.code, json.loads(answer.read() or b"null")
