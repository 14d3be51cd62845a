// The definition of the state machine in the Amazon States Language, as plain data: what is written here is what runs.
// Names in ${...} are filled in by the stack; expressions in {% ... %} are JSONata.

/** The tasks that run as containers, by the name of their container. */
export type TaskName = 'generate' | 'etl' | 'sql' | 'validate';

/** Where the file system of the work area is mounted in every container that sees it. */
export const WORK = '/area';

/** What a stage may take before it counts as hung, in seconds. */
const TIMEOUT_SECONDS: Record<TaskName, number> = {
  generate: 4 * 3600,
  etl: 12 * 3600,
  sql: 6 * 3600,
  validate: 3 * 3600,
};

/** What a whole run may take, in seconds. */
const RUN_TIMEOUT_SECONDS = 24 * 3600;

const expression = (text: string) => `{% ${text.replace(/\s+/g, ' ').trim()} %}`;

/** No capacity, throttled, or a task that never started: wait longer and try more often than after a failure of ours. */
const PLACEMENT_RETRY = {
  ErrorEquals: ['ECS.AmazonECSException', 'ECS.ServerException', 'AmazonECS.Unknown'],
  IntervalSeconds: 15,
  BackoffRate: 2,
  MaxDelaySeconds: 300,
  MaxAttempts: 8,
  JitterStrategy: 'FULL',
};

/** Every stage can be run again: what it committed under this run id is found and left alone. */
const STAGE_RETRY = {
  ErrorEquals: ['States.TaskFailed', 'States.Timeout'],
  IntervalSeconds: 10,
  BackoffRate: 2,
  MaxDelaySeconds: 120,
  MaxAttempts: 3,
  JitterStrategy: 'FULL',
};

/** One run of a container to its end. `command` is an expression, as is the id of the run. */
function runTask(name: TaskName, command: string, runId: string) {
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::ecs:runTask.sync',
    TimeoutSeconds: TIMEOUT_SECONDS[name],
    Arguments: {
      Cluster: '${Cluster}',
      TaskDefinition: `\${Task_${name}}`,
      LaunchType: 'FARGATE',
      PlatformVersion: '1.4.0',
      NetworkConfiguration: {
        AwsvpcConfiguration: {
          Subnets: expression(`$split('\${Subnets}', ',')`),
          SecurityGroups: ['${SecurityGroup}'],
          AssignPublicIp: 'DISABLED',
        },
      },
      Overrides: {
        ContainerOverrides: [
          {
            Name: name,
            Command: expression(command),
            Environment: [{ Name: 'PIPELINE_RUN_ID', Value: expression(runId) }],
          },
        ],
      },
    },
    Retry: [PLACEMENT_RETRY, STAGE_RETRY],
    Output: {},
  };
}

/** Remembers what went wrong. Where a container ended, `exit_code` is its exit code, otherwise -1. */
function catchAll(stage: string, next: string) {
  const { Error: error, Cause: cause } = { Error: '$states.errorOutput.Error', Cause: '$states.errorOutput.Cause' };
  return [
    {
      ErrorEquals: ['States.ALL'],
      Assign: {
        stage,
        error: expression(error),
        cause: expression(`$exists(${cause}) ? ${cause} : ''`),
        exit_code: expression(
          `${error} = 'States.TaskFailed' ? $max([-1, $parse(${cause}).Containers[0].ExitCode]) : -1`,
        ),
      },
      Next: next,
    },
  ];
}

/**
 * A stage, and the choice that follows its failure: exit code 1 means that the stage is done and has findings, and the
 * run goes on as `healthlake run` does; anything else ends it.
 */
function stage(id: string, name: TaskName, command: string, next: string) {
  const judge = `Judge${id}`;
  return {
    [id]: { ...runTask(name, command, '$run_id'), Catch: catchAll(name, judge), Next: next },
    [judge]: {
      Type: 'Choice',
      Choices: [
        {
          Condition: expression('$exit_code = 1'),
          Assign: { findings: expression('[$findings, $stage]') },
          Next: next,
        },
      ],
      Default: 'RecordFailure',
    },
  };
}

