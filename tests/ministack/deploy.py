"""Deploys template.yaml to MiniStack, an implementation of AWS that is not ours, and orders there.

Says at its end what MiniStack could not do. Exit code 0: everything that it can do came out as
events/demo expects."""

import argparse
import json
import sys
import time
from pathlib import Path

from awscli.customizations.cloudformation.yamlhelper import yaml_parse

import limits
import routes
from emulator import MiniStack
from issuer import Issuer
from samples import ENDS_SECONDS, Mismatch, Shop, notifications
from stack import deploy, functions_of, packaged

ROOT = Path(__file__).parents[2]
STACK = "orderflow"
AUDIENCE = "orderflow"
TOLD_OF = {"OrderPlaced", "PaymentProcessed", "InventoryRejected", "PaymentFailed",
           "OrderCancelled", "PaymentRefunded"}


def say(line):
    print(line, flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release",
                        help="folder of the built functions (default: target/release)")
    parser.add_argument("--ministack", default=str(Path(sys.executable).with_name("ministack")),
                        help="program of `pip install ministack`")
    return parser.parse_args()


def main():
    told = arguments()
    template, left_out = limits.within(yaml_parse((ROOT / "template.yaml").read_text()))
    missing = [name for name in functions_of(template).values()
               if not (told.programs / name).is_file()]
    if missing:
        raise SystemExit(f"not in {told.programs}: {', '.join(missing)}; "
                         "build with `cargo build --release` first")
    with MiniStack(told.ministack) as emulator, Issuer() as issuer:
        try:
            failed = run(emulator, issuer, template, told.programs)
        except (Mismatch, SystemExit):
            say(emulator.tail())
            raise
    say("")
    say(limits.NOT_DONE.format(alarms=", ".join(left_out)))
    if failed:
        raise SystemExit(f"\n{len(failed)} of the checks failed: {', '.join(failed)}")


def run(emulator, issuer, template, programs):
    """Deploys and orders; gives the names of what failed."""
    started = time.monotonic()
    parameters = {"Architecture": "x86_64", "JwtIssuer": issuer.url, "JwtAudience": AUDIENCE}
    template = packaged(template, programs, emulator.client("s3"))
    outputs, resources = deploy(emulator, template, STACK, parameters)
    body = routes.document(template, "OrdersApi")
    keys = routes.create(emulator.client("apigatewayv2"), resources["OrdersApi"], body, resources,
                         parameters)
    say(f"deployed {len(resources)} resources and {len(keys)} routes by CloudFormation in "
        f"{time.monotonic() - started:.1f} s")
    operator = issuer.token("ada", AUDIENCE, "orders:operate", "inventory:write")
    shop = Shop(emulator, resources["OrdersApi"], outputs["EventBus"], operator)
    checks = [(path.stem, lambda path=path: sample(shop, path))
              for path in sorted((ROOT / "events/demo").glob("*.json"))]
    checks.append(("who may do what", lambda: guarded(shop, issuer)))
    checks.append(("notified once", lambda: notified(emulator, outputs["EventStoreTable"])))
    checks.append(("personal data erased", lambda: erased(shop, emulator, outputs)))
    checks.append(("queues empty", lambda: queues_empty(emulator)))
    return [name for name, check in checks if not passes(name, check)]


def passes(name, check):
    begun = time.monotonic()
    try:
        found = check()
    except Mismatch as mismatch:
        say(f"  {name:36} FAILED: {mismatch}")
        return False
    say(f"  {name:36} {found} ({time.monotonic() - begun:.1f} s)")
    return True


def sample(shop, path):
    told = json.loads(path.read_text())
    shop.play(told)
    return told["expect"]["status"]


def guarded(shop, issuer):
    """Without a valid token nothing is answered, and customers see their own orders only."""
    token = lambda subject, *scopes, **told: issuer.token(subject, AUDIENCE, *scopes, **told)
    asked = [
        (401, "/users/abc123/orders", "no.valid.token"),
        (401, "/users/abc123/orders", token("abc123", "orders:read", expires_in=-60)),
        (401, "/users/abc123/orders", issuer.token("abc123", "somebody-else", "orders:read")),
        (403, "/users/abc123/orders", token("abc123", "orders:write")),
        (403, "/users/abc123/orders", token("mallory", "orders:read")),
        (200, "/users/abc123/orders", token("abc123", "orders:read")),
    ]
    for wanted, path, one in asked:
        status, answer = shop.send("GET", path, token=one)
        if status != wanted:
            raise Mismatch(f"GET {path} answers {status}, not {wanted}: {json.dumps(answer)}")
    return f"{len(asked)} requests"


def notified(emulator, table):
    """Every event that customers hear of was told of exactly once."""
    dynamodb = emulator.client("dynamodb")
    deadline = time.monotonic() + ENDS_SECONDS
    while True:
        wanted = {item["eventId"]["S"]
                  for page in dynamodb.get_paginator("scan").paginate(TableName=table)
                  for item in page["Items"] if item["eventType"]["S"] in TOLD_OF}
        told = notifications(dynamodb, table)
        if set(told) == wanted or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    twice = [cause for cause, times in told.items() if times > 1]
    if set(told) != wanted or twice:
        raise Mismatch(f"{len(told)} of {len(wanted)} told of, {len(twice)} more than once")
    return f"{len(told)} of {len(wanted)} events"


def erased(shop, emulator, outputs):
    """A customer's address is sealed in the event store, and its key is gone after an erasure."""
    ordered = json.loads((ROOT / "events/demo/01-paid.json").read_text())["request"]
    user, address = ordered["userId"], ordered["contact"]["email"]
    dynamodb = emulator.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName=outputs["EventStoreTable"])
    stored = json.dumps([page["Items"] for page in pages])
    if address in stored or "sealedContact" not in stored:
        raise Mismatch("an address is stored in plain")

    def has_key():
        item = dynamodb.get_item(TableName=outputs["SubjectKeysTable"],
                                 Key={"userId": {"S": user}}).get("Item", {})
        return "wrappedKey" in item

    before = has_key()
    answers = [shop.send("DELETE", f"/users/{user}/data") for _ in range(2)]
    if not before or has_key() or answers[0] != answers[1] or answers[0][0] != 200:
        raise Mismatch(f"key before: {before}, after: {has_key()}, answers: {answers}")
    return "its key is destroyed"


def queues_empty(emulator):
    sqs = emulator.client("sqs")
    urls = sqs.list_queues().get("QueueUrls", [])
    for url in urls:
        attributes = sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        if attributes["ApproximateNumberOfMessages"] != "0":
            raise Mismatch(f"{url.rsplit('/', 1)[-1]} has messages")
    return f"{len(urls)} dead-letter queues"


if __name__ == "__main__":
    main()
