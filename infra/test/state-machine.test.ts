import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
const aslValidator = require('asl-validator');
import jsonata = require('jsonata');
import { INFRA, renderedDefinition, synthesize } from './synthesized';

const { pipeline } = synthesize();
const { definition, substitutions } = renderedDefinition(pipeline);

type State = Record<string, any>;

/** Every state, those of child executions too. */
function states(machine: State): [string, State][] {
  return Object.entries(machine.States as Record<string, State>).flatMap(([name, state]) => [
    [name, state] as [string, State],
    ...(state.ItemProcessor ? states(state.ItemProcessor) : []),
  ]);
}

const runTasks = states(definition).filter(([, state]) => state.Resource?.endsWith(':ecs:runTask.sync'));

/** The value of a field that may be an expression, with the given variables. */
async function evaluate(field: string, variables: object) {
  const text = /^\{% (.*) %\}$/.exec(field)?.[1];
  return text === undefined
    ? field
    : JSON.parse(JSON.stringify((await jsonata(text).evaluate({}, { ...variables })) ?? null));
}

/** The variables of an execution after its input was read and checked. */
async function read(input: object, name = 'run-1'): Promise<Record<string, any>> {
  let variables: Record<string, unknown> = { states: { input, context: { Execution: { Name: name } } } };
  for (const state of ['ReadInput', 'CheckInput']) {
    const assigned: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(definition.States[state].Assign)) {
      assigned[key] = typeof value === 'string' ? await evaluate(value, variables) : value;
    }
    variables = { ...variables, ...assigned };
  }
  return variables;
}

test('the definition is sound', () => {
  const { isValid, errorsText } = aslValidator(structuredClone(definition), { checkPaths: false, checkArn: false });
  assert.ok(isValid, errorsText());
});

