// The containers of the pipeline: one task definition and one role per stage, each with what its stage needs.

import { Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge, allow } from './allow';
import { TaskName, WORK } from './state-machine';
import { LAKE_PREFIX, NAMESPACES, Namespace, RESULTS_PREFIX, StorageStack } from './storage-stack';
import { WorkArea } from './work-area';

/** What a stage may do, and what it gets to do it. */
export interface TaskSize {
  /** CPU units; 1024 are one core. */
  readonly cpu: number;
  readonly memoryMiB: number;
  /** Disk of the task, for what does not fit in memory: 21 to 200. */
  readonly diskGiB: number;
}

interface Need {
  /** How the stage sees the work area. */
  readonly work: 'none' | 'read' | 'write';
  /** Namespaces whose tables it commits; it reads all of them. Without any it does not see the lake. */
  readonly commits: readonly Namespace[];
  /** Namespaces in which it makes views, which are properties of their databases. */
  readonly makesViews: readonly Namespace[];
  /** Whether it may have its work done by Athena. */
  readonly queries: boolean;
}

/** Least privilege, stage by stage. */
export const NEEDS: Record<TaskName, Need> = {
  generate: { work: 'write', commits: [], makesViews: [], queries: false },
  etl: { work: 'read', commits: ['raw', 'fhir', 'omop', 'vocabulary', 'quality'], makesViews: [], queries: false },
  sql: { work: 'none', commits: ['staging', 'marts', 'metrics'], makesViews: ['staging'], queries: true },
  validate: { work: 'write', commits: ['quality'], makesViews: [], queries: false },
};

export interface TaskProps {
  readonly name: TaskName;
  readonly size: TaskSize;
  readonly image: ecs.ContainerImage;
  readonly storage: StorageStack;
  readonly workArea: WorkArea;
  readonly logGroup: logs.ILogGroup;
}

export class Task extends Construct {
  readonly definition: ecs.FargateTaskDefinition;

  constructor(scope: Construct, id: string, props: TaskProps) {
    super(scope, id);
    const { name, size } = props;
    this.definition = new ecs.FargateTaskDefinition(this, 'Definition', {
      family: `healthlake-${name}`,
      cpu: size.cpu,
      memoryLimitMiB: size.memoryMiB,
      ephemeralStorageGiB: size.diskGiB,
      runtimePlatform: {
        cpuArchitecture: ecs.CpuArchitecture.X86_64,
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
      },
    });
    const container = this.definition.addContainer(name, {
      image: props.image,
      // Each run gives its own; this one is what a task that is started by hand does.
      command: [name, '--help'],
      environment: {
        HEALTHLAKE_LAKE_PATH: props.storage.bucket.s3UrlForObject(LAKE_PREFIX),
        HEALTHLAKE_LAKE_CATALOG: 'glue',
        HEALTHLAKE_ATHENA_WORKGROUP: props.storage.workgroup.name,
        // What can be made again from the tables; the rest of the file system is read-only.
        HEALTHLAKE_LAKE_FOLDER: '/tmp/lake',
        // Queries spill before the task is killed for want of memory.
        HEALTHLAKE_LAKE_MEMORY_LIMIT_MIB: String(size.memoryMiB / 2),
      },
      logging: ecs.LogDrivers.awsLogs({ logGroup: props.logGroup, streamPrefix: name }),
      readonlyRootFilesystem: true,
      user: '10001:10001',
    });
    this.definition.addVolume({ name: 'scratch' });
    container.addMountPoints({ sourceVolume: 'scratch', containerPath: '/tmp', readOnly: false });
    const need = NEEDS[name];
    if (need.work !== 'none') {
      this.definition.addVolume(props.workArea.volume('work'));
      container.addMountPoints({ sourceVolume: 'work', containerPath: WORK, readOnly: need.work === 'read' });
      props.workArea.grant(this.definition.taskRole, need.work === 'write');
    }
    if (need.commits.length > 0) {
      this.grantLake(props.storage, need);
    }
    if (need.queries) {
      this.grantAthena(props.storage);
    }
    acknowledge(this, {
      'AwsSolutions-ECS2': 'The variables say where the lake is and how much memory there is; none is a secret.',
    });
  }

  /** Athena reads and writes tables with the rights of whoever asks; beside these it wants its results' folder. */
  private grantAthena(storage: StorageStack) {
    const { partition, region, account } = Stack.of(this);
    allow(
      this.definition.taskRole,
      {
        actions: [
          'athena:StartQueryExecution',
          'athena:StopQueryExecution',
          'athena:GetQueryExecution',
          'athena:GetQueryResults',
        ],
        resources: [`arn:${partition}:athena:${region}:${account}:workgroup/${storage.workgroup.name}`],
      },
      { actions: ['s3:GetBucketLocation'], resources: [storage.bucketArn] },
      ...storage.folderPermissions([RESULTS_PREFIX], true),
    );
  }

  private grantLake(storage: StorageStack, { commits, makesViews }: Need) {
    const { partition, region, account } = Stack.of(this);
    const arn = (resource: string) => `arn:${partition}:glue:${region}:${account}:${resource}`;
    const tables = (namespaces: readonly Namespace[]) => [
      arn('catalog'),
      ...namespaces.flatMap((name) => [arn(`database/${name}`), arn(`table/${name}/*`)]),
    ];
    const becauseOfStar = 'Models and views of the user are tables too, so that only the namespace is known.';
    allow(
      this.definition.taskRole,
      ...storage.folderPermissions([LAKE_PREFIX], false),
      ...storage.folderPermissions(
        commits.map((namespace) => `${LAKE_PREFIX}/${namespace}`),
        true,
      ),
      {
        actions: ['glue:GetDatabase', 'glue:GetDatabases', 'glue:GetTable', 'glue:GetTables'],
        resources: tables(NAMESPACES),
        becauseOfStar,
      },
      {
        actions: ['glue:CreateTable', 'glue:UpdateTable', 'glue:DeleteTable'],
        resources: tables(commits),
        becauseOfStar,
      },
    );
    if (makesViews.length > 0) {
      const databases = makesViews.map((name) => arn(`database/${name}`));
      allow(this.definition.taskRole, { actions: ['glue:UpdateDatabase'], resources: [arn('catalog'), ...databases] });
    }
  }
}
