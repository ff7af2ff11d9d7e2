"""Deploys template.yaml: CloudFormation, with the SAM transform."""

import copy
import io
import time
import zipfile

from awscli.customizations.cloudformation.yamlhelper import yaml_dump

BUCKET = "artifacts"
DEPLOY_SECONDS = 300


def functions_of(template):
    """The binary of each function, by its logical id."""
    return {
        name: resource["Metadata"]["BuildProperties"]["Binary"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def packaged(template, folder, s3):
    """The template as `sam package` leaves it: every function's zip in S3."""
    s3.create_bucket(Bucket=BUCKET)
    template = copy.deepcopy(template)
    for logical_id, binary in functions_of(template).items():
        key = f"{binary}.zip"
        s3.put_object(Bucket=BUCKET, Key=key, Body=_zip(folder / binary))
        template["Resources"][logical_id]["Properties"]["CodeUri"] = f"s3://{BUCKET}/{key}"
    return template


def _zip(program):
    bootstrap = zipfile.ZipInfo("bootstrap")
    bootstrap.external_attr = 0o755 << 16
    bootstrap.compress_type = zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(bootstrap, program.read_bytes())
    return buffer.getvalue()


def deploy(emulator, template, name, parameters):
    """Creates the stack, waits until it is there, and gives its outputs and resources."""
    # It is too large for a request: 51,200 bytes.
    emulator.client("s3").put_object(Bucket=BUCKET, Key="template.yaml", Body=yaml_dump(template))
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=f"{emulator.url}/{BUCKET}/template.yaml",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + DEPLOY_SECONDS
    while True:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            break
        if status != "CREATE_IN_PROGRESS" or time.monotonic() > deadline:
            raise SystemExit(f"the stack is {status}:\n{_failures(cloudformation, name)}")
        time.sleep(0.2)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
    resources = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        for one in page["StackResourceSummaries"]
    }
    return outputs, resources


def _failures(cloudformation, name):
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(
        f"  {one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}"
        for one in events
        if "FAILED" in one["ResourceStatus"] or "ROLLBACK" in one["ResourceStatus"]
    )
