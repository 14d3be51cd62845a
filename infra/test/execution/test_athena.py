"""Queries by Athena, which moto plays: it takes a query like Athena, and answers what it was told to answer.

    HEALTHLAKE_BIN=... python -m unittest test_athena
"""

import json
import os
import subprocess
import threading
import unittest
import urllib.request

import boto3
import werkzeug.serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import account

PROGRAM = os.environ["HEALTHLAKE_BIN"]


def column(name, kind):
    return {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": kind,
            "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": False}


class Athena(unittest.TestCase):
    def setUp(self):
        application = DomainDispatcherApplication(create_backend_app)
        server = werkzeug.serving.make_server("127.0.0.1", 0, application, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        self.endpoint = f"http://127.0.0.1:{server.server_port}"
        self.athena = boto3.client("athena", endpoint_url=self.endpoint, region_name=account.REGION,
                                   aws_access_key_id="test", aws_secret_access_key="test")

    def query(self, sql, *words):
        environment = {"PATH": os.environ["PATH"], **account.KEYS, "HEALTHLAKE_AWS_ENDPOINT": self.endpoint}
        command = [PROGRAM, "query", "--engine", "athena", sql, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def test_rows_are_those_that_athena_has(self):
        ended = self.query("select 1")
        self.assertEqual(ended.returncode, 2, ended.stdout)
        self.assertIn("answered InvalidRequestException to `StartQueryExecution`: WorkGroup does not exist", ended.stderr)

        self.athena.create_work_group(Name="healthlake")
        rows = [["year", "persons"], ["2024", "17"], ["2025", None]]
        data = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows]
        canned = {"results": [{"rows": data, "column_info": [column("year", "integer"), column("persons", "bigint")]}]}
        told = urllib.request.Request(f"{self.endpoint}/moto-api/static/athena/query-results", json.dumps(canned).encode(),
                                      {"content-type": "application/json"})
        self.assertEqual(urllib.request.urlopen(told).status, 201)
        ended = self.query("select year, persons from metrics.t", "--format", "csv")
        self.assertEqual((ended.returncode, ended.stdout), (0, "year,persons\n2024,17\n2025,\n"), ended.stderr)
        (execution,) = self.athena.list_query_executions(WorkGroup="healthlake")["QueryExecutionIds"]
        asked = self.athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
        self.assertEqual(asked["Query"], "select year, persons from metrics.t")
        self.assertEqual(asked["QueryExecutionContext"], {"Catalog": "AwsDataCatalog"})


if __name__ == "__main__":
    unittest.main()
