// The file system that hands the generator's files to the mapping. All of it can be made again, or is a copy.

import { RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as efs from 'aws-cdk-lib/aws-efs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { acknowledge, allow } from './allow';

export interface WorkAreaProps {
  readonly vpc: ec2.IVpc;
  readonly subnets: ec2.ISubnet[];
  readonly key: kms.IKey;
}

export class WorkArea extends Construct {
  readonly fileSystem: efs.FileSystem;
  readonly accessPoint: efs.AccessPoint;

  constructor(scope: Construct, id: string, props: WorkAreaProps) {
    super(scope, id);
    const group = new ec2.SecurityGroup(this, 'Group', {
      vpc: props.vpc,
      description: 'The work area, from the tasks only',
      allowAllOutbound: false,
    });
    this.fileSystem = new efs.FileSystem(this, 'FileSystem', {
      vpc: props.vpc,
      vpcSubnets: { subnets: props.subnets },
      securityGroup: group,
      encrypted: true,
      kmsKey: props.key,
      throughputMode: efs.ThroughputMode.ELASTIC,
      // What a finished run left there is seldom read again.
      lifecyclePolicy: efs.LifecyclePolicy.AFTER_7_DAYS,
      enableAutomaticBackups: false,
      allowAnonymousAccess: false,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledge(this.fileSystem, {
      'HIPAA.Security-EFSInBackupPlan':
        'Generated files are made again from their seed, imported ones are copies that should not outlive their source.',
    });
    const owner = { uid: '10001', gid: '10001' };
    this.accessPoint = this.fileSystem.addAccessPoint('AccessPoint', {
      path: '/healthlake',
      posixUser: owner,
      createAcl: { ownerUid: owner.uid, ownerGid: owner.gid, permissions: '750' },
    });
  }

  /** The volume of a task definition. */
  volume(name: string): ecs.Volume {
    return {
      name,
      efsVolumeConfiguration: {
        fileSystemId: this.fileSystem.fileSystemId,
        transitEncryption: 'ENABLED',
        authorizationConfig: { accessPointId: this.accessPoint.accessPointId, iam: 'ENABLED' },
      },
    };
  }

  /** Lets a role mount the file system by the access point. */
  grant(role: iam.IRole, write: boolean) {
    allow(role, {
      actions: ['elasticfilesystem:ClientMount', ...(write ? ['elasticfilesystem:ClientWrite'] : [])],
      resources: [this.fileSystem.fileSystemArn],
      conditions: { StringEquals: { 'elasticfilesystem:AccessPointArn': this.accessPoint.accessPointArn } },
    });
  }
}
