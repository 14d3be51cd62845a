//! The events of an execution, read as the stages of a run.

use serde::Serialize;
use serde_json::Value;

/// How a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    Running,
    Done,
    /// It is done and has findings: its container ended with exit code 1.
    Findings,
    Failed,
}

/// A state of the state machine that does work: a task, or the map of the shards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    pub state: String,
    pub status: StageStatus,
    /// How often its task was started; 0 for the map, whose shards count for themselves.
    pub attempts: u32,
    /// From when it was entered to when it was left, or to the last that was heard of it.
    pub seconds: f64,
    /// Why its last attempt failed.
    pub cause: Option<String>,
    #[serde(skip)]
    entered_at: f64,
}

/// What the events of an execution tell.
#[derive(Debug, Default, PartialEq)]
pub struct History {
    pub stages: Vec<Stage>,
    /// The ARN of the map of the shards, when it has begun.
    pub map_run: Option<String>,
}

impl History {
    /// Reads events, oldest first.
    pub fn read(events: &[Value]) -> History {
        let mut history = History::default();
        for event in events {
            history.add(event);
        }
        history
    }

    fn add(&mut self, event: &Value) {
        let kind = event["type"].as_str().unwrap_or_default();
        let at = seconds(&event["timestamp"]).unwrap_or_default();
        if ["TaskStateEntered", "MapStateEntered"].contains(&kind) {
            let state = event["stateEnteredEventDetails"]["name"].as_str().unwrap_or_default().to_owned();
            let running = StageStatus::Running;
            self.stages.push(Stage { state, status: running, attempts: 0, seconds: 0.0, cause: None, entered_at: at });
            return;
        }
        let Some(stage) = self.stages.last_mut().filter(|stage| stage.status == StageStatus::Running) else { return };
        stage.seconds = at - stage.entered_at;
        match kind {
            "TaskScheduled" => {
                stage.attempts += 1;
                stage.cause = None;
            }
            "MapRunStarted" => {
                self.map_run = event["mapRunStartedEventDetails"]["mapRunArn"].as_str().map(str::to_owned);
            }
            "TaskStateExited" | "MapStateExited" | "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted" => {
                stage.status = match &stage.cause {
                    Some(cause) if ended_with(cause) == Some(1) => StageStatus::Findings,
                    None if kind.ends_with("StateExited") => StageStatus::Done,
                    _ => StageStatus::Failed,
                };
                stage.cause = stage.cause.as_deref().map(told);
            }
            _ => {
                if let Some(cause) = failure(kind, event) {
                    stage.cause = Some(cause);
                }
            }
        }
    }
}

