import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks, HIPAASecurityChecks } from 'cdk-nag';
import { makeApp } from './synthesized';

const variants: Record<string, Record<string, string>> = {
  'as it is': {},
  'with all that can be asked for': { natGateways: '1', optimizedTables: 'omop.measurement', schedule: 'on' },
};

interface Violation {
  ruleName: string;
  violatingConstructs: { constructPath: string }[];
}

/** What the packs find, as `rule construct`. */
function findings(app: App): string[] {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new HIPAASecurityChecks(app));
  try {
    app.synth();
  } catch {
    // With findings there is no assembly; the report is written all the same.
  }
  const { pluginReports } = JSON.parse(readFileSync(join(app.outdir, 'validation-report.json'), 'utf8'));
  const violations: Violation[] = pluginReports.flatMap((report: { violations: Violation[] }) => report.violations);
  return violations.flatMap(({ ruleName, violatingConstructs }) =>
    violatingConstructs.map(({ constructPath }) => `${ruleName} ${constructPath}`),
  );
}

for (const [name, context] of Object.entries(variants)) {
  test(`no finding of AwsSolutions or HIPAA is left unexplained, ${name}`, () => {
    assert.deepEqual(findings(makeApp(context).app), []);
  });
}

test('both packs find what is wrong with a bucket as it comes', () => {
  const app = new App();
  new Bucket(new Stack(app, 'Plain'), 'Bucket');
  const found = findings(app).join('\n');
  assert.match(found, /AwsSolutions-S1 /);
  assert.match(found, /HIPAA.Security-S3BucketVersioningEnabled /);
});
