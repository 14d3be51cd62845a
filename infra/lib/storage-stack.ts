// What must survive: the lake's bucket and its key, the databases of its catalog, and the workgroup that queries it.

import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, StackProps } from 'aws-cdk-lib';
import * as athena from 'aws-cdk-lib/aws-athena';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { Permission, acknowledge, allow } from './allow';

/** The namespaces of the lake: one Glue database each. */
export const NAMESPACES = ['raw', 'fhir', 'omop', 'vocabulary', 'staging', 'marts', 'metrics', 'quality'] as const;
export type Namespace = (typeof NAMESPACES)[number];

/** Where the lake's tables stand in the bucket. */
export const LAKE_PREFIX = 'lake';

/** Where Athena puts the results of queries. */
export const RESULTS_PREFIX = 'athena';

export interface StorageStackProps extends StackProps {
  /** What one query of the workgroup may scan before it is cancelled, in bytes; Athena asks for 10 MB at least. */
  readonly scanLimitBytes: number;
  /** Days that a snapshot of a table can be read before it expires. */
  readonly snapshotRetentionDays: number;
  /** Tables as `namespace.table` that Glue compacts and whose snapshots it expires. They must exist already. */
  readonly optimizedTables: readonly string[];
}

export class StorageStack extends Stack {
  readonly key: kms.Key;
  readonly bucket: s3.Bucket;
  readonly workgroup: athena.CfnWorkGroup;
  /** Known before deployment, so that permissions can be read; a name in S3 is worldwide. */
  readonly bucketArn: string;

  constructor(scope: Construct, id: string, props: StorageStackProps) {
    super(scope, id, props);
    this.key = this.makeKey();
    const bucketName = `healthlake-${this.account}-${this.region}`;
    this.bucketArn = `arn:${this.partition}:s3:::${bucketName}`;
    this.bucket = this.makeBucket(bucketName);
    for (const namespace of NAMESPACES) {
      this.makeDatabase(namespace);
    }
    this.workgroup = this.makeWorkgroup(props.scanLimitBytes);
    if (props.optimizedTables.length > 0) {
      this.optimize(props);
    }
    new CfnOutput(this, 'LakeLocation', { value: this.bucket.s3UrlForObject(LAKE_PREFIX) });
    new CfnOutput(this, 'WorkgroupName', { value: this.workgroup.name });
  }

