use serde_json::{Value, json};

use crate::healthlake::{Ended, Healthlake};
use crate::server::{Asked, Server};

const MACHINE: &str = "arn:aws:states:eu-west-1:123456789012:stateMachine:healthlake";

/// Calls the program with a server in the place of AWS.
fn call(server: &Server, run_id: &str, arguments: &[&str]) -> Ended {
    let place = Healthlake::new();
    let mut command = place.command(run_id, arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    command.envs([("HEALTHLAKE_AWS_ENDPOINT", server.uri.as_str()), ("HEALTHLAKE_PIPELINE_STATE_MACHINE", MACHINE)]);
    Ended::from(command.output().unwrap())
}

fn fault(kind: &str, message: &str) -> (u16, Value) {
    (400, json!({ "__type": format!("com.amazonaws.states#{kind}"), "message": message }))
}

fn entered(state: &str, kind: &str) -> Value {
    json!({ "type": format!("{kind}StateEntered"), "timestamp": 1.0, "stateEnteredEventDetails": { "name": state } })
}

#[test]
fn a_run_is_started_under_its_run_id_though_the_service_is_busy() {
    let server = Server::start(|number, _| match number {
        0 => fault("ThrottlingException", "Rate exceeded"),
        1 => (503, Value::Null),
        _ => (200, json!({ "executionArn": "arn:first", "startDate": 1.0 })),
    });
    let ended = call(&server, "first", &["pipeline", "start", "--patients", "40", "--shards", "4"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "run first has started: arn:first\n"), "{}", ended.stderr);
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    let Asked { line, .. } = &asked[2];
    assert_eq!((line.as_str(), asked[2].action()), ("POST /", "StartExecution"));
    assert_eq!(asked[2].header("x-amz-target"), Some("AWSStepFunctions.StartExecution"));
    assert_eq!(asked[2].header("content-type"), Some("application/x-amz-json-1.0"));
    let signature = asked[2].header("authorization").unwrap();
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=id/"), "{signature}");
    assert!(signature.contains("/eu-west-1/states/aws4_request"), "{signature}");
    let expected = json!({ "stateMachineArn": MACHINE, "name": "first", "input": "{\"patients\":40,\"shards\":4}" });
    assert_eq!(asked[2].json(), expected);
}

#[test]
fn a_run_that_cannot_be_started_says_why() {
    let server = Server::start(|_, _| fault("ExecutionAlreadyExists", "Execution Already Exists"));
    let ended = call(&server, "first", &["pipeline", "start"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("run `first` was started before\nhint: `healthlake pipeline status first`"),
        "{}",
        ended.stderr
    );

    let server =
        Server::start(|_, _| fault("AccessDeniedException", "not authorized to perform: states:StartExecution"));
    let ended = call(&server, "first", &["pipeline", "start"]);
    assert_eq!(ended.code, 2);
    let why = "answered AccessDeniedException to `StartExecution`: not authorized to perform: states:StartExecution";
    assert!(ended.stderr.contains("run `first` cannot be started") && ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(server.asked().len(), 1);

    let ended = call(&server, "first", &["pipeline", "start", "--patients", "0"]);
    assert!(ended.stderr.contains("wrong input: patients, expected a whole number"), "{}", ended.stderr);
    assert_eq!((ended.code, server.asked().len()), (2, 1));
}

/// A run of which one shard failed; its history comes in two pages.
fn lost_shard(_: usize, asked: &Asked) -> (u16, Value) {
    let given = asked.json();
    let described = |arn: &str, shard: &str| {
        let cause = json!({ "Containers": [{ "Name": "generate", "ExitCode": 137 }] }).to_string();
        let input = json!({ "shard": shard, "run_id": "lost" }).to_string();
        json!({ "executionArn": arn, "input": input, "status": "FAILED", "error": "States.TaskFailed", "cause": cause })
    };
    let answer = match (asked.action(), given["executionArn"].as_str(), given["nextToken"].as_str()) {
        ("DescribeExecution", Some("arn:child"), _) => described("arn:child", "2/4"),
        ("DescribeExecution", ..) => {
            assert_eq!(given["executionArn"], MACHINE.replace("stateMachine", "execution") + ":lost");
            json!({ "status": "FAILED", "startDate": 0.5, "stopDate": 60.0, "cause": "generate: 1 items failed" })
        }
        ("GetExecutionHistory", _, None) => {
            json!({ "events": [entered("GenerateShards", "Map")], "nextToken": "more" })
        }
        ("GetExecutionHistory", _, Some("more")) => json!({ "events": [
            { "type": "MapRunStarted", "timestamp": 2, "mapRunStartedEventDetails": { "mapRunArn": "arn:map" } },
            { "type": "MapRunFailed", "timestamp": 9, "mapRunFailedEventDetails": { "error": "States.ExceedToleratedFailureThreshold" } },
            { "type": "MapStateExited", "timestamp": 9 },
        ] }),
        ("DescribeMapRun", ..) => json!({ "itemCounts": { "total": 4, "succeeded": 3, "failed": 1, "timedOut": 0 } }),
        ("ListExecutions", ..) => {
            assert_eq!((&given["mapRunArn"], &given["statusFilter"]), (&json!("arn:map"), &json!("FAILED")));
            json!({ "executions": [{ "executionArn": "arn:child" }] })
        }
        other => panic!("{other:?}"),
    };
    (200, answer)
}

#[test]
fn a_failed_run_names_the_shard_and_the_cause() {
    let server = Server::start(lost_shard);
    let ended = call(&server, "any", &["pipeline", "status", "lost"]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.stdout,
        "run lost: FAILED\n  \
           stage           status  attempts  seconds\n  \
           GenerateShards  FAILED                  8\n\
         shards: 3 of 4 done, 0 running, 1 failed\n\
         failed: shard 2/4: container `generate` ended with exit code 137\n\
         failed: GenerateShards: States.ExceedToleratedFailureThreshold\n"
    );
    assert_eq!(ended.stderr, "error: run `lost` ended as FAILED: generate: 1 items failed\n");

    let ended = call(&server, "any", &["pipeline", "status", "lost", "--format", "json"]);
    let status: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &status["status"], &status["ended_at"]),
        (2, &json!("FAILED"), &json!("1970-01-01T00:01:00Z"))
    );
    assert_eq!(status["shards"]["failures"][0]["shard"], "2/4");
    assert_eq!(status["stages"][0]["state"], "GenerateShards");
}

#[test]
fn a_run_is_followed_to_its_end_and_ends_with_its_findings() {
    let server = Server::start(|number, asked| {
        let answer = match (asked.action(), number) {
            ("StartExecution", _) => json!({ "executionArn": "arn:first" }),
            ("DescribeExecution", 0..5) => json!({ "status": "RUNNING" }),
            ("DescribeExecution", _) => json!({ "status": "SUCCEEDED", "output": "{\"status\":\"findings\"}" }),
            ("GetExecutionHistory", 0..5) => json!({ "events": [entered("MapResources", "Task")] }),
            _ => {
                json!({ "events": [entered("MapResources", "Task"), { "type": "TaskStateExited", "timestamp": 3.0 }] })
            }
        };
        (200, answer)
    });
    let ended = call(&server, "first", &["pipeline", "start", "--wait"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stdout.starts_with("run first: SUCCEEDED, with findings\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("MapResources    done"), "{}", ended.stdout);
    assert!(server.asked().len() >= 7, "{}", server.asked().len());
}

#[test]
fn a_run_that_is_not_there_is_said_to_be_not_there() {
    let server = Server::start(|_, _| fault("ExecutionDoesNotExist", "Execution Does Not Exist"));
    let ended = call(&server, "any", &["pipeline", "status", "nobody"]);
    assert_eq!(ended.code, 2);
    assert_eq!(ended.stderr, format!("error: state machine `{MACHINE}` has no run `nobody`\n"));
}
