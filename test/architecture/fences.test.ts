/**
 * The arrows of docs/architecture.md hold because tools refuse what breaks them, and rules rot silently: a pattern that
 * matches nothing looks like a clean house. So each violation is planted in a copy and has to be caught.
 */
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownFolder } from '../support/folder.ts'

const root = new URL('../..', import.meta.url).pathname
const tool = (name: string) => join(root, 'node_modules/.bin', name)

/** Where it is planted, what is planted, and the rule that has to name it. */
const VIOLATIONS: readonly (readonly [file: string, text: string, rule: string])[] = [
  ['schema/a.ts', `export * from '../agent/platform.ts'`, 'no-restricted-imports'],
  ['schema/b.ts', `export * from 'node:fs'`, 'no-restricted-imports'],
  ['schema/c.ts', `export * from './tables.ts'`, 'no-restricted-imports'],
  ['schema/pipeline/a.ts', `export * from '../../coordinator/core/judge.ts'`, 'no-restricted-imports'],
  ['schema/pipeline/b.ts', `export * from '../tables.ts'`, 'no-restricted-imports'],
  ['schema/pipeline/c.ts', `export * from 'node:fs'`, 'no-restricted-imports'],
  ['coordinator/core/a.ts', `export * from '../store/sql.ts'`, 'no-restricted-imports'],
  ['coordinator/core/b.ts', `export * from '../environment.ts'`, 'no-restricted-imports'],
  ['coordinator/core/c.ts', `export * from '../../agent/platform.ts'`, 'no-restricted-imports'],
  ['coordinator/core/d.ts', `export * from '../../schema/tables.ts'`, 'no-restricted-imports'],
  ['coordinator/core/e.ts', `export * from 'zod'`, 'no-restricted-imports'],
  ['coordinator/core/f.ts', `export * from 'node:crypto'`, 'no-restricted-imports'],
  ['coordinator/core/g.ts', `export const now = () => Date.now()`, 'no-restricted-globals'],
  ['coordinator/core/h.ts', `export const chance = () => Math.random()`, 'no-restricted-properties'],
  ['coordinator/core/i.ts', `export async function decide() {}`, 'no-async-await'],
  ['coordinator/core/j.ts', `export const later = new Promise(() => {})`, 'no-restricted-globals'],
  ['coordinator/store/a.ts', `export * from '../objects/scheduler.ts'`, 'no-restricted-imports'],
  ['coordinator/store/b.ts', `export * from 'cloudflare:workers'`, 'no-restricted-imports'],
  ['coordinator/objects/a.ts', `export * from '../http/api.ts'`, 'no-restricted-imports'],
  ['coordinator/objects/b.ts', `export * from '../../schema/tables.ts'`, 'no-restricted-imports'],
  ['coordinator/objects/c.ts', `export * from 'drizzle-orm/durable-sqlite'`, 'no-restricted-imports'],
  ['coordinator/http/a.ts', `export * from '../store/read.ts'`, 'no-restricted-imports'],
  ['coordinator/http/b.ts', `export * from '../core/judge.ts'`, 'no-restricted-imports'],
  ['coordinator/http/c.ts', `export * from 'cloudflare:workers'`, 'no-restricted-imports'],
  ['coordinator/http/d.ts', `export * from '../../agent/platform.ts'`, 'no-restricted-imports'],
  ['coordinator/pages/a.tsx', `export * from '../store/read.ts'`, 'no-restricted-imports'],
  ['coordinator/pages/b.tsx', `export * from 'drizzle-orm'`, 'no-restricted-imports'],
  ['coordinator/trust/a.ts', `export * from '../objects/scheduler-api.ts'`, 'no-restricted-imports'],
  ['coordinator/forge/a.ts', `export * from '../objects/scheduler-api.ts'`, 'no-restricted-imports'],
  ['coordinator/blobs.ts', `export * from '../schema/tables.ts'`, 'no-restricted-imports'],
  ['coordinator/worker.ts', `export * from './store/read.ts'`, 'no-restricted-imports'],
  ['coordinator/environment.ts', `export const token = process.env['KEDGE_TOKEN']`, 'no-restricted-properties'],
  ['agent/agent.ts', `export * from './cli/main.ts'`, 'no-restricted-imports'],
  ['agent/loop/a.ts', `export * from '../cli/output.ts'`, 'no-restricted-imports'],
  ['agent/loop/b.ts', `export * from '../../coordinator/core/judge.ts'`, 'no-restricted-imports'],
  ['agent/runner/a.ts', `export * from '../loop/sync.ts'`, 'no-restricted-imports'],
  ['agent/checkout/a.ts', `export * from '../agent.ts'`, 'no-restricted-imports'],
  ['agent/spool/a.ts', `export * from '../loop/sync.ts'`, 'no-restricted-imports'],
  ['agent/log/a.ts', `export * from '../cli/output.ts'`, 'no-restricted-imports'],
  ['agent/checkout/b.ts', `export * from '../spool/identity.ts'`, 'no-restricted-imports'],
  ['agent/log/b.ts', `export * from '../spool/entry.ts'`, 'no-restricted-imports'],
  ['agent/runner/b.ts', `export * from '../log/upload.ts'`, 'no-restricted-imports'],
  ['agent/artifacts/a.ts', `export * from '../cli/output.ts'`, 'no-restricted-imports'],
  ['agent/log/c.ts', `export * from '../artifacts/find.ts'`, 'no-restricted-imports'],
  ['agent/spool/f.ts', `export * from '../checkout/mirror.ts'`, 'no-restricted-imports'],
  ['agent/cli/a.ts', `export * from 'miniflare'`, 'no-restricted-imports'],
  ['agent/cli/b.ts', `process.kill(1)`, 'no-restricted-properties'],
  ['agent/embedded.ts', `export * from '../coordinator/objects/scheduler.ts'`, 'no-restricted-imports'],
  ['agent/runner/command.ts', `process.kill(-1, 'SIGKILL')`, 'no-restricted-properties'],
  ['agent/runner/process-tree.ts', `export const path = process.env['PATH']`, 'no-restricted-properties'],
  ['agent/spool/b.ts', `export const { env } = process`, 'no-restricted-properties'],
  ['agent/spool/c.ts', `export { env } from 'node:process'`, 'no-restricted-imports'],
  ['agent/spool/d.ts', `export const loose = (value: any) => value`, 'no-explicit-any'],
  ['agent/spool/e.ts', `export const sure = (value: string | null) => value!.length`, 'no-non-null-assertion'],
  ['agent/runner/whole.ts', `import type { Part } from './part.ts'\nexport type Whole = Part[]`, 'no-cycle'],
  ['agent/loop/round.ts', `import { b } from './about.ts'\nexport const a = () => b`, 'no-cycle'],
]

