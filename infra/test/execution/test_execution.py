"""The synthesized state machine, executed: its tasks are processes of the real program, on a lake in a folder, and once
on one in S3 and Glue.

    HEALTHLAKE_BIN=... python -m unittest

What this proves is the definition: its expressions, choices, retries and catches, the commands and variables that reach
the containers, and that the stages do together what `healthlake run` does. IAM, the network, Fargate and KMS are not
there, so nothing is said about them.
"""

import csv
import io
import json
import os
import sqlite3
import subprocess
import tempfile
import unittest
from pathlib import Path

import account
import interpreter
from emulator import Emulator, Template

INFRA = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["HEALTHLAKE_BIN"]
POPULATION = {"patients": 40, "shards": 4, "seed": 7}

# Columns that say when and by which run a row was written, not what it says.
LINEAGE = {"pipeline_run_id", "persisted_at", "lineage_first_seen_ts", "lineage_last_updated_ts", "file"}
COMPARED = [
    "fhir.patient",
    "fhir.observation",
    "omop.person",
    "omop.visit_occurrence",
    "omop.condition_occurrence",
    "omop.measurement",
    "omop.drug_exposure",
    "omop.condition_era",
    "quality.crosswalk",
    "marts.patient_timeline",
    "metrics.chronic_condition_prevalence",
]


def healthlake(lake, *words, run_id="query", code=0):
    """Runs the program on a lake: a folder, or the variables that say where it is."""
    where = lake if isinstance(lake, dict) else {"HEALTHLAKE_LAKE_PATH": str(lake)}
    environment = {"PATH": os.environ["PATH"], "PIPELINE_RUN_ID": run_id, **where}
    ended = subprocess.run([PROGRAM, *words], env=environment, capture_output=True, text=True)
    assert ended.returncode == code, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def rows(lake, table):
    """The rows of a table, sorted, without lineage."""
    header, *lines = csv.reader(io.StringIO(healthlake(lake, "query", f"select * from {table}", "--format", "csv")))
    kept = [index for index, name in enumerate(header) if name not in LINEAGE]
    return sorted([line[index] for index in kept] for line in lines)


def pointers(lake):
    """Where the catalog says that each table's metadata is: unchanged means that nothing was committed."""
    with sqlite3.connect(f"file:{lake}/catalog.db?mode=ro", uri=True) as catalog:
        query = "select table_namespace, table_name, metadata_location from iceberg_tables"
        return {f"{namespace}.{name}": location for namespace, name, location in catalog.execute(query)}


