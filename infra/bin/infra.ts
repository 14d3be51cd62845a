// Which environments there are and how they differ. Everything else is in lib/.
//
//   npx cdk deploy --all                             development
//   npx cdk deploy --all -c environment=production

import { App, Tags, Validations } from 'aws-cdk-lib';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { AwsSolutionsChecks, HIPAASecurityChecks } from 'cdk-nag';
import { Environment, addStacks } from '../lib/environment';

const GIB = 2 ** 30;

const environments: Record<string, Environment> = {
  development: {
    scanLimitBytes: 10 * GIB,
    snapshotRetentionDays: 7,
    logRetention: RetentionDays.ONE_MONTH,
    maxConcurrency: 10,
    sizes: {
      generate: { cpu: 1024, memoryMiB: 2048, diskGiB: 21 },
      etl: { cpu: 2048, memoryMiB: 8192, diskGiB: 50 },
      sql: { cpu: 2048, memoryMiB: 8192, diskGiB: 50 },
      validate: { cpu: 2048, memoryMiB: 8192, diskGiB: 50 },
    },
  },
  production: {
    scanLimitBytes: 1024 * GIB,
    snapshotRetentionDays: 90,
    logRetention: RetentionDays.ONE_YEAR,
    maxConcurrency: 100,
    sizes: {
      generate: { cpu: 2048, memoryMiB: 4096, diskGiB: 21 },
      etl: { cpu: 16384, memoryMiB: 32768, diskGiB: 200 },
      sql: { cpu: 8192, memoryMiB: 32768, diskGiB: 200 },
      validate: { cpu: 8192, memoryMiB: 32768, diskGiB: 200 },
    },
  },
};

const app = new App();
const name: string = app.node.tryGetContext('environment') ?? 'development';
const environment = environments[name];
if (environment === undefined) {
  throw new Error(`there is no environment \`${name}\`, expected one of ${Object.keys(environments).join(', ')}`);
}
addStacks(app, environment);
Tags.of(app).add('application', 'healthlake');
Tags.of(app).add('environment', name);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new HIPAASecurityChecks(app));
app.synth();
