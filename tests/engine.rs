use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::healthlake::{Ended, Healthlake};
use crate::server::{Asked, Server};

/// A call of the program with a server in the place of Athena and of Trino.
fn command(place: &Healthlake, server: &Server, arguments: &[&str]) -> Command {
    let mut command = place.command("first", arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-west-1")]);
    command.envs([("HEALTHLAKE_AWS_ENDPOINT", &server.uri), ("HEALTHLAKE_TRINO_URI", &server.uri)]);
    command.env("HEALTHLAKE_ATHENA_OUTPUT", "s3://results/here/");
    command
}

fn call(server: &Server, arguments: &[&str]) -> Ended {
    let place = Healthlake::new();
    Ended::from(command(&place, server, arguments).output().unwrap())
}

fn query(server: &Server, engine: &str, more: &[&str]) -> Ended {
    call(server, &[&["query", "--engine", engine, "select 1;"], more].concat())
}

fn row(cells: &[&str]) -> Value {
    // Athena leaves the value of a null out.
    let cell = |cell: &&str| if *cell == "null" { json!({}) } else { json!({ "VarCharValue": cell }) };
    json!({ "Data": cells.iter().map(cell).collect::<Vec<_>>() })
}

/// Two pages of rows, after two looks at a query that is under way.
fn athena(number: usize, asked: &Asked) -> (u16, Value) {
    let given = asked.json();
    let columns = json!([
        { "Name": "id", "Type": "bigint" },
        { "Name": "share", "Type": "decimal", "Precision": 5, "Scale": 2 },
        { "Name": "day", "Type": "date" },
        { "Name": "word", "Type": "varchar" },
    ]);
    let answer = match (asked.action(), given["NextToken"].as_str()) {
        ("StartQueryExecution", _) => json!({ "QueryExecutionId": "q-1" }),
        ("GetQueryExecution", _) => {
            let state = ["QUEUED", "RUNNING", "SUCCEEDED"][(number - 1).min(2)];
            json!({ "QueryExecution": { "StatementType": "DML", "Status": { "State": state } } })
        }
        ("GetQueryResults", None) => json!({ "NextToken": "more", "ResultSet": {
            "Rows": [row(&["id", "share", "day", "word"]), row(&["1", "12.50", "2024-02-29", "a, b"])],
            "ResultSetMetadata": { "ColumnInfo": columns },
        } }),
        ("GetQueryResults", Some("more")) => json!({ "ResultSet": {
            "Rows": [row(&["2", "null", "null", "null"])],
            "ResultSetMetadata": { "ColumnInfo": columns },
        } }),
        other => panic!("{other:?}"),
    };
    (200, answer)
}

#[test]
fn athena_answers_as_the_own_engine_does() {
    let server = Server::start(athena);
    let ended = query(&server, "athena", &["--format", "csv"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "id,share,day,word\n1,12.50,2024-02-29,\"a, b\"\n2,,,\n"),
        "{}",
        ended.stderr
    );
    let asked = server.asked();
    let started = asked[0].json();
    assert_eq!(asked[0].header("x-amz-target"), Some("AmazonAthena.StartQueryExecution"));
    assert_eq!(asked[0].header("content-type"), Some("application/x-amz-json-1.1"));
    assert!(asked[0].header("authorization").unwrap().contains("/eu-west-1/athena/aws4_request"));
    assert_eq!((&started["QueryString"], &started["WorkGroup"]), (&json!("select 1"), &json!("healthlake")));
    assert_eq!(started["QueryExecutionContext"]["Catalog"], "AwsDataCatalog");
    assert_eq!(started["ResultConfiguration"]["OutputLocation"], "s3://results/here/");
    assert!((32..=128).contains(&started["ClientRequestToken"].as_str().unwrap().len()));

    let json = query(&Server::start(athena), "athena", &["--format", "json"]).stdout;
    let rows: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&rows[0]["id"], &rows[0]["day"], rows.as_array().unwrap().len()), (&json!(1), &json!("2024-02-29"), 2));
    let table = query(&Server::start(athena), "athena", &[]).stdout;
    assert!(table.contains("| id | share | day        | word |\n") && table.ends_with("2 rows\n"), "{table}");
}

#[test]
fn a_query_that_athena_fails_names_its_id_and_the_reason() {
    let server = Server::start(|number, _| {
        let status =
            json!({ "State": "FAILED", "StateChangeReason": "SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved" });
        match number {
            0 => (200, json!({ "QueryExecutionId": "q-2" })),
            _ => (200, json!({ "QueryExecution": { "Status": status } })),
        }
    });
    let ended = query(&server, "athena", &[]);
    assert_eq!(ended.code, 2);
    let expected = "Athena query `q-2` failed: SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);

    let server = Server::start(|_, _| {
        (400, json!({ "__type": "InvalidRequestException", "Message": "WorkGroup is not found" }))
    });
    let ended = query(&server, "athena", &[]);
    assert!(
        ended.stderr.contains("answered InvalidRequestException to `StartQueryExecution`: WorkGroup is not found"),
        "{}",
        ended.stderr
    );
    let ended = query(&server, "athena", &["--as-of", "first"]);
    assert!(ended.stderr.contains("hint: write `for version as of <snapshot id>`"), "{}", ended.stderr);
}

