// What may be replaced: image, tasks, state machine, schedule, and what watches over them.

import { CfnOutput, Duration, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { acknowledge, allow } from './allow';
import { Monitoring } from './monitoring';
import { NetworkStack } from './network-stack';
import { TaskName, definition } from './state-machine';
import { StorageStack } from './storage-stack';
import { Task, TaskSize } from './task';
import { WorkArea } from './work-area';

export interface PipelineStackProps extends StackProps {
  readonly storage: StorageStack;
  readonly network: NetworkStack;
  /** The image's tag in the repository: a version, since tags are never moved. */
  readonly imageTag: string;
  /** Shards at work at once. */
  readonly maxConcurrency: number;
  /** What each stage gets. */
  readonly sizes: Record<TaskName, TaskSize>;
  /** When to start a run by itself, and with what; the rule is made disabled, and enabling it is a decision of its own. */
  readonly schedule: { readonly expression: string; readonly input: object; readonly enabled: boolean };
  /** How long logs are kept. */
  readonly logRetention: logs.RetentionDays;
}

const STATE_MACHINE = 'healthlake';

export class PipelineStack extends Stack {
  readonly tasks: Record<TaskName, Task>;
  readonly stateMachine: sfn.StateMachine;
  private readonly props: PipelineStackProps;

  constructor(scope: Construct, id: string, props: PipelineStackProps) {
    super(scope, id, props);
    this.props = props;
    const { storage, network } = props;
    const workArea = new WorkArea(this, 'WorkArea', { vpc: network.vpc, subnets: network.subnets, key: storage.key });
    const repository = this.makeRepository();
    const image = ecs.ContainerImage.fromEcrRepository(repository, props.imageTag);
    const logGroup = this.makeLogGroup('TaskLogs');
    const task = (name: TaskName) =>
      new Task(this, `Task_${name}`, { name, size: props.sizes[name], image, storage, workArea, logGroup });
    this.tasks = { generate: task('generate'), etl: task('etl'), sql: task('sql'), validate: task('validate') };
    for (const { definition } of Object.values(this.tasks)) {
      acknowledge(definition, {
        'AwsSolutions-IAM5[Resource::*]':
          'ecr:GetAuthorizationToken knows no resource; all else of the execution role is named.',
      });
    }
    const cluster = new ecs.Cluster(this, 'Cluster', {
      vpc: network.vpc,
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
      enableFargateCapacityProviders: true,
    });
    const taskGroup = this.makeTaskGroup(workArea);
    const monitoring = new Monitoring(this, 'Monitoring', { key: storage.key, cluster, bucket: storage.bucket });
    this.stateMachine = this.makeStateMachine(cluster, taskGroup, monitoring);
    monitoring.watch(this.stateMachine);
    this.makeSchedule();
    new CfnOutput(this, 'StateMachineArn', { value: this.stateMachine.stateMachineArn });
  }

  private makeRepository() {
    return new ecr.Repository(this, 'Repository', {
      encryption: ecr.RepositoryEncryption.KMS,
      encryptionKey: this.props.storage.key,
      imageScanOnPush: true,
      imageTagMutability: ecr.TagMutability.IMMUTABLE,
      lifecycleRules: [{ maxImageCount: 20 }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  private makeLogGroup(id: string, logGroupName?: string) {
    return new logs.LogGroup(this, id, {
      logGroupName,
      encryptionKey: this.props.storage.key,
      retention: this.props.logRetention,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  private makeTaskGroup(workArea: WorkArea) {
    const group = new ec2.SecurityGroup(this, 'TaskGroup', {
      vpc: this.props.network.vpc,
      description: 'The tasks: nobody calls them, they call endpoints and the work area',
      allowAllOutbound: false,
    });
    // S3 is reached by its public addresses through the gateway endpoint; no other address has a route.
    group.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Services of AWS by their endpoints');
    workArea.fileSystem.connections.allowDefaultPortFrom(group, 'Tasks mount the work area');
    return group;
  }

  private makeStateMachine(cluster: ecs.Cluster, taskGroup: ec2.SecurityGroup, monitoring: Monitoring) {
    const { storage, network, maxConcurrency } = this.props;
    const taskArns = Object.fromEntries(
      Object.entries(this.tasks).map(([name, task]) => [`Task_${name}`, task.definition.taskDefinitionArn]),
    );
    const stateMachine = new sfn.StateMachine(this, 'StateMachine', {
      stateMachineName: STATE_MACHINE,
      definitionBody: sfn.DefinitionBody.fromString(JSON.stringify(definition(maxConcurrency))),
      definitionSubstitutions: {
        Cluster: cluster.clusterArn,
        Subnets: network.subnets.map((subnet) => subnet.subnetId).join(','),
        SecurityGroup: taskGroup.securityGroupId,
        Bucket: storage.bucket.bucketName,
        Topic: monitoring.topic.topicArn,
        ...taskArns,
      },
      tracingEnabled: true,
      logs: {
        destination: this.makeLogGroup('StateMachineLogs', `/aws/vendedlogs/states/${STATE_MACHINE}`),
        level: sfn.LogLevel.ALL,
        includeExecutionData: true,
      },
    });
    this.grantStateMachine(stateMachine, cluster, monitoring);
    acknowledge(stateMachine, {
      'AwsSolutions-IAM5[Resource::*]': 'Delivery of logs and of traces knows no resource.',
    });
    return stateMachine;
  }

  private grantStateMachine(stateMachine: sfn.StateMachine, cluster: ecs.Cluster, monitoring: Monitoring) {
    const { storage } = this.props;
    const definitions = Object.values(this.tasks).map((task) => task.definition);
    const roles = definitions.flatMap((definition) => [definition.taskRole, definition.obtainExecutionRole()]);
    const arn = (service: string, resource: string) =>
      `arn:${this.partition}:${service}:${this.region}:${this.account}:${resource}`;
    const inCluster = { ArnEquals: { 'ecs:cluster': cluster.clusterArn } };
    allow(
      stateMachine.role,
      {
        actions: ['ecs:RunTask'],
        resources: definitions.map((definition) => definition.taskDefinitionArn),
        conditions: inCluster,
      },
      {
        actions: ['ecs:StopTask', 'ecs:DescribeTasks'],
        resources: [arn('ecs', `task/${cluster.clusterName}/*`)],
        conditions: inCluster,
        becauseOfStar: 'A task has no name before it runs; those of this cluster are the pipeline.',
      },
      {
        actions: ['iam:PassRole'],
        resources: roles.map((role) => role.roleArn),
        conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
      },
      // How Step Functions learns that a task has stopped.
      {
        actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
        resources: [arn('events', 'rule/StepFunctionsGetEventsForECSTaskRule')],
      },
      // The shards are executions of this state machine's own.
      { actions: ['states:StartExecution'], resources: [arn('states', `stateMachine:${STATE_MACHINE}`)] },
      {
        actions: ['states:DescribeExecution', 'states:StopExecution', 'states:RedriveExecution'],
        resources: [arn('states', `execution:${STATE_MACHINE}:*`), arn('states', `execution:${STATE_MACHINE}/Shard:*`)],
        becauseOfStar: 'Step Functions names the executions of the shards itself.',
      },
      {
        actions: ['s3:PutObject'],
        resources: [`${storage.bucketArn}/runs/*`],
        becauseOfStar: 'The record of a run bears the name of the run.',
      },
      { actions: ['sns:Publish'], resources: [monitoring.topic.topicArn] },
      // Records are encrypted in the bucket, messages in the topic.
      { actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [storage.key.keyArn] },
    );
  }

  private makeSchedule() {
    const { expression, input, enabled } = this.props.schedule;
    new events.Rule(this, 'Schedule', {
      description: 'Starts a run by itself',
      schedule: events.Schedule.expression(expression),
      enabled,
      targets: [
        new targets.SfnStateMachine(this.stateMachine, {
          input: events.RuleTargetInput.fromObject(input),
          retryAttempts: 2,
          maxEventAge: Duration.hours(1),
        }),
      ],
    });
  }
}
