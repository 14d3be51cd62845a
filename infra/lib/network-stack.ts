// The network of the tasks: isolated subnets, and endpoints for the services that they call.

import { Stack, StackProps, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge } from './allow';

/** Addresses of the network. */
const CIDR = '10.40.0.0/16';

export interface NetworkStackProps extends StackProps {
  /** Encrypts the flow logs. */
  readonly key: kms.IKey;
  /** Gateways to the internet; 0 leaves the tasks with the endpoints only, which suffice for the pipeline. */
  readonly natGateways: number;
  /** How long flow logs are kept. */
  readonly logRetention: logs.RetentionDays;
}

export class NetworkStack extends Stack {
  readonly vpc: ec2.Vpc;
  /** Where the tasks run. */
  readonly subnets: ec2.ISubnet[];

  constructor(scope: Construct, id: string, props: NetworkStackProps) {
    super(scope, id, props);
    const withInternet = props.natGateways > 0;
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr(CIDR),
      maxAzs: 2,
      natGateways: props.natGateways,
      subnetConfiguration: withInternet
        ? [
            { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
            { name: 'task', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
          ]
        : [{ name: 'task', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
    });
    this.subnets = this.vpc.selectSubnets({ subnetGroupName: 'task' }).subnets;
    acknowledge(this.vpc, {
      'HIPAA.Security-VPCDefaultSecurityGroupClosed':
        'Nothing joins the default group: tasks, endpoints and mount targets each have a group of their own.',
    });
    if (withInternet) {
      acknowledge(this.vpc, {
        'HIPAA.Security-VPCNoUnrestrictedRouteToIGW': 'A gateway was asked for; only it stands in the public subnets.',
      });
    }
    this.logFlows(props);
    this.addEndpoints();
  }

  private logFlows(props: NetworkStackProps) {
    const group = new logs.LogGroup(this, 'FlowLogs', {
      encryptionKey: props.key,
      retention: props.logRetention,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.vpc.addFlowLog('FlowLog', { destination: ec2.FlowLogDestination.toCloudWatchLogs(group) });
  }

  private addEndpoints() {
    this.vpc.addGatewayEndpoint('S3', {
      service: ec2.GatewayVpcEndpointAwsService.S3,
      subnets: [{ subnets: this.subnets }],
    });
    const group = new ec2.SecurityGroup(this, 'EndpointGroup', {
      vpc: this.vpc,
      description: 'Endpoints of AWS services, from inside only',
      allowAllOutbound: false,
    });
    group.addIngressRule(ec2.Peer.ipv4(CIDR), ec2.Port.tcp(443), 'From inside');
    const { ATHENA, ECR, ECR_DOCKER, CLOUDWATCH_LOGS, GLUE } = ec2.InterfaceVpcEndpointAwsService;
    for (const [name, service] of Object.entries({
      Ecr: ECR,
      EcrDocker: ECR_DOCKER,
      Logs: CLOUDWATCH_LOGS,
      Glue: GLUE,
      Athena: ATHENA,
    })) {
      this.vpc.addInterfaceEndpoint(name, {
        service,
        subnets: { subnets: this.subnets },
        securityGroups: [group],
        privateDnsEnabled: true,
        open: false,
      });
    }
  }
}
