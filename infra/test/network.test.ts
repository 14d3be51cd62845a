import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { synthesize } from './synthesized';

const { network } = synthesize();

test('no task can reach the internet unless it was asked for', () => {
  network.resourceCountIs('AWS::EC2::NatGateway', 0);
  network.resourceCountIs('AWS::EC2::InternetGateway', 0);
  synthesize({ natGateways: '1' }).network.resourceCountIs('AWS::EC2::NatGateway', 1);
});

test('what the tasks call has an endpoint', () => {
  const endpoints = Object.values(network.findResources('AWS::EC2::VPCEndpoint'));
  const names = endpoints.map((endpoint) => JSON.stringify(endpoint.Properties.ServiceName));
  for (const service of ['.s3', '.ecr.api', '.ecr.dkr', '.logs', '.glue', '.athena']) {
    assert.equal(names.filter((name) => name.includes(`${service}"`)).length, 1, service);
  }
});

test('flows are logged, encrypted, and the log is kept', () => {
  network.hasResourceProperties('AWS::EC2::FlowLog', { TrafficType: 'ALL', LogDestinationType: 'cloud-watch-logs' });
  for (const group of Object.values(network.findResources('AWS::Logs::LogGroup'))) {
    assert.ok(group.Properties.KmsKeyId);
    assert.equal(group.Properties.RetentionInDays, 30);
    assert.equal(group.DeletionPolicy, 'Retain');
  }
});