test('every name in ${} is filled in', () => {
  const named = new Set([...JSON.stringify(definition).matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
  assert.deepEqual([...named].sort(), Object.keys(substitutions).sort());
});

test('every container gets the name of the execution as its run id', async () => {
  assert.equal(runTasks.length, 4);
  for (const [name, state] of runTasks) {
    const [override] = state.Arguments.Overrides.ContainerOverrides;
    const [variable] = override.Environment;
    assert.equal(variable.Name, 'PIPELINE_RUN_ID', name);
    const runId = await evaluate(variable.Value, { run_id: 'run-1', states: { input: { run_id: 'run-1' } } });
    assert.equal(runId, 'run-1', name);
  }
  const { GenerateShards } = definition.States;
  assert.equal(await evaluate(GenerateShards.ItemSelector.run_id, await read({}, 'run-2')), 'run-2');
});

test('every container is one of the task definition that runs it, at one revision', () => {
  const taskDefinitions = pipeline.findResources('AWS::ECS::TaskDefinition');
  for (const [name, state] of runTasks) {
    const key = /^\$\{(\w+)\}$/.exec(state.Arguments.TaskDefinition)![1]!;
    // The reference to a task definition is its ARN with the revision; its family alone would be the newest one.
    const taskDefinition = taskDefinitions[(substitutions[key] as { Ref: string }).Ref]!;
    const [container] = taskDefinition.Properties.ContainerDefinitions;
    assert.equal(state.Arguments.Overrides.ContainerOverrides[0].Name, container.Name, name);
  }
});

test('every task ends, and is tried again with growing, jittered waits', () => {
  const tasks = states(definition).filter(([, state]) => state.Type === 'Task');
  for (const [name, state] of tasks) {
    assert.ok(state.TimeoutSeconds > 0, name);
  }
  for (const [name, state] of runTasks) {
    assert.ok(state.Retry.length >= 2, name);
    for (const retry of state.Retry) {
      assert.equal(retry.JitterStrategy, 'FULL', name);
      assert.ok(retry.BackoffRate > 1, name);
    }
  }
});

test('whatever fails, the run is recorded', () => {
  const last = ['RecordFailure', 'Notify', 'NotifyFindings', 'Report'];
  for (const [name, state] of Object.entries(definition.States as Record<string, State>)) {
    if (!['Task', 'Map'].includes(state.Type) || last.includes(name)) {
      continue;
    }
    const [caught] = state.Catch;
    assert.deepEqual(caught.ErrorEquals, ['States.ALL'], name);
    const next = definition.States[caught.Next];
    assert.ok(caught.Next === 'RecordFailure' || next.Default === 'RecordFailure', name);
  }
});

test('shards are planned as parts of a whole', async () => {
  const plan = definition.States.PlanShards.Output.shards;
  assert.deepEqual(await evaluate(plan, { shards: 3 }), ['1/3', '2/3', '3/3']);
  assert.deepEqual(await evaluate(plan, { shards: 1 }), ['1/1']);
  assert.equal(definition.States.GenerateShards.ItemProcessor.ProcessorConfig.Mode, 'DISTRIBUTED');
});

// The program parses the same file in a test of its own: a command here is one that it understands.
test('the commands are those of command.json', async () => {
  const commands: Record<string, unknown> = {};
  for (const [kind, input] of Object.entries({
    synthetic: { patients: 1000, shards: 4, seed: 42 },
    source: { source: '/area/import/hospital', source_id: 'hospital', complete: true, engine: 'athena' },
  })) {
    for (const [name, state] of runTasks) {
      if (kind === 'source' && name === 'Generate') {
        continue;
      }
      const variables = await read(input);
      const shard = { shard: '1/4', run_id: variables.run_id, patients: variables.patients, seed: variables.seed };
      const [override] = state.Arguments.Overrides.ContainerOverrides;
      const command = await evaluate(override.Command, { ...variables, states: { input: shard } });
      assert.ok(
        command.every((word: unknown) => typeof word === 'string'),
        `${command}`,
      );
      assert.equal(command[0], override.Name);
      commands[`${kind} ${name}`] = command;
    }
  }
  const file = join(INFRA, 'test', 'command.json');
  const text =
    JSON.stringify(commands, null, 2).replace(
      /\[\s+([^\]]*?)\s+\]/g,
      (_, words) => `[${words.replace(/\s*\n\s*/g, ' ')}]`,
    ) + '\n';
  if (process.env.HEALTHLAKE_TEST_RENEW) {
    writeFileSync(file, text);
  }
  assert.equal(readFileSync(file, 'utf8'), text, 'HEALTHLAKE_TEST_RENEW=1 writes command.json anew');
});

test('a sound input is taken, a wrong one is named', async () => {
  for (const sound of [
    {},
    { patients: 1, shards: 1, seed: 0 },
    { source: '/area/import/a/b.ndjson', source_id: 'hospital', complete: true, engine: 'datafusion' },
  ]) {
    assert.equal((await read(sound)).cause, '', JSON.stringify(sound));
  }
  for (const [wrong, word] of [
    [{ patients: 0 }, 'patients'],
    [{ patients: '1000' }, 'patients'],
    [{ patients: 1.5 }, 'patients'],
    [{ shards: 10001 }, 'shards'],
    [{ seed: -1 }, 'seed'],
    [{ seed: 1e15 }, 'seed'],
    [{ source: '/etc' }, 'source'],
    [{ source: '/area/import/../run' }, 'source'],
    [{ source: 7 }, 'source'],
    [{ source: '/area/import/a', patients: 5 }, 'source together'],
    [{ source_id: 'a b' }, 'source_id'],
    [{ complete: 'yes' }, 'complete'],
    [{ engine: 'spark' }, 'engine'],
    [{ patient: 5 }, 'unknown key'],
  ] as [object, string][]) {
    const { cause } = await read(wrong);
    assert.ok(cause.includes(word) && !cause.includes('; '), `${JSON.stringify(wrong)}: ${cause}`);
  }
  assert.match((await read({}, '../x')).cause, /name of the execution/);
  assert.match((await read({ patients: 0, seed: -1 })).cause, /patients.*; seed/);
});

test('after a task failed, its exit code is known if it has one', async () => {
  const { exit_code, cause } = definition.States.MapResources.Catch[0].Assign;
  const $parse = (text: string) => JSON.parse(text);
  const of = (field: string, Error: string, Cause?: string) =>
    evaluate(field, { parse: $parse, states: { errorOutput: { Error, Cause } } });
  assert.equal(await of(exit_code, 'States.TaskFailed', '{"Containers":[{"Name":"etl","ExitCode":1}]}'), 1);
  assert.equal(await of(exit_code, 'States.TaskFailed', '{"Containers":[{"Name":"etl"}]}'), -1);
  assert.equal(await of(exit_code, 'States.Timeout'), -1);
  assert.equal(await of(cause, 'States.Timeout'), '');
});
