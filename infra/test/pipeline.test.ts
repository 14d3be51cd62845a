import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { INFRA, statementsOf, synthesize } from './synthesized';

const { pipeline } = synthesize();
const definitions = Object.values(pipeline.findResources('AWS::ECS::TaskDefinition'));
const containers = definitions.map((definition) => {
  const [container, ...others] = definition.Properties.ContainerDefinitions;
  assert.deepEqual(others, [], 'a second container could fail a task that is done');
  return container;
});

test('a container cannot write to its image, nor is it root', () => {
  for (const container of containers) {
    assert.equal(container.ReadonlyRootFilesystem, true, container.Name);
    assert.equal(container.User, '10001:10001', container.Name);
    assert.equal(container.Privileged ?? false, false, container.Name);
    assert.equal(container.LogConfiguration.LogDriver, 'awslogs', container.Name);
  }
});

test('every variable of a container is a setting of the program', () => {
  const settings = new Set<string>();
  let section = '';
  for (const line of readFileSync(join(INFRA, '..', 'cli', 'default.toml'), 'utf8').split('\n')) {
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
    const key = /^(\w+) = /.exec(line)?.[1];
    if (key) {
      settings.add(`HEALTHLAKE_${section}_${key}`.toUpperCase());
    }
  }
  for (const container of containers) {
    for (const { Name } of container.Environment) {
      assert.ok(settings.has(Name), `${Name} of ${container.Name}`);
    }
  }
});

const granted = (task: string) =>
  statementsOf(pipeline, `Task${task}DefinitionTaskRole`).flatMap(({ Action }) => Action);

test('a task may do what its stage needs', () => {
  assert.deepEqual(granted('generate').sort(), ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite']);
  assert.ok(!granted('etl').includes('elasticfilesystem:ClientWrite'));
  assert.ok(!granted('sql').some((action) => action.startsWith('elasticfilesystem:')));
  for (const task of ['etl', 'sql', 'validate']) {
    assert.ok(granted(task).includes('glue:UpdateTable'), task);
  }
});

test('models only are built by Athena, in one workgroup', () => {
  const asking = ['generate', 'etl', 'sql', 'validate'].filter((task) => granted(task).includes('athena:StartQueryExecution'));
  assert.deepEqual(asking, ['sql']);
  const statements = statementsOf(pipeline, 'TasksqlDefinitionTaskRole');
  const athena = statements.find(({ Action }) => Action.includes('athena:StartQueryExecution'));
  assert.match(JSON.stringify(athena?.Resource), /:workgroup\/healthlake"/);
});

test('views are made by the models only, where staging is', () => {
  const changing = ['generate', 'etl', 'sql', 'validate'].flatMap((task) =>
    statementsOf(pipeline, `Task${task}DefinitionTaskRole`)
      .filter(({ Action }) => [Action].flat().includes('glue:UpdateDatabase'))
      .map(({ Resource }) => [task, JSON.stringify(Resource).match(/database\/\w+/g)]),
  );
  assert.deepEqual(changing, [['sql', ['database/staging']]]);
});

test('a stage can commit to its own namespaces only', () => {
  const writable = (task: string) => {
    const statements = statementsOf(pipeline, `Task${task}DefinitionTaskRole`);
    const update = statements.find(({ Action }) => Action.includes('glue:UpdateTable'));
    const put = statements.filter(({ Action }) => Action.includes('s3:PutObject'));
    const text = JSON.stringify([update?.Resource, put.map(({ Resource }) => Resource)]);
    return ['raw', 'fhir', 'omop', 'vocabulary', 'staging', 'marts', 'metrics', 'quality'].filter(
      (name) => text.includes(`table/${name}/`) || text.includes(`lake/${name}/`),
    );
  };
  assert.deepEqual(writable('etl'), ['raw', 'fhir', 'omop', 'vocabulary', 'quality']);
  assert.deepEqual(writable('sql'), ['staging', 'marts', 'metrics']);
  assert.deepEqual(writable('validate'), ['quality']);
});

test('no policy of a task allows every action of a service, or names every resource but for the token of ECR', () => {
  for (const policy of Object.values(pipeline.findResources('AWS::IAM::Policy'))) {
    for (const statement of policy.Properties.PolicyDocument.Statement) {
      const actions = [statement.Action].flat();
      assert.ok(!actions.some((action) => action.endsWith(':*')), actions.join(', '));
      if ([statement.Resource].flat().includes('*')) {
        const known = /^(ecr:GetAuthorizationToken|xray:|logs:)/;
        assert.ok(
          actions.every((action) => known.test(action)),
          actions.join(', '),
        );
      }
    }
  }
});

test('the image of a tag cannot change, and is scanned', () => {
  pipeline.hasResourceProperties('AWS::ECR::Repository', {
    ImageTagMutability: 'IMMUTABLE',
    ImageScanningConfiguration: { ScanOnPush: true },
    EncryptionConfiguration: { EncryptionType: 'KMS' },
  });
});

test('nothing starts by itself unless it was asked to', () => {
  pipeline.hasResourceProperties('AWS::Events::Rule', { State: 'DISABLED' });
  synthesize({ schedule: 'on' }).pipeline.hasResourceProperties('AWS::Events::Rule', { State: 'ENABLED' });
});

test('somebody is told when a run fails, times out, is aborted or throttled', () => {
  const alarms = Object.values(pipeline.findResources('AWS::CloudWatch::Alarm'));
  assert.deepEqual(alarms.map((alarm) => alarm.Properties.MetricName).sort(), [
    'ExecutionThrottled',
    'ExecutionsAborted',
    'ExecutionsFailed',
    'ExecutionsTimedOut',
  ]);
  for (const alarm of alarms) {
    assert.equal(alarm.Properties.AlarmActions.length, 1);
  }
  assert.ok(Object.values(pipeline.findResources('AWS::SNS::Topic')).every((topic) => topic.Properties.KmsMasterKeyId));
});
