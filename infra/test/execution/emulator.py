"""One account of AWS on this machine: Step Functions, S3 and SNS by moto, and tasks of ECS as processes of the program.

A task is what the synthesized template says: its container's environment, the volumes it mounts, and the command that
the execution gives it. Mounting is done by name: a path below a mount point becomes one below a folder here. What
stands in for the lake in S3 is given by the caller, as variables that take the place of the container's.
"""

import json
import logging
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import boto3
import werkzeug.serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request, Response

import interpreter

# One line per request, and a page for each error that a state machine catches.
logging.getLogger("werkzeug").setLevel(logging.WARNING)
logging.getLogger("moto").setLevel(logging.CRITICAL)

ECS = "AmazonEC2ContainerServiceV20141113."
REGION = "us-east-1"
ACCOUNT = "123456789012"


class Template:
    """A synthesized template, as far as an execution needs it."""

    def __init__(self, path):
        self.resources = json.loads(Path(path).read_text())["Resources"]

    def one(self, kind):
        found = [resource["Properties"] for resource in self.resources.values() if resource["Type"] == kind]
        assert len(found) == 1, f"{len(found)} resources are of type {kind}"
        return found[0]

    def state_machine(self):
        """The definition, and the logical ids or values that its substitutions stand for."""
        machine = self.one("AWS::StepFunctions::StateMachine")
        return machine["DefinitionString"], machine["DefinitionSubstitutions"]

    def task_definition(self, logical_id):
        return self.resources[logical_id]["Properties"]


class Task:
    """One run of a container."""

    def __init__(self, arn, name, command, environment):
        self.arn, self.name, self.command, self.environment = arn, name, command, environment
        self.exit_code = None

    def describe(self, cluster):
        stopped = self.exit_code is not None
        container = {"name": self.name, "lastStatus": "STOPPED" if stopped else "RUNNING"}
        if stopped:
            container["exitCode"] = self.exit_code
        return {
            "taskArn": self.arn,
            "clusterArn": cluster,
            "lastStatus": container["lastStatus"],
            "containers": [container],
            **({"stopCode": "EssentialContainerExited"} if stopped else {}),
        }


class Emulator:
    """The account. `folder` takes the logs and, below `mount`, what containers mount; `program` is healthlake."""

    def __init__(self, folder, program, template, environment):
        self.folder, self.program, self.template = Path(folder), program, template
        self.environment = environment
        self.tasks = []
        self.kills = []
        self.lock = threading.Lock()
        self.server = None

    def __enter__(self):
        application = DomainDispatcherApplication(create_backend_app)
        self.server = werkzeug.serving.make_server("127.0.0.1", 0, self.dispatch(application), threaded=True)
        os.environ["MOTO_PORT"] = str(self.server.server_port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client("s3").create_bucket(Bucket="lake")
        self.topic = self.client("sns").create_topic(Name="runs")["TopicArn"]
        self.machine = self.make_state_machine()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def kill(self, name, word, times):
        """Kills the next so many tasks of that name with that word in their command, as the kernel would."""
        self.kills.append([name, word, times])

    def make_state_machine(self):
        text, substitutions = self.template.state_machine()
        values = {"Cluster": "cluster", "Bucket": "lake", "Topic": self.topic, "Subnets": "subnet-1,subnet-2"}
        for name, value in substitutions.items():
            # A task definition is referred to by its logical id; the rest of the network does not exist here.
            value = values.get(name) or (value["Ref"] if name.startswith("Task_") else name)
            text = text.replace("${%s}" % name, value)
        assert "${" not in text, "a substitution is missing"
        definition = json.loads(text, object_hook=shorten_waits)
        role = f"arn:aws:iam::{ACCOUNT}:role/states"
        made = self.client("stepfunctions").create_state_machine(
            name=f"healthlake-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=role
        )
        return made["stateMachineArn"]

    def start(self, name, **given):
        """Starts an execution and returns its arn."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=name, input=json.dumps(given)
        )
        return started["executionArn"]

    def run(self, name, timeout_seconds=300, **given):
        """Runs an execution to its end and returns its description."""
        arn, client = self.start(name, **given), self.client("stepfunctions")
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            execution = client.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return execution
            time.sleep(0.2)
        raise TimeoutError(f"execution {name} still runs after {timeout_seconds} s")

    def record_of(self, run_id):
        body = self.client("s3").get_object(Bucket="lake", Key=f"runs/{run_id}.json")["Body"]
        return json.loads(body.read())

    def dispatch(self, application):
        def handle(environ, start_response):
            target = environ.get("HTTP_X_AMZ_TARGET", "")
            if not target.startswith(ECS):
                return application(environ, start_response)
            asked = json.loads(Request(environ).get_data())
            answer = {"RunTask": self.run_task, "DescribeTasks": self.describe_tasks, "StopTask": self.stop_task}
            body = answer[target.removeprefix(ECS)](asked)
            return Response(json.dumps(body), content_type="application/x-amz-json-1.1")(environ, start_response)

        return handle

    def run_task(self, asked):
        definition = self.template.task_definition(asked["taskDefinition"])
        (container,) = definition["ContainerDefinitions"]
        (override,) = asked["overrides"]["containerOverrides"]
        assert override["name"] == container["Name"], f"there is no container `{override['name']}` in {definition['Family']}"
        network = asked["networkConfiguration"]["awsvpcConfiguration"]
        assert network["subnets"] == ["subnet-1", "subnet-2"] and network["assignPublicIp"] == "DISABLED", network
        environment = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
        environment.update({variable["name"]: variable["value"] for variable in override.get("environment", [])})
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{asked['cluster']}/{uuid.uuid4().hex}"
        task = Task(arn, container["Name"], override["command"], environment)
        with self.lock:
            self.tasks.append(task)
            number = len(self.tasks)
        mounts = [point["ContainerPath"] for point in container["MountPoints"] if point["SourceVolume"] != "scratch"]
        threading.Thread(target=self.execute, args=(task, mounts, number), daemon=True).start()
        return {"tasks": [task.describe(asked["cluster"])], "failures": []}

    def execute(self, task, mounts, number):
        command = [str(self.program)] + [self.mounted(word, mounts) for word in task.command]
        environment = {"PATH": os.environ["PATH"], **task.environment, **self.environment}
        (self.folder / "log").mkdir(parents=True, exist_ok=True)
        with open(self.folder / "log" / f"{number:03}-{task.name}.log", "wb") as log:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if self.is_to_be_killed(task):
                process.send_signal(signal.SIGKILL)
            code = process.wait()
        # A container that a signal ended reports 128 and the signal.
        task.exit_code = code if code >= 0 else 128 - code

    def is_to_be_killed(self, task):
        with self.lock:
            for kill in self.kills:
                name, word, times = kill
                if task.name == name and word in task.command and times > 0:
                    kill[2] -= 1
                    return True
        return False

    def mounted(self, word, mounts):
        for mount in mounts:
            if word == mount or word.startswith(mount + "/"):
                return str(self.folder / "mount") + word
        return word

    def describe_tasks(self, asked):
        tasks = [task for task in self.tasks if task.arn in asked["tasks"]]
        return {"tasks": [task.describe(asked["cluster"]) for task in tasks], "failures": []}

    def stop_task(self, asked):
        (task,) = [task for task in self.tasks if task.arn == asked["task"]]
        return {"task": task.describe(asked["cluster"])}


def shorten_waits(state):
    """Keeps every retry, without its minutes of waiting."""
    if "IntervalSeconds" in state:
        state = {**state, "IntervalSeconds": 1, "BackoffRate": 1.0}
        state.pop("MaxDelaySeconds", None)
    return state
