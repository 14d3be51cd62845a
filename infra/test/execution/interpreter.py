"""The interpreter of state machines that moto 5.2.5 contains, with what is wrong in it put right.

moto ships the interpreter switched off. Five things keep it from running a machine of ours as AWS would; each repair
below says which. A repair leans on moto's inside, so `repair` first compares the source of what it replaces with what
it was written for, and refuses another moto instead of executing something else than it says.
"""

import hashlib
import inspect
import json
import sys

import botocore.session
import jsonata
from moto.core import config
from moto.stepfunctions.parser.api import (
    ExecutionFailedEventDetails,
    HistoryEventType,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_ecs import (
    StateTaskServiceEcs,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

# What is replaced, and the hash of the source that the replacement was written for.
REPLACED = {
    StateTaskService._normalise_parameters: "dece59e76fd5e746",
    StateTaskService._normalise_response: "00e0b0a50b1dd4ba",
    StateTaskServiceCallback._eval_sync: "b8f76de4d5142da1",
    StateTaskServiceEcs._build_sync_resolver: "6c540791a32b16b1",
    DistributedIterationComponent._map_run: "e45cb604929ff346",
    moto_jsonata.eval_jsonata_expression: "696d324549c4e699",
    moto_jsonata.encode_jsonata_variable_declarations: "c33b311faa45e2ff",
}


def source_hash(function):
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


def check():
    """Refuses a moto whose inside is not the known one."""
    for function, expected in REPLACED.items():
        if source_hash(function) != expected:
            raise RuntimeError(f"moto's `{function.__qualname__}` is not the one that the repair was written for")


def repair():
    """Switches the interpreter on, repaired. Call it once, before the first request."""
    check()
    config.default_user_config["stepfunctions"] = {"execute_state_machine": True}
    repair_names()
    repair_jsonata()
    repair_retry_of_sync()
    repair_exit_codes()
    repair_distributed_map()


def repair_names():
    """Arguments of services are written like Cluster and asked for like cluster; moto leaves both as they are."""
    session = botocore.session.get_session()

    def operation(task, service, action):
        model = session.get_service_model(task._get_boto_service_name(service))
        wanted = task._get_boto_service_action(action).replace("_", "")
        name = next(name for name in model.operation_names if name.lower() == wanted)
        return model.operation_model(name)

    def normalise_parameters(self, parameters, boto_service_name=None, service_action_name=None):
        shape = operation(self, boto_service_name, service_action_name).input_shape
        if shape is not None:
            self._to_boto_request(parameters, shape)

    def normalise_response(self, response, boto_service_name=None, service_action_name=None):
        shape = operation(self, boto_service_name, service_action_name).output_shape
        if shape is not None:
            self._from_boto_response(response, shape)

    StateTaskService._normalise_parameters = normalise_parameters
    StateTaskService._normalise_response = normalise_response


def repair_jsonata():
    """There is no evaluator, and variables are pasted into the expression with their quotes and line ends as they are."""

    def evaluate(expression):
        try:
            # Lists of the evaluator are a kind of their own; what leaves it is plain data.
            return json.loads(json.dumps(jsonata.Jsonata(expression).evaluate(None)))
        except jsonata.jexception.JException as error:
            raise moto_jsonata.JSONataException("UNKNOWN", str(error)) from error

    def declare(bindings):
        return "".join(f"{name}:={to_json_str(value)};" for name, value in bindings.items())

    replace_everywhere("eval_jsonata_expression", evaluate)
    replace_everywhere("encode_jsonata_variable_declarations", declare)


def replace_everywhere(name, function):
    """Replaces a function of moto also where it was imported by name."""
    for key, module in list(sys.modules.items()):
        if key.startswith("moto.stepfunctions") and hasattr(module, name):
            setattr(module, name, function)


def repair_retry_of_sync():
    """The second attempt of a .sync task listens to a callback that the first one closed, and believes it timed out."""
    original = StateTaskServiceCallback._eval_sync

    def eval_sync(self, env, sync_resolver, timeout_seconds, callback_endpoint, heartbeat_endpoint):
        if self.resource.condition == ResourceCondition.Sync:
            callback_endpoint = None
        return original(self, env, sync_resolver, timeout_seconds, callback_endpoint, heartbeat_endpoint)

    StateTaskServiceCallback._eval_sync = eval_sync


def failure(env, error, event_type, details):
    """The exception by which a state fails with one of the errors that the language names."""
    event = FailureEvent(env=env, error_name=StatesErrorName(typ=error), event_type=event_type, event_details=details)
    return FailureEventException(event)


def repair_exit_codes():
    """A task whose container ended with anything but 0 has failed; its description is the cause."""
    original = StateTaskServiceEcs._build_sync_resolver

    def build_sync_resolver(self, env, resource_runtime_part, normalised_parameters, state_credentials):
        resolve = original(self, env, resource_runtime_part, normalised_parameters, state_credentials)

        def resolve_and_judge():
            task = resolve()
            if task is None or all(container.get("ExitCode") == 0 for container in task["Containers"]):
                return task
            failed = StatesErrorNameType.StatesTaskFailed
            details = TaskFailedEventDetails(
                error=failed.to_name(),
                cause=to_json_str(task),
                resource=self._get_sfn_resource(),
                resourceType=self._get_sfn_resource_type(),
            )
            raise failure(env, failed, HistoryEventType.TaskFailed, EventDetails(taskFailedEventDetails=details))

        return resolve_and_judge

    StateTaskServiceEcs._build_sync_resolver = build_sync_resolver


def repair_distributed_map():
    """A distributed map takes any number of failed children for a success; it tolerates none unless told to."""
    original = DistributedIterationComponent._map_run

    def map_run(self, env, eval_input):
        original(self, env, eval_input)
        items = eval_input.map_run_record.item_counter
        failed = items.failed.get() + items.timed_out.get() + items.aborted.get()
        if failed > eval_input.tolerated_failure_count:
            exceeded = StatesErrorNameType.StatesExceedToleratedFailureThreshold
            details = ExecutionFailedEventDetails(error=exceeded.to_name(), cause=f"{failed} items failed")
            raise failure(env, exceeded, HistoryEventType.MapRunFailed, EventDetails(executionFailedEventDetails=details))

    DistributedIterationComponent._map_run = map_run