/// The error and the cause of an event that tells of a failure.
fn failure(kind: &str, event: &Value) -> Option<String> {
    let failed = ["TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "MapRunFailed", "MapRunAborted"];
    if !failed.contains(&kind) {
        return None;
    }
    let details = event.as_object()?.iter().find(|(key, _)| key.ends_with("EventDetails")).map(|(_, details)| details);
    let text = |key: &str| details.and_then(|details| details[key].as_str()).unwrap_or_default();
    Some(match (text("error"), text("cause")) {
        ("", "") => kind.to_owned(),
        (error, "") => error.to_owned(),
        ("States.TaskFailed", cause) => cause.to_owned(),
        (error, cause) => format!("{error}: {cause}"),
    })
}

/// The exit code of the container that a cause describes.
fn ended_with(cause: &str) -> Option<i64> {
    container(cause)?["ExitCode"].as_i64()
}

fn container(cause: &str) -> Option<Value> {
    let mut task: Value = serde_json::from_str(cause).ok()?;
    Some(task["Containers"].get_mut(0)?.take())
}

/// A cause for people: how the container ended, where a task is described; otherwise what was said.
pub fn told(cause: &str) -> String {
    let Some(container) = container(cause) else { return cause.to_owned() };
    let text = |key: &str| container[key].as_str().map(str::to_owned);
    let name = text("Name").unwrap_or_default();
    let ended = match container["ExitCode"].as_i64() {
        Some(code) => format!("container `{name}` ended with exit code {code}"),
        None => format!("container `{name}` did not start"),
    };
    let task: Value = serde_json::from_str(cause).unwrap_or_default();
    let reason = text("Reason").or_else(|| task["StoppedReason"].as_str().map(str::to_owned));
    reason.map_or(ended.clone(), |reason| format!("{ended}: {reason}"))
}

/// A moment in seconds since 1970: a number, as Step Functions writes it.
pub fn seconds(moment: &Value) -> Option<f64> {
    moment.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entered(at: f64, state: &str) -> Value {
        json!({ "type": "TaskStateEntered", "timestamp": at, "stateEnteredEventDetails": { "name": state } })
    }

    fn event(at: f64, kind: &str) -> Value {
        json!({ "type": kind, "timestamp": at })
    }

    fn failed(at: f64, exit_code: i64) -> Value {
        let cause = json!({ "Containers": [{ "Name": "etl", "ExitCode": exit_code }], "StoppedReason": "it ended" });
        let details = json!({ "error": "States.TaskFailed", "cause": cause.to_string() });
        json!({ "type": "TaskFailed", "timestamp": at, "taskFailedEventDetails": details })
    }

    fn summary(events: &[Value]) -> String {
        let told = |stage: &Stage| {
            let cause = stage.cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"));
            format!("{} {:?} {} {}{cause}", stage.state, stage.status, stage.attempts, stage.seconds)
        };
        History::read(events).stages.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_task_that_is_tried_again_is_one_stage() {
        let events = [
            event(0.0, "ExecutionStarted"),
            event(0.0, "PassStateEntered"),
            entered(1.0, "MapResources"),
            event(1.5, "TaskScheduled"),
            failed(4.0, 137),
            event(5.0, "TaskScheduled"),
        ];
        assert_eq!(
            summary(&events[..5]),
            "MapResources Running 1 3 ({\"Containers\":[{\"Name\":\"etl\",\"ExitCode\":137}],\"StoppedReason\":\"it ended\"})"
        );
        assert_eq!(summary(&events), "MapResources Running 2 4");
        let done =
            [&events[..], &[event(9.0, "TaskSucceeded"), event(9.0, "TaskStateExited"), entered(9.0, "BuildModels")]]
                .concat();
        assert_eq!(summary(&done), "MapResources Done 2 8\nBuildModels Running 0 0");
    }

    #[test]
    fn exit_code_1_is_findings_and_any_other_a_failure() {
        let ended = |code| {
            [entered(1.0, "Validate"), event(1.0, "TaskScheduled"), failed(2.0, code), event(2.0, "TaskStateExited")]
        };
        assert_eq!(summary(&ended(1)), "Validate Findings 1 1 (container `etl` ended with exit code 1: it ended)");
        assert_eq!(summary(&ended(137)), "Validate Failed 1 1 (container `etl` ended with exit code 137: it ended)");
        let aborted = [entered(1.0, "Validate"), event(3.0, "ExecutionAborted")];
        assert_eq!(summary(&aborted), "Validate Failed 0 2");
    }

    #[test]
    fn the_map_tells_its_run_and_its_error() {
        let events = [
            json!({ "type": "MapStateEntered", "timestamp": 1, "stateEnteredEventDetails": { "name": "GenerateShards" } }),
            json!({ "type": "MapRunStarted", "timestamp": 1, "mapRunStartedEventDetails": { "mapRunArn": "arn:map" } }),
            json!({ "type": "MapRunFailed", "timestamp": 2,
                    "mapRunFailedEventDetails": { "error": "States.ExceedToleratedFailureThreshold", "cause": "1 items" } }),
            event(2.0, "MapStateExited"),
        ];
        let history = History::read(&events);
        assert_eq!(history.map_run.as_deref(), Some("arn:map"));
        assert_eq!(summary(&events), "GenerateShards Failed 0 1 (States.ExceedToleratedFailureThreshold: 1 items)");
    }

    #[test]
    fn a_container_that_did_not_start_says_why() {
        let cause = r#"{"Containers":[{"Name":"sql","Reason":"CannotPullContainerError"}]}"#;
        assert_eq!(told(cause), "container `sql` did not start: CannotPullContainerError");
        assert_eq!(told("words"), "words");
    }
}
