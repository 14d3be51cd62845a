// The stacks of one environment, synthesized for a test.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { addStacks } from '../lib/environment';

/** The folder `infra` of the checkout; the tests run from `dist/test`. */
export const INFRA = join(__dirname, '..', '..');

const size = { cpu: 1024, memoryMiB: 2048, diskGiB: 21 };

export function makeApp(context: Record<string, string> = {}) {
  const settings = JSON.parse(readFileSync(join(INFRA, 'cdk.json'), 'utf8'));
  const app = new App({ context: { ...settings.context, ...context } });
  const stacks = addStacks(app, {
    scanLimitBytes: 10_000_000_000,
    snapshotRetentionDays: 7,
    logRetention: RetentionDays.ONE_MONTH,
    maxConcurrency: 10,
    sizes: { generate: size, etl: size, sql: size, validate: size },
  });
  return { app, ...stacks };
}

const synthesized = new Map<string, Record<'storage' | 'network' | 'pipeline', Template>>();

export function synthesize(context: Record<string, string> = {}) {
  const key = JSON.stringify(context);
  let templates = synthesized.get(key);
  if (templates === undefined) {
    const { storage, network, pipeline } = makeApp(context);
    templates = {
      storage: Template.fromStack(storage),
      network: Template.fromStack(network),
      pipeline: Template.fromStack(pipeline),
    };
    synthesized.set(key, templates);
  }
  return templates;
}

/** The definition of the state machine as it was rendered. */
export function renderedDefinition(pipeline: Template) {
  const [machine] = Object.values(pipeline.findResources('AWS::StepFunctions::StateMachine'));
  return {
    definition: JSON.parse(machine!.Properties.DefinitionString),
    substitutions: machine!.Properties.DefinitionSubstitutions as Record<string, unknown>,
  };
}

/** Every statement of every policy of a role, by the start of the role's logical id. */
export function statementsOf(template: Template, role: string): { Action: string | string[]; Resource: unknown }[] {
  const policies = Object.values(template.findResources('AWS::IAM::Policy'));
  const ofRole = policies.filter((policy) =>
    policy.Properties.Roles.some((ref: { Ref: string }) => ref.Ref.startsWith(role)),
  );
  return ofRole.flatMap((policy) => policy.Properties.PolicyDocument.Statement);
}