/** What the same places may do: a rule that refuses everything proves nothing. */
const ALLOWED: readonly (readonly [file: string, text: string])[] = [
  ['schema/tables.ts', `export * from 'drizzle-orm/sqlite-core'`],
  ['schema/fine.ts', `export * from './job.ts'\nexport * from 'zod'`],
  ['schema/pipeline/fine.ts', `export * from '../nearest.ts'\nexport * from 'yaml'`],
  ['coordinator/core/fine.ts', `export * from '../../schema/job.ts'\nexport * from './i.ts'`],
  ['coordinator/store/fine.ts', `export * from '../../schema/tables.ts'\nexport * from 'drizzle-orm'\nexport * from '../core/i.ts'`],
  ['coordinator/objects/fine.ts', `export * from 'cloudflare:workers'\nexport * from '../store/read.ts'`],
  ['coordinator/http/fine.ts', `export * from '../objects/scheduler-api.ts'\nexport * from 'hono'`],
  ['coordinator/forge/fine.ts', `export * from '../trust/tokens.ts'\nexport * from '../../schema/forges.ts'`],
  ['agent/loop/fine.ts', `export * from '../runner/attempt.ts'\nexport * from '../platform.ts'`],
  ['agent/checkout/fine.ts', `export * from '../lock.ts'\nexport * from '../platform.ts'`],
  ['agent/log/fine.ts', `export * from '../exchange.ts'`],
  ['agent/runner/fine.ts', `export * from '../spool/results.ts'`],
  ['agent/cli/also.ts', `export * from '../artifacts/find.ts'`],
  ['agent/spool/fine.ts', `export * from '../log/measure.ts'`],
  ['agent/cli/fine.ts', `export const path = process.env['PATH']\nexport * from '../agent.ts'`],
  ['agent/runner/part.ts', `import type { Whole } from './whole.ts'\nexport interface Part { readonly of: Whole }`],
  ['agent/loop/about.ts', `export * from './round.ts'\nexport const b = 1`],
]

describe('oxlint refuses', () => {
  let copy = ''
  let found: readonly { readonly filename: string; readonly code: string }[] = []

  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'kedge-test-'))
    await cp(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'))
    for (const [file, text] of [...VIOLATIONS, ...ALLOWED]) {
      await mkdir(join(copy, dirname(file)), { recursive: true })
      await writeFile(join(copy, file), `${text}\n`)
    }
    const { stdout } = spawnSync(tool('oxlint'), ['--format', 'json'], { cwd: copy, encoding: 'utf8' })
    found = JSON.parse(stdout).diagnostics
  })
  afterAll(() => rm(copy, { recursive: true }))

  test.each(VIOLATIONS)('%s %j by %s', (file, _text, rule) => {
    expect(found.filter(({ filename }) => filename === file).map(({ code }) => /\((.*)\)/.exec(code)?.[1])).toEqual([rule])
  })

  test.each(ALLOWED)('nothing in %s', (file) => {
    expect(found.filter(({ filename, code }) => filename === file && !code.includes('no-cycle'))).toEqual([])
  })
})

describe.each(['coordinator/core', 'schema'])('the compiler refuses in %s', (room) => {
  test('what only some platform has', async () => {
    const platforms = ['fetch', 'setTimeout', 'process', 'crypto', 'console', 'document', 'Buffer']
    const copy = await ownFolder()
    for (const part of ['coordinator/core', 'schema', 'tsconfig.base.json']) await cp(join(root, part), join(copy, part), { recursive: true })
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
    await writeFile(join(copy, room, 'planted.ts'), `export const planted = [${platforms.join(', ')}]\n`)
    const { stdout } = spawnSync(tool('tsc'), ['-p', room], { cwd: copy, encoding: 'utf8' })
    expect([...stdout.matchAll(/planted\.ts.*Cannot find name '(\w+)'/g)].map(([, name]) => name)).toEqual(platforms)
  })
})
