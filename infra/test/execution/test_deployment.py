"""The synthesized templates, deployed to MiniStack: what it knows of them comes up, and refers to each other rightly.

It refuses templates with types that it does not know, so these are left out, by name. Nothing of it says that AWS would
accept a property; cfn-lint does that by AWS's own schemas.
"""

import json
import tempfile
import time
import unittest
from pathlib import Path

import account

TEMPLATES = Path(__file__).resolve().parents[2] / "cdk.out"
STACKS = ["HealthlakeStorage", "HealthlakeNetwork", "HealthlakePipeline"]
UNKNOWN = {
    "AWS::EC2::FlowLog",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::ECS::ClusterCapacityProviderAssociations",
}


class Deployment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.endpoint = cls.enterClassContext(account.running(cls.folder))
        cls.client("s3").create_bucket(Bucket="templates")
        for stack in STACKS:
            cls.deploy(stack)

    @classmethod
    def client(cls, service):
        return account.client(cls.endpoint, service)

    @classmethod
    def deploy(cls, stack):
        """Creates a stack of all that is known, and sees that every resource of it was made."""
        template = json.loads((TEMPLATES / f"{stack}.template.json").read_text())
        resources = template["Resources"]
        # Parameters and rules are those of the CDK's bootstrap, which is not there.
        known = {name: resource for name, resource in resources.items() if resource["Type"] not in UNKNOWN}
        body = json.dumps({"Resources": known, "Outputs": template.get("Outputs", {})})
        cls.client("s3").put_object(Bucket="templates", Key=stack, Body=body)
        formation = cls.client("cloudformation")
        url = f"{cls.endpoint}/templates/{stack}"
        formation.create_stack(StackName=stack, TemplateURL=url, Capabilities=["CAPABILITY_NAMED_IAM"])
        for _ in range(300):
            status = formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            if not status.endswith("IN_PROGRESS"):
                break
            time.sleep(0.2)
        if status != "CREATE_COMPLETE":
            events = formation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [event for event in events if "FAILED" in event["ResourceStatus"]]
            raise AssertionError(f"{stack} is {status}: {json.dumps(reasons, default=str)}")
        made = formation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
        assert len(made) == len(known), f"{stack}: {len(made)} of {len(known)} resources were made"

    def test_what_is_left_out_is_not_known(self):
        resources = {kind.split("::")[-1]: {"Type": kind} for kind in UNKNOWN}
        with self.assertRaises(Exception) as refused:
            self.client("cloudformation").create_stack(
                StackName="unknown", TemplateBody=json.dumps({"Resources": resources})
            )
        for kind in UNKNOWN:
            self.assertIn(kind, str(refused.exception))

    def test_the_namespaces_are_databases(self):
        names = {database["Name"] for database in self.client("glue").get_databases()["DatabaseList"]}
        self.assertLessEqual({"raw", "fhir", "omop", "vocabulary", "staging", "marts", "metrics", "quality"}, names)

    def test_the_state_machine_names_task_definitions_at_their_revision(self):
        states, tasks = self.client("stepfunctions"), self.client("ecs")
        (machine,) = states.list_state_machines()["stateMachines"]
        text = states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])["definition"]
        self.assertNotIn("${", text)
        for arn in tasks.list_task_definitions()["taskDefinitionArns"]:
            self.assertRegex(arn, r":task-definition/healthlake-\w+:1$")
            self.assertIn(f'"{arn}"', text)

    def test_the_schedule_is_off(self):
        rules = self.client("events").list_rules()["Rules"]
        self.assertEqual([rule["State"] for rule in rules], ["DISABLED"])


if __name__ == "__main__":
    unittest.main()
