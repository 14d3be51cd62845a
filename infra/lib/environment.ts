// The three stacks of one environment.

import { App, StackProps } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { acknowledge } from './allow';
import { NetworkStack } from './network-stack';
import { PipelineStack } from './pipeline-stack';
import { TaskName } from './state-machine';
import { StorageStack } from './storage-stack';
import { TaskSize } from './task';

/** What an environment decides. */
export interface Environment {
  /** What one query in Athena may scan, in bytes. */
  readonly scanLimitBytes: number;
  /** Days that a snapshot of a table can be read. */
  readonly snapshotRetentionDays: number;
  /** How long logs are kept. */
  readonly logRetention: RetentionDays;
  /** Shards at work at once. */
  readonly maxConcurrency: number;
  /** What each stage gets. */
  readonly sizes: Record<TaskName, TaskSize>;
}

/**
 * Adds the stacks. What changes from deployment to deployment comes as context:
 * `imageTag`, `natGateways`, `optimizedTables` (comma-separated, once the tables are there), and `schedule=on`.
 */
export function addStacks(app: App, environment: Environment) {
  const context = (key: string, otherwise: string): string => app.node.tryGetContext(key) ?? otherwise;
  const { logRetention, maxConcurrency, sizes } = environment;
  const everywhere: StackProps = { terminationProtection: true };
  const storage = new StorageStack(app, 'HealthlakeStorage', {
    ...everywhere,
    scanLimitBytes: environment.scanLimitBytes,
    snapshotRetentionDays: environment.snapshotRetentionDays,
    optimizedTables: context('optimizedTables', '')
      .split(',')
      .filter((name) => name !== ''),
  });
  const network = new NetworkStack(app, 'HealthlakeNetwork', {
    ...everywhere,
    key: storage.key,
    natGateways: Number(context('natGateways', '0')),
    logRetention,
  });
  const pipeline = new PipelineStack(app, 'HealthlakePipeline', {
    ...everywhere,
    storage,
    network,
    imageTag: context('imageTag', '0.1.0'),
    maxConcurrency,
    sizes,
    logRetention,
    schedule: {
      expression: 'cron(0 3 * * ? *)',
      input: { patients: 1000, shards: 4, seed: 42 },
      enabled: context('schedule', 'off') === 'on',
    },
  });
  for (const stack of [storage, network, pipeline]) {
    acknowledge(stack, {
      'HIPAA.Security-IAMNoInlinePolicy':
        'Each policy belongs to one role and goes with it; none can be attached elsewhere.',
    });
  }
  return { storage, network, pipeline };
}
