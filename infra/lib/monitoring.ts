// Who is told when a run fails, and the one page that shows how runs are doing.

import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';

export interface MonitoringProps {
  readonly key: kms.IKey;
  readonly cluster: ecs.Cluster;
  readonly bucket: s3.IBucket;
}

export class Monitoring extends Construct {
  /** Subscribe to it to be told of findings and failures. */
  readonly topic: sns.Topic;
  private readonly props: MonitoringProps;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    this.props = props;
    this.topic = new sns.Topic(this, 'Topic', { masterKey: props.key, enforceSSL: true });
  }

  watch(stateMachine: sfn.StateMachine) {
    const period = Duration.minutes(5);
    const ended = {
      failed: stateMachine.metricFailed({ period }),
      timedOut: stateMachine.metricTimedOut({ period }),
      aborted: stateMachine.metricAborted({ period }),
      throttled: stateMachine.metricThrottled({ period }),
    };
    const alarms = Object.entries(ended).map(([how, metric]) => {
      const alarm = metric.createAlarm(this, `Alarm_${how}`, {
        alarmDescription: `A run of healthlake was ${how}`,
        threshold: 1,
        evaluationPeriods: 1,
        comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      });
      alarm.addAlarmAction(new actions.SnsAction(this.topic));
      return alarm;
    });
    const ofBucket = (storageType: string) =>
      new cloudwatch.Metric({
        namespace: 'AWS/S3',
        metricName: 'BucketSizeBytes',
        dimensionsMap: { BucketName: this.props.bucket.bucketName, StorageType: storageType },
        statistic: 'Average',
        period: Duration.days(1),
      });
    const ofCluster = (metricName: string) =>
      new cloudwatch.Metric({
        namespace: 'ECS/ContainerInsights',
        metricName,
        dimensionsMap: { ClusterName: this.props.cluster.clusterName },
        statistic: 'Average',
        period,
      });
    new cloudwatch.Dashboard(this, 'Dashboard', {
      widgets: [
        [
          new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms, width: 6 }),
          new cloudwatch.GraphWidget({
            title: 'Runs',
            left: [stateMachine.metricStarted({ period }), stateMachine.metricSucceeded({ period }), ended.failed],
            width: 9,
          }),
          new cloudwatch.GraphWidget({
            title: 'Duration of runs',
            left: [stateMachine.metricTime({ period })],
            width: 9,
          }),
        ],
        [
          new cloudwatch.GraphWidget({
            title: 'Tasks: CPU and memory in use',
            left: [ofCluster('CpuUtilized')],
            right: [ofCluster('MemoryUtilized')],
            width: 12,
          }),
          new cloudwatch.GraphWidget({ title: 'Bucket', left: [ofBucket('StandardStorage')], width: 12 }),
        ],
      ],
    });
  }
}