/// Three answers, the second of which the server is at first too busy to give.
fn trino(number: usize, asked: &Asked) -> (u16, Value) {
    let host = asked.header("host").unwrap();
    let next = |step: usize| format!("http://{host}/v1/statement/executing/q-3/{step}");
    let columns = json!([{ "name": "id", "type": "bigint" }, { "name": "at", "type": "timestamp(6)" }, { "name": "x", "type": "double" }]);
    match (number, asked.line.as_str()) {
        (0, "POST /v1/statement") => (200, json!({ "id": "q-3", "nextUri": next(1), "stats": { "state": "QUEUED" } })),
        (1, "GET /v1/statement/executing/q-3/1") => (503, Value::Null),
        (2, "GET /v1/statement/executing/q-3/1") => (
            200,
            json!({ "id": "q-3", "nextUri": next(2), "columns": columns, "data": [[1, "2024-02-29 12:00:00.123456", 0.5]] }),
        ),
        (3, _) => (200, json!({ "id": "q-3", "columns": columns, "data": [[9007199254740993_i64, null, "NaN"]] })),
        other => panic!("{other:?}"),
    }
}

#[test]
fn trino_answers_as_the_own_engine_does() {
    let server = Server::start(trino);
    let ended = query(&server, "trino", &["--format", "csv"]);
    let expected = "id,at,x\n1,2024-02-29T12:00:00.123456,0.5\n9007199254740993,,NaN\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (0, expected), "{}", ended.stderr);
    let asked = server.asked();
    assert_eq!((asked[0].text.as_str(), asked[0].header("x-trino-catalog")), ("select 1", Some("healthlake")));
    assert!(asked.iter().all(|asked| asked.header("x-trino-user") == Some("healthlake")));
    assert_eq!(asked[0].header("x-trino-client-capabilities"), Some("PARAMETRIC_DATETIME"));
}

#[test]
fn a_query_that_trino_fails_names_its_id_and_the_reason() {
    let server = Server::start(|_, _| {
        let error = json!({ "message": "line 1:8: Column 'x' cannot be resolved", "errorName": "COLUMN_NOT_FOUND" });
        (200, json!({ "id": "q-4", "error": error }))
    });
    let ended = query(&server, "trino", &[]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("Trino query `q-4` failed: COLUMN_NOT_FOUND: line 1:8: Column 'x'"),
        "{}",
        ended.stderr
    );
    let ended = query(&Server::start(|_, _| (401, json!("who are you"))), "trino", &[]);
    assert!(ended.stderr.contains("answered 401 Unauthorized: \"who are you\""), "{}", ended.stderr);
}

/// An account with no tables, whose queries all succeed: what models are built by.
fn empty(_: usize, asked: &Asked) -> (u16, Value) {
    let answer = match asked.action() {
        "StartQueryExecution" => json!({ "QueryExecutionId": "q" }),
        "GetQueryExecution" => {
            json!({ "QueryExecution": { "StatementType": "DML", "Status": { "State": "SUCCEEDED" } } })
        }
        _ => json!({ "ResultSet": { "Rows": [], "ResultSetMetadata": { "ColumnInfo": [] } } }),
    };
    (200, answer)
}

#[test]
fn athena_is_told_to_make_iceberg_tables_where_the_lake_is() {
    let server = Server::start(empty);
    let build = [
        "sql",
        "run",
        "--engine",
        "athena",
        "--lake",
        "s3://healthlake/lake",
        "--format",
        "json",
        "seed_age_band",
        "stg_omop__person",
    ];
    let ended = call(&server, &build);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let asked = server.asked();
    let said = |asked: &Asked| asked.json()["QueryString"].as_str().map(str::to_owned);
    let said: Vec<_> = asked.iter().filter_map(said).collect();
    let one =
        |start: &str| said.iter().find(|said| said.starts_with(start)).unwrap_or_else(|| panic!("{start}: {said:?}"));
    assert!(said.contains(&"create schema if not exists staging".to_owned()));
    one("create or replace view \"staging\".\"stg_omop__person\" as\nwith source as (");
    let create = one("create table \"staging\".\"seed_age_band\"");
    let place = "with (table_type = 'ICEBERG', is_external = false, format = 'PARQUET', \
                 location = 's3://healthlake/lake/staging/seed_age_band/first/')";
    assert!(create.contains(place) && create.contains("cast('first' as varchar) as pipeline_run_id"), "{create}");

    let ended = call(&Server::start(empty), &["sql", "run", "--engine", "athena", "seed_age_band"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stdout.contains("`--lake s3://bucket/prefix` says where the lake is"), "{}", ended.stdout);
}

/// Tells the program to end while a query is under way that would never end, and returns the last thing it asked.
#[cfg(unix)]
fn interrupt(engine: &str, signal: &str) -> Asked {
    let server = Server::start(|_, asked| {
        let next = format!("http://{}/v1/statement/executing/q-5/1", asked.header("host").unwrap());
        let answer = match asked.line.as_str() {
            line if line.ends_with("/v1/statement") || line.starts_with("GET") => {
                json!({ "id": "q-5", "nextUri": next })
            }
            _ => json!({
                "QueryExecutionId": "q-5", "QueryExecution": { "Status": { "State": "RUNNING" } },
            }),
        };
        (200, answer)
    });
    let place = Healthlake::new();
    let mut child = command(&place, &server, &["query", "--engine", engine, "select 1"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while server.asked().len() < 3 {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{engine}: no query is under way");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 2);
    let expected = "query `q-5` failed: it was stopped: this program was told to end";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    server.asked().pop().unwrap()
}

#[cfg(unix)]
#[test]
fn a_query_that_is_under_way_is_stopped_with_the_program() {
    let last = interrupt("athena", "-INT");
    assert_eq!((last.action(), &last.json()["QueryExecutionId"]), ("StopQueryExecution", &json!("q-5")));
    assert_eq!(interrupt("trino", "-TERM").line, "DELETE /v1/statement/executing/q-5/1");
}