const whole = (value: string, low: number, high: number) =>
  `($type(${value}) = 'number' ? ${value} = $floor(${value}) and ${value} >= ${low} and ${value} <= ${high} : false)`;

const text = (value: string, pattern: string) =>
  `($type(${value}) = 'string' ? $contains(${value}, ${pattern}) : false)`;

/** What an execution may be given, with the value that holds when it is not. */
const DEFAULTS: Record<string, string> = {
  patients: '1000',
  shards: '4',
  seed: '42',
  source: `''`,
  source_id: `$exists($states.input.source) ? 'fhir' : 'synthetic'`,
  complete: 'false',
  engine: `'datafusion'`,
};

/** JSONata writes a longer number with an exponent. */
const MAX_SEED = 999_999_999_999_999;

/** Conditions of a sound input, each with the message that says what was expected. */
const CHECKS: [condition: string, message: string][] = [
  [
    `$count($filter($keys($states.input), function($key) { $not($key in ${JSON.stringify(Object.keys(DEFAULTS))}) })) = 0`,
    `an unknown key, expected some of ${Object.keys(DEFAULTS).join(', ')}`,
  ],
  [text('$run_id', '/^[A-Za-z0-9][A-Za-z0-9_.-]*$/'), 'the name of the execution, expected letters, digits, -, _ or .'],
  [whole('$patients', 1, 100_000_000), 'patients, expected a whole number from 1 to 100000000'],
  [whole('$shards', 1, 10_000), 'shards, expected a whole number from 1 to 10000'],
  [whole('$seed', 0, MAX_SEED), `seed, expected a whole number from 0 to ${MAX_SEED}`],
  [
    `$source = '' or (${text('$source', `/^\\${WORK}\\/import\\/[A-Za-z0-9._\\/-]+$/`)} and $not($contains($source, '..')))`,
    `source, expected a path below ${WORK}/import`,
  ],
  [
    `$source = '' or $not($exists($states.input.patients) or $exists($states.input.shards) or $exists($states.input.seed))`,
    'source together with patients, shards or seed: the one reads patients, the others make them',
  ],
  [
    text('$source_id', '/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/'),
    'source_id, expected up to 64 letters, digits, -, _ or .',
  ],
  [`$type($complete) = 'boolean'`, 'complete, expected true or false'],
  [`$engine in ['datafusion', 'athena']`, 'engine, expected datafusion or athena'],
];

/** Where the generator of a run writes. */
const RUN_FOLDER = `'${WORK}/run/' & $run_id`;

/** Writes what became of the run beside the lake, where a query or a person finds it after the execution is gone. */
function record(status: string, more: Record<string, string>) {
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::aws-sdk:s3:putObject',
    TimeoutSeconds: 60,
    Arguments: {
      Bucket: '${Bucket}',
      Key: expression(`'runs/' & $run_id & '.json'`),
      ContentType: 'application/json',
      Body: {
        pipeline_run_id: expression('$run_id'),
        status: expression(status),
        started_at: expression('$states.context.Execution.StartTime'),
        ended_at: expression('$states.context.State.EnteredTime'),
        input: expression('$states.context.Execution.Input'),
        ...more,
      },
    },
    Retry: [
      { ErrorEquals: ['States.ALL'], IntervalSeconds: 2, BackoffRate: 2, MaxAttempts: 5, JitterStrategy: 'FULL' },
    ],
    Output: {},
  };
}

function publish(subject: string, message: string) {
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::sns:publish',
    TimeoutSeconds: 60,
    Arguments: { TopicArn: '${Topic}', Subject: subject, Message: expression(message) },
    Output: {},
  };
}

