import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { INFRA, synthesize } from './synthesized';

// What a stack consists of, short enough to be read: the number of its resources by type.
for (const [stack, template] of Object.entries(synthesize())) {
  test(`the resources of ${stack} are those of its snapshot`, () => {
    const counts = new Map<string, number>();
    for (const { Type } of Object.values(template.toJSON().Resources) as { Type: string }[]) {
      counts.set(Type, (counts.get(Type) ?? 0) + 1);
    }
    const text = [...counts]
      .sort()
      .map(([type, count]) => `${String(count).padStart(3)} ${type}\n`)
      .join('');
    const file = join(INFRA, 'test', 'snapshot', `${stack}.txt`);
    if (process.env.HEALTHLAKE_TEST_RENEW) {
      writeFileSync(file, text);
    }
    assert.equal(text, readFileSync(file, 'utf8'), 'HEALTHLAKE_TEST_RENEW=1 writes it anew');
  });
}