  private makeKey() {
    const key = new kms.Key(this, 'Key', {
      alias: 'healthlake',
      description: 'The lake, its logs and its messages',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal(`logs.${this.region}.amazonaws.com`)],
        actions: ['kms:Encrypt*', 'kms:Decrypt*', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
        resources: ['*'],
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': this.formatArn({
              service: 'logs',
              resource: 'log-group:*',
              arnFormat: ArnFormat.NO_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [
          new iam.ServicePrincipal('cloudwatch.amazonaws.com'),
          new iam.ServicePrincipal('events.amazonaws.com'),
        ],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    );
    return key;
  }

  private makeBucket(bucketName: string) {
    const accessLogs = new s3.Bucket(this, 'AccessLogs', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      lifecycleRules: [{ expiration: Duration.days(400), noncurrentVersionExpiration: Duration.days(30) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(accessLogs, {
      'AwsSolutions-S1': 'The bucket of access logs does not log its own access, or it would never rest.',
      'HIPAA.Security-S3BucketLoggingEnabled':
        'The bucket of access logs does not log its own access, or it would never rest.',
      'HIPAA.Security-S3DefaultEncryptionKMS':
        'Server access logs can only be delivered to a bucket encrypted with keys of S3.',
      'HIPAA.Security-S3BucketReplicationEnabled': 'Access logs are kept in one region.',
    });
    const bucket = new s3.Bucket(this, 'Bucket', {
      bucketName,
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      versioned: true,
      serverAccessLogsBucket: accessLogs,
      serverAccessLogsPrefix: 'bucket/',
      lifecycleRules: [
        // Files of the lake go when a snapshot expires; their old versions are the way back from a mistake.
        {
          noncurrentVersionExpiration: Duration.days(30),
          abortIncompleteMultipartUploadAfter: Duration.days(7),
          expiredObjectDeleteMarker: true,
        },
        { prefix: `${RESULTS_PREFIX}/`, expiration: Duration.days(30) },
      ],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(bucket, {
      'HIPAA.Security-S3BucketReplicationEnabled':
        'Versions are kept for 30 days, and a lake can be built again from its seed or source; a second region is a choice.',
    });
    return bucket;
  }

  private makeDatabase(namespace: Namespace) {
    const database = new glue.CfnDatabase(this, `Database_${namespace}`, {
      catalogId: this.account,
      databaseInput: {
        name: namespace,
        locationUri: this.bucket.s3UrlForObject(`${LAKE_PREFIX}/${namespace}`),
      },
    });
    database.applyRemovalPolicy(RemovalPolicy.RETAIN);
  }

  private makeWorkgroup(scanLimitBytes: number) {
    return new athena.CfnWorkGroup(this, 'Workgroup', {
      name: 'healthlake',
      recursiveDeleteOption: false,
      workGroupConfiguration: {
        enforceWorkGroupConfiguration: true,
        bytesScannedCutoffPerQuery: scanLimitBytes,
        publishCloudWatchMetricsEnabled: true,
        engineVersion: { selectedEngineVersion: 'Athena engine version 3' },
        resultConfiguration: {
          outputLocation: this.bucket.s3UrlForObject(`${RESULTS_PREFIX}/`),
          encryptionConfiguration: { encryptionOption: 'SSE_KMS', kmsKey: this.key.keyArn },
        },
      },
    });
  }

  /** Reading or changing what stands below some folders of the bucket, with the key that it is encrypted with. */
  folderPermissions(folders: readonly string[], write: boolean): Permission[] {
    return [
      {
        actions: ['s3:GetObject', ...(write ? ['s3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'] : [])],
        resources: folders.map((folder) => `${this.bucketArn}/${folder}/*`),
        becauseOfStar: 'The files of a table have names of their own; the folder is the narrowest that can be named.',
      },
      {
        actions: ['s3:ListBucket'],
        resources: [this.bucketArn],
        conditions: { StringLike: { 's3:prefix': folders.map((folder) => `${folder}/*`) } },
      },
      { actions: ['kms:Decrypt', ...(write ? ['kms:GenerateDataKey'] : [])], resources: [this.key.keyArn] },
    ];
  }

  /** Compaction joins small files, retention expires snapshots, orphan deletion takes what killed runs left. */
  private optimize(props: StorageStackProps) {
    const namespaces = [...new Set(props.optimizedTables.map((table) => table.split('.')[0]!))];
    const role = new iam.Role(this, 'Optimizer', { assumedBy: new iam.ServicePrincipal('glue.amazonaws.com') });
    const logs = `arn:${this.partition}:logs:${this.region}:${this.account}:log-group:/aws-glue/iceberg-*`;
    const glueArn = (resource: string) => `arn:${this.partition}:glue:${this.region}:${this.account}:${resource}`;
    allow(
      role,
      ...this.folderPermissions(
        namespaces.map((namespace) => `${LAKE_PREFIX}/${namespace}`),
        true,
      ),
      {
        actions: ['glue:GetTable', 'glue:UpdateTable'],
        resources: [
          glueArn('catalog'),
          ...namespaces.map((namespace) => glueArn(`database/${namespace}`)),
          ...props.optimizedTables.map((table) => glueArn(`table/${table.replace('.', '/')}`)),
        ],
      },
      {
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logs, `${logs}:*`],
        becauseOfStar: 'Glue names the log groups of its optimizers itself.',
      },
    );
    for (const name of props.optimizedTables) {
      const [namespace, table] = name.split('.') as [string, string];
      for (const [type, configuration] of Object.entries(this.optimizerConfigurations(props, namespace, table))) {
        const optimizer = new glue.CfnTableOptimizer(this, `Optimizer_${namespace}_${table}_${type}`, {
          catalogId: this.account,
          databaseName: namespace,
          tableName: table,
          type,
          tableOptimizerConfiguration: { enabled: true, roleArn: role.roleArn, ...configuration },
        });
        optimizer.node.addDependency(role);
      }
    }
  }

  private optimizerConfigurations(props: StorageStackProps, namespace: string, table: string) {
    return {
      compaction: {},
      retention: {
        retentionConfiguration: {
          icebergConfiguration: {
            snapshotRetentionPeriodInDays: props.snapshotRetentionDays,
            // A run finds what it committed by its snapshots: the last ones stay however old they are.
            numberOfSnapshotsToRetain: 20,
            cleanExpiredFiles: true,
          },
        },
      },
      orphan_file_deletion: {
        orphanFileDeletionConfiguration: {
          icebergConfiguration: {
            // Longer than any run takes: files of a commit under way are no orphans.
            orphanFileRetentionPeriodInDays: 7,
            location: this.bucket.s3UrlForObject(`${LAKE_PREFIX}/${namespace}/${table}`),
          },
        },
      },
    };
  }
}