/** The definition, with at most so many shards at work at once. */
export function definition(maxConcurrency: number) {
  const assigned = Object.entries(DEFAULTS).map(([key, value]) => {
    const given = `$states.input.${key}`;
    return [key, expression(`$exists(${given}) ? ${given} : (${value})`)];
  });
  return {
    Comment: 'healthlake: from a seed, or from files of FHIR R4, to checked tables',
    QueryLanguage: 'JSONata',
    TimeoutSeconds: RUN_TIMEOUT_SECONDS,
    StartAt: 'ReadInput',
    States: {
      ReadInput: {
        Type: 'Pass',
        Assign: { run_id: expression('$states.context.Execution.Name'), findings: [], ...Object.fromEntries(assigned) },
        Next: 'CheckInput',
      },
      CheckInput: {
        Type: 'Pass',
        Assign: {
          stage: 'input',
          error: 'InvalidInput',
          cause: expression(
            `$join([${CHECKS.map(([condition, message]) => `$not(${condition}) ? ${JSON.stringify(message)}`).join(', ')}], '; ')`,
          ),
        },
        Next: 'IsInputSound',
      },
      IsInputSound: {
        Type: 'Choice',
        Choices: [
          { Condition: expression(`$cause != ''`), Next: 'RecordFailure' },
          { Condition: expression(`$source = ''`), Next: 'PlanShards' },
        ],
        Default: 'MapResources',
      },
      PlanShards: {
        Type: 'Pass',
        Output: {
          shards: expression(`[$map([1..$shards], function($k) { $string($k) & '/' & $string($shards) })]`),
        },
        Next: 'GenerateShards',
      },
      GenerateShards: {
        Type: 'Map',
        Label: 'Shard',
        Items: expression('$states.input.shards'),
        // A child execution sees nothing of its parent but this.
        ItemSelector: {
          shard: expression('$states.context.Map.Item.Value'),
          run_id: expression('$run_id'),
          patients: expression('$patients'),
          seed: expression('$seed'),
        },
        MaxConcurrency: maxConcurrency,
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
          StartAt: 'Generate',
          States: {
            Generate: {
              ...runTask(
                'generate',
                `['generate', '--patients', $string($states.input.patients), '--seed', $string($states.input.seed),
                  '--shard', $states.input.shard, '--output', '${WORK}/run/' & $states.input.run_id]`,
                '$states.input.run_id',
              ),
              End: true,
            },
          },
        },
        Output: {},
        Catch: catchAll('generate', 'RecordFailure'),
        Next: 'MapResources',
      },
      // All of it is one transaction: nothing of a run is visible before every shard of it is there.
      ...stage(
        'MapResources',
        'etl',
        `['etl', $source = '' ? ${RUN_FOLDER} & '/fhir' : $source, '--source-id', $source_id,
          $complete or $source = '' ? '--complete']`,
        'BuildModels',
      ),
      ...stage('BuildModels', 'sql', `['sql', 'run', '--engine', $engine]`, 'Validate'),
      ...stage(
        'Validate',
        'validate',
        `['validate', '--source-id', $source_id, '--report', '${WORK}/report/' & $run_id,
          $source = '' ? ['--oracle', ${RUN_FOLDER} & '/omop'] : []]`,
        'Report',
      ),
      Report: {
        ...record(`$count($findings) = 0 ? 'passed' : 'findings'`, { findings: expression('$findings') }),
        Catch: catchAll('report', 'Notify'),
        Next: 'HasFindings',
      },
      HasFindings: {
        Type: 'Choice',
        Choices: [{ Condition: expression('$count($findings) > 0'), Next: 'NotifyFindings' }],
        Default: 'Done',
      },
      NotifyFindings: {
        ...publish(
          'healthlake: findings',
          `'Run ' & $run_id & ' is done and has findings in: ' & $join($findings, ', ')`,
        ),
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Done' }],
        Next: 'Done',
      },
      Done: {
        Type: 'Succeed',
        Output: {
          pipeline_run_id: expression('$run_id'),
          status: expression(`$count($findings) = 0 ? 'passed' : 'findings'`),
        },
      },
      RecordFailure: {
        ...record(`'failed'`, {
          stage: expression('$stage'),
          error: expression('$error'),
          cause: expression('$cause'),
        }),
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Notify' }],
        Next: 'Notify',
      },
      Notify: {
        ...publish('healthlake: failed', `'Run ' & $run_id & ' failed in ' & $stage & ': ' & $error`),
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Failed' }],
        Next: 'Failed',
      },
      // Names that begin with States. belong to Step Functions.
      Failed: {
        Type: 'Fail',
        Error: expression(`$replace($error, /^States\\./, '')`),
        Cause: expression(`$stage & ': ' & $cause`),
      },
    },
  };
}
