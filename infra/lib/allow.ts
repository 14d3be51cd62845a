// Permissions, each with what cdk-nag has to be told about it.

import { Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { IConstruct } from 'constructs';

/** Says why findings of cdk-nag on a construct, and on what stands below it, are as they should be. */
export function acknowledge(construct: IConstruct, reasons: Record<string, string>) {
  for (const [id, reason] of Object.entries(reasons)) {
    Validations.of(construct).acknowledge({ id, reason });
  }
}

/** What is allowed. */
export interface Permission {
  readonly actions: string[];
  readonly resources: string[];
  readonly conditions?: Record<string, Record<string, string | string[]>>;
  /** Why a resource with a star is as narrow as can be; it must be given for each such resource. */
  readonly becauseOfStar?: string;
}

/** Adds permissions to a role. */
export function allow(role: iam.IRole, ...permissions: Permission[]) {
  for (const { becauseOfStar, ...permission } of permissions) {
    role.addToPrincipalPolicy(new iam.PolicyStatement(permission));
    for (const resource of permission.resources) {
      const name = readable(Stack.of(role).resolve(resource));
      if (name.includes('*')) {
        if (becauseOfStar === undefined) {
          throw new Error(`\`${name}\` has a star and no reason`);
        }
        acknowledge(role, { [`AwsSolutions-IAM5[Resource::${name}]`]: becauseOfStar });
      }
    }
  }
}

/** A resolved string as cdk-nag writes it: what is only known at deployment in angle brackets. */
function readable(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  const [[operation, operand]] = Object.entries(value as object) as [[string, any]];
  switch (operation) {
    case 'Ref':
      return `<${operand}>`;
    case 'Fn::GetAtt':
      return `<${operand.join('.')}>`;
    case 'Fn::Join':
      return operand[1].map(readable).join(operand[0]);
    default:
      throw new Error(`no name is known for ${operation}`);
  }
}
