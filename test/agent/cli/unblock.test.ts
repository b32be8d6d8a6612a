import { expect, test } from 'vitest'
import type { Field } from '../../../schema/pipeline/steps.ts'
import { createClient } from '../../../agent/cli/client.ts'
import { unblockBuild, type UnblockOptions } from '../../../agent/cli/unblock.ts'
import { answeringServer } from '../../support/answering-server.ts'

const VERSION: Field = { kind: 'text', key: 'version', label: 'Version', hint: 'such as 1.4.0', required: true, default: null, format: '[0-9.]+' }
const REGIONS: Field = {
  kind: 'select', key: 'regions', label: null, hint: null, required: false, multiple: true, default: ['eu'],
  options: [{ label: 'Europe', value: 'eu', hint: null, required: true }, { label: 'asia', value: 'asia', hint: null, required: null }],
}

interface Asking {
  readonly key?: string
  readonly label?: string
  readonly state?: string
  readonly fields?: readonly Field[]
}

/** A build `app#1` with these blocks behind its first step; `refusal` is what it answers to whoever lets one pass. */
async function blocked(blocks: readonly Asking[], refusal: { readonly code: string; readonly errors: readonly { path: string; message: string }[] } | null = null) {
  const steps = blocks.map(({ key = null, label = null, state = 'blocked', fields = [] }, index) => ({ step: index + 2, kind: 'block', key, label, state, fields }))
  const build = { project: 'app', number: 1, state: 'blocked', jobs: [], steps: [{ step: 1, kind: 'command', key: 'build', label: null, state: 'done', fields: [] }, ...steps] }
  const server = await answeringServer(({ method }) =>
    method === 'POST' && refusal !== null ? { status: 422, headers: { 'content-type': 'application/problem+json' }, body: { title: 'Refused', status: 422, detail: 'no', ...refusal } } : { body: method === 'POST' ? { ...build, state: 'running' } : build },
  )
  const printed: string[] = []
  const output = { line: (text: string) => printed.push(text), json: (value: unknown) => printed.push(JSON.stringify(value)), log: () => {}, note: (text: string) => printed.push(`(${text})`) }
  const unblock = (step?: string, options: UnblockOptions = {}, named = 'app#1') => unblockBuild(createClient({ url: server.url, token: null }), { build: named, step }, options, output)
  return { unblock, printed, sent: () => server.asked.filter(({ method }) => method === 'POST').map(({ path, body }) => ({ path, body })) }
}

test('the only block that asks need not be named', async () => {
  const { unblock, sent, printed } = await blocked([{ key: 'early', state: 'done' }, { label: 'Deploy?' }])
  expect(await unblock()).toBe(0)
  expect(sent()).toEqual([{ path: '/api/v1/projects/app/builds/1/steps/3/unblock', body: { fields: {} } }])
  expect(printed).toEqual(['app #1 running'])
})

test('where several ask, they are listed and none is let pass', async () => {
  const { unblock, sent } = await blocked([{ key: 'eu', label: 'Europe?' }, { label: 'Asia?' }, { key: 'moon' }])
  await expect(unblock()).rejects.toMatchObject({ exitCode: 2, message: 'app#1 asks 3 times; say which: eu (Europe?), 3 (Asia?), moon' })
  expect(sent()).toEqual([])
})

test('where nobody is asked, it says so', async () => {
  await expect((await blocked([])).unblock()).rejects.toMatchObject({ exitCode: 2, message: 'app#1 is blocked and asks nobody: it has no block.' })
  await expect((await blocked([{ state: 'waiting' }])).unblock()).rejects.toThrow('none of its blocks is open')
})

test.each([
  ['moon', 4],
  ['3', 3],
])('a block is named by its key or number: %s', async (name, step) => {
  const { unblock, sent } = await blocked([{ key: 'eu' }, {}, { key: 'moon' }])
  await unblock(name)
  expect(sent()[0]?.path).toBe(`/api/v1/projects/app/builds/1/steps/${step}/unblock`)
})

test.each(['', '..', 'mars', '9'])('a step that is not there is refused with those that are: %j', async (name) => {
  const { unblock, sent } = await blocked([{ key: 'eu', label: 'Europe?' }])
  await expect(unblock(name)).rejects.toMatchObject({ exitCode: 2, message: `app#1 has no step "${name}". Its blocks are: eu (Europe?)` })
  expect(sent()).toEqual([])
})

test('a job is not what is let pass', async () => {
  await expect((await blocked([{}])).unblock(undefined, {}, 'app#1/2')).rejects.toThrow('"app#1/2" names a job, and a block has none: write "kedge unblock app#1 STEP".')
})

test('answers go by the keys of the fields; one that is given several times is a list', async () => {
  const { unblock, sent } = await blocked([{ fields: [VERSION, REGIONS] }])
  await unblock(undefined, { field: ['version=a=b', 'regions=eu', 'regions=asia', '__proto__=x', 'empty='] })
  expect(JSON.stringify(sent()[0]?.body)).toBe('{"fields":{"version":"a=b","regions":["eu","asia"],"__proto__":"x","empty":""}}')
})

test('an answer without a key is refused before anything is asked', async () => {
  const { unblock, sent } = await blocked([{}])
  await expect(unblock(undefined, { field: ['version'] })).rejects.toMatchObject({ exitCode: 2, message: '--field takes KEY=VALUE, not "version"' })
  await expect(unblock(undefined, { field: ['=1'] })).rejects.toThrow('--field takes KEY=VALUE')
  expect(sent()).toEqual([])
})

test('answers that will not do are refused by their flags, and what is asked is told', async () => {
  const { unblock, printed } = await blocked([{ label: 'Release?', fields: [VERSION, REGIONS] }], { code: 'answers-invalid', errors: [{ path: 'fields.version', message: 'needs an answer' }, { path: 'fields.my-own', message: 'is not asked for' }] })
  await expect(unblock()).rejects.toMatchObject({ exitCode: 2, message: '--field version needs an answer; --field my-own is not asked for.' })
  expect(printed).toEqual(['(Release? asks:)', '(--field version=… Version (such as 1.4.0), required, of the format [0-9.]+)', '(--field regions=… regions, optional, one or more of: eu (Europe) in any case; asia, usually eu)'])
})

test('another refusal is told alone', async () => {
  const { unblock, printed } = await blocked([{ fields: [VERSION] }], { code: 'step-not-blocked', errors: [] })
  await expect(unblock()).rejects.toMatchObject({ exitCode: 2, message: 'no' })
  expect(printed).toEqual([])
})

test('with --json the build is printed', async () => {
  const { unblock, printed } = await blocked([{}])
  await unblock(undefined, { json: true })
  expect(JSON.parse(printed.join(''))).toMatchObject({ project: 'app', state: 'running' })
})
