import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Match } from 'aws-cdk-lib/assertions';
import { synthesize } from './synthesized';

const { storage } = synthesize();

test('what holds data survives its stack', () => {
  for (const type of ['AWS::S3::Bucket', 'AWS::KMS::Key', 'AWS::Glue::Database']) {
    for (const [id, resource] of Object.entries(storage.findResources(type))) {
      assert.equal(resource.DeletionPolicy, 'Retain', id);
      assert.equal(resource.UpdateReplacePolicy, 'Retain', id);
    }
  }
});

test('the bucket is encrypted with our key, versioned and closed', () => {
  storage.hasResourceProperties('AWS::S3::Bucket', {
    BucketEncryption: {
      ServerSideEncryptionConfiguration: [
        { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } },
      ],
    },
    VersioningConfiguration: { Status: 'Enabled' },
    PublicAccessBlockConfiguration: {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    },
  });
  storage.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true });
});

test('no bucket answers without TLS', () => {
  const buckets = Object.keys(storage.findResources('AWS::S3::Bucket'));
  const policies = Object.values(storage.findResources('AWS::S3::BucketPolicy'));
  const closed = policies.filter((policy) =>
    policy.Properties.PolicyDocument.Statement.some(
      (statement: { Effect: string; Condition?: { Bool?: Record<string, string> } }) =>
        statement.Effect === 'Deny' && statement.Condition?.Bool?.['aws:SecureTransport'] === 'false',
    ),
  );
  assert.deepEqual(closed.map((policy) => policy.Properties.Bucket.Ref).sort(), buckets.sort());
});

test('every namespace has a database', () => {
  const databases = Object.values(storage.findResources('AWS::Glue::Database'));
  const names = databases.map((database) => database.Properties.DatabaseInput.Name).sort();
  assert.deepEqual(names, ['fhir', 'marts', 'metrics', 'omop', 'quality', 'raw', 'staging', 'vocabulary']);
});

test('a query in Athena cannot scan more than allowed, nor leave its results unencrypted', () => {
  storage.hasResourceProperties('AWS::Athena::WorkGroup', {
    WorkGroupConfiguration: {
      EnforceWorkGroupConfiguration: true,
      BytesScannedCutoffPerQuery: 10_000_000_000,
      ResultConfiguration: { EncryptionConfiguration: { EncryptionOption: 'SSE_KMS' } },
    },
  });
});

test('tables are optimized only when they are named, each in three ways', () => {
  storage.resourceCountIs('AWS::Glue::TableOptimizer', 0);
  const { storage: optimized } = synthesize({ optimizedTables: 'omop.measurement,fhir.observation' });
  optimized.resourceCountIs('AWS::Glue::TableOptimizer', 6);
  optimized.hasResourceProperties('AWS::Glue::TableOptimizer', {
    DatabaseName: 'omop',
    TableName: 'measurement',
    Type: 'retention',
    TableOptimizerConfiguration: {
      RetentionConfiguration: { IcebergConfiguration: Match.objectLike({ SnapshotRetentionPeriodInDays: 7 }) },
    },
  });
});