class Execution(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        interpreter.repair()
        cls.template = Template(INFRA / "cdk.out" / "HealthlakePipeline.template.json")
        cls.work = tempfile.TemporaryDirectory()
        local = Path(cls.work.name) / "local"
        healthlake(local, "run", "--patients", "40", "--seed", "7", run_id="local")
        cls.expected = {table: rows(local, table) for table in COMPARED}
        assert all(cls.expected.values()), "a table that is compared has no rows"

    @classmethod
    def tearDownClass(cls):
        cls.work.cleanup()

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.lake = self.folder / "lake"

    def aws(self, lake=None):
        here = lake or {
            "HEALTHLAKE_LAKE_PATH": str(self.lake),
            "HEALTHLAKE_LAKE_CATALOG": "sqlite",
            "HEALTHLAKE_LAKE_FOLDER": str(self.folder / "scratch"),
        }
        return Emulator(self.folder, PROGRAM, self.template, here)

    def pipeline(self, aws, *words, run_id="query", code=0):
        """What `healthlake pipeline` says of this account."""
        machine = {"HEALTHLAKE_AWS_ENDPOINT": aws.endpoint, "HEALTHLAKE_PIPELINE_STATE_MACHINE": aws.machine}
        words = ["pipeline", *words, "--format", "json"]
        return json.loads(healthlake({**account.KEYS, **machine}, *words, run_id=run_id, code=code))

    def assert_done(self, execution, status="passed"):
        logs = "\n".join(f"{log.name}: {log.read_text()[-500:]}" for log in sorted((self.folder / "log").glob("*.log")))
        self.assertEqual(execution["status"], "SUCCEEDED", f"{execution.get('cause')}\n{logs}")
        self.assertEqual(json.loads(execution["output"]), {"pipeline_run_id": execution["name"], "status": status})

    def assert_same_as_local(self, lake=None):
        for table, expected in self.expected.items():
            self.assertEqual(rows(lake or self.lake, table), expected, table)

    def test_four_shards_make_what_a_run_on_this_machine_makes_and_make_it_once(self):
        with self.aws() as aws:
            self.assert_done(aws.run("four-shards", **POPULATION))
            self.assertEqual([task.name for task in aws.tasks], ["generate"] * 4 + ["etl", "sql", "validate"])
            self.assertEqual({task.environment["PIPELINE_RUN_ID"] for task in aws.tasks}, {"four-shards"})
            record = aws.record_of("four-shards")
            self.assertEqual((record["status"], record["input"]), ("passed", POPULATION))
            self.assert_same_as_local()
            committed = pointers(self.lake)
            with self.assertRaisesRegex(Exception, "ExecutionAlreadyExists"):
                aws.start("four-shards", **POPULATION)
        # Another account has not seen the name: every task runs again, under the same run id, and commits nothing.
        with self.aws() as aws:
            self.assert_done(aws.run("four-shards", **POPULATION))
            self.assertEqual(len(aws.tasks), 7)
        self.assertEqual(pointers(self.lake), committed)

    def test_the_lake_of_the_containers_in_s3_and_glue_is_the_same(self):
        with account.running(self.folder) as endpoint:
            account.client(endpoint, "s3").create_bucket(Bucket="lake")
            # The rest is what the template says: a lake in S3, the catalog `glue`.
            lake = {
                **account.KEYS,
                "HEALTHLAKE_LAKE_PATH": "s3://lake/lake",
                "HEALTHLAKE_LAKE_FOLDER": str(self.folder / "scratch"),
                "HEALTHLAKE_S3_ENDPOINT": endpoint,
                "HEALTHLAKE_CATALOG_URI": endpoint,
            }
            with self.aws(lake) as aws:
                aws.kill("etl", "etl", 1)
                self.assert_done(aws.run("in-glue", **POPULATION))
            self.assert_same_as_local({**lake, "HEALTHLAKE_LAKE_CATALOG": "glue"})
            glue = account.client(endpoint, "glue")
            person = glue.get_table(DatabaseName="omop", Name="person")["Table"]
            columns = {column["Name"]: column["Type"] for column in person["StorageDescriptor"]["Columns"]}
            self.assertEqual((columns["person_id"], columns["birth_datetime"]), ("bigint", "timestamp"))

    def test_a_shard_that_fails_twice_is_made_by_the_third_attempt(self):
        with self.aws() as aws:
            aws.kill("generate", "2/4", 2)
            given = [word for key, value in POPULATION.items() for word in (f"--{key}", str(value))]
            status = self.pipeline(aws, "start", *given, "--wait", run_id="killed-twice")
            self.assertEqual((status["status"], status["findings"]), ("SUCCEEDED", False), status)
            stages = [(stage["state"], stage["status"]) for stage in status["stages"]]
            tasks = ["GenerateShards", "MapResources", "BuildModels", "Validate", "Report"]
            self.assertEqual(stages, [(task, "done") for task in tasks])
            self.assertEqual((status["shards"]["total"], status["shards"]["succeeded"]), (4, 4))
            attempts = [task.exit_code for task in aws.tasks if "2/4" in task.command]
            self.assertEqual(attempts, [137, 137, 0])
        self.assert_same_as_local()

    def test_a_shard_that_fails_for_good_leaves_nothing_visible_and_a_record(self):
        with self.aws() as aws:
            aws.kill("generate", "2/4", 4)
            execution = aws.run("lost-shard", **POPULATION)
            ended = (execution["status"], execution["error"])
            self.assertEqual(ended, ("FAILED", "ExceedToleratedFailureThreshold"))
            self.assertEqual(sum("2/4" in task.command for task in aws.tasks), 4)
            self.assertNotIn("etl", [task.name for task in aws.tasks])
            record = aws.record_of("lost-shard")
            self.assertEqual((record["status"], record["stage"]), ("failed", "generate"))
            self.assertFalse((self.lake / "catalog.db").exists())
            status = self.pipeline(aws, "status", "lost-shard", code=2)
            self.assertEqual((status["status"], status["shards"]["failed"]), ("FAILED", 1), status)
            self.assertIn(("GenerateShards", "failed"), [(stage["state"], stage["status"]) for stage in status["stages"]])

            self.assert_done(aws.run("lost-shard-again", **POPULATION))
        self.assert_same_as_local()

    def test_a_mapping_that_is_killed_leaves_nothing_visible(self):
        with self.aws() as aws:
            aws.kill("etl", "etl", 4)
            execution = aws.run("lost-etl", **POPULATION)
            self.assertEqual((execution["status"], execution["error"]), ("FAILED", "TaskFailed"))
            self.assertEqual(aws.record_of("lost-etl")["stage"], "etl")
            self.assertFalse((self.lake / "catalog.db").exists() and pointers(self.lake))

    def test_a_wrong_input_is_named_and_starts_no_task(self):
        with self.aws() as aws:
            execution = aws.run("wrong", patients="many", shards=0)
            self.assertEqual((execution["status"], execution["error"]), ("FAILED", "InvalidInput"))
            self.assertRegex(execution["cause"], "^input: patients, expected .*; shards, expected ")
            self.assertEqual(aws.tasks, [])
            self.assertEqual(aws.record_of("wrong")["error"], "InvalidInput")

    def test_findings_are_no_failure(self):
        source = self.folder / "mount/area/import/clinic"
        source.mkdir(parents=True)
        (source / "in.ndjson").write_text(
            '{"resourceType":"Patient","id":"1","gender":"female","birthDate":"1980-01-01"}\n'
            '{"resourceType":"Condition","id":"2","subject":{"reference":"Patient/9"}}\n'
        )
        with self.aws() as aws:
            self.assert_done(aws.run("findings", source="/area/import/clinic", source_id="clinic"), status="findings")
            self.assertIn("etl", aws.record_of("findings")["findings"])
            # Exit code 1 cannot be told from a crash before the cause is read, so the stage is tried again first.
            self.assertEqual([task.exit_code for task in aws.tasks if task.name == "etl"], [1, 1, 1, 1])
        self.assertEqual(healthlake(self.lake, "query", "select count(*) from omop.person", "--format", "csv").split()[1], "1")


class Interpreter(unittest.TestCase):
    def test_a_changed_moto_is_refused(self):
        known = dict(interpreter.REPLACED)
        function = next(iter(known))
        try:
            interpreter.REPLACED[function] = "0" * 16
            with self.assertRaisesRegex(RuntimeError, "is not the one that the repair was written for"):
                interpreter.check()
        finally:
            interpreter.REPLACED.update(known)


if __name__ == "__main__":
    unittest.main()
