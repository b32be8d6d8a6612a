/** `kedge meta-data`, as a script meets it. */
import { describe, expect, it } from 'vitest'
import { existsMetaData, getMetaData, metaDataKeys, setMetaData } from '../../../agent/cli/meta-data-calls.ts'
import { EXIT, Failure } from '../../../agent/cli/output.ts'
import { jobUuid } from '../../../schema/job-uuid.ts'
import { answeringServer, problem, type Answering } from '../../support/answering-server.ts'
import { surroundings } from '../../support/surroundings.ts'

/** A job, the coordinator that answers it, and what is said in it. */
async function job({ answer = () => ({ body: { value: null } }), input, environment = {} }: { readonly answer?: Answering; readonly input?: string | Uint8Array; readonly environment?: Readonly<Record<string, string>> } = {}) {
  const server = await answeringServer(answer)
  const [written, noted] = [[] as string[], [] as string[]]
  const around = surroundings({
    environment: { KEDGE_URL: server.url, KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ATTEMPT: 'J1-1-1.1', ...environment },
    input: { isPiped: () => input !== undefined, read: () => (typeof input === 'string' ? new TextEncoder().encode(input) : (input ?? new Uint8Array())) },
    print: (line) => void written.push(`${line}\n`),
    write: (text) => void written.push(text),
    note: (line) => void noted.push(line),
  })
  return { surroundings: around, server, noted, out: () => written.join('') }
}

const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
  const failure: unknown = await work.then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

const ECHO: Answering = ({ body }) => ({ body: { value: (body as { value: string }).value } }) // what the test sends

describe('set', () => {
  it.each<[string, string | undefined, string | undefined, string]>([
    ['what stands behind the key', 'a value', 'not read', 'a value'],
    ['standard input, as it is', undefined, '\ufefflines\r\nof it\n', '\ufefflines\r\nof it\n'],
    ['standard input for "-"', '-', 'piped', 'piped'],
    ['nothing, which the coordinator judges', '', 'not read', ''],
  ])('sends %s', async (_what, value, input, sent) => {
    const { surroundings, server, out } = await job({ answer: ECHO, ...(input === undefined ? {} : { input }) })
    expect(await setMetaData({ key: 'a/b', value }, {}, surroundings)).toBe(EXIT.ok)
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/v1/attempts/J1-1-1.1/meta-data/set', headers: { authorization: 'Bearer kdg_job_x' }, body: { key: 'a/b', value: sent } }])
    expect(out()).toBe('')
  })

  it('hides secrets of the environment, unless it is told not to', async () => {
    const environment = { API_TOKEN: 'hush-hush', LONG_SECRET: 'hush-hush-more', SHORT_TOKEN: 'a', PLAIN: 'a value' }
    const { surroundings, server, noted } = await job({ answer: ECHO, environment })
    await setMetaData({ key: 'k', value: 'a value: hush-hush-more, hush-hush' }, {}, surroundings)
    await setMetaData({ key: 'k', value: 'hush-hush' }, { redactedVars: '' }, surroundings)
    await setMetaData({ key: 'k', value: 'hush-hush a value' }, { redactedVars: 'PLAIN' }, surroundings)
    expect(server.asked.map(({ body }) => (body as { value: string }).value)).toEqual(['a value: [REDACTED], [REDACTED]', 'hush-hush', 'hush-hush [REDACTED]'])
    expect(noted).toHaveLength(2)
    expect(noted[0]).toContain('LONG_SECRET, API_TOKEN')
    expect(noted.join()).not.toContain('hush')
  })

  it('without a value, or with bytes that are no text, says so', async () => {
    expect(await failureOf(setMetaData({ key: 'k', value: undefined }, {}, (await job()).surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('there is no value') })
    expect(await failureOf(setMetaData({ key: 'k', value: '-' }, {}, (await job({ input: new Uint8Array([0xff]) })).surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('not UTF-8') })
  })

  it('ends with the sentence of a refusal', async () => {
    const { surroundings } = await job({ answer: () => problem(422, 'x', [{ path: 'value', message: 'must not be empty or white space only' }]) })
    expect(await failureOf(setMetaData({ key: 'k', value: ' ' }, {}, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: 'value must not be empty or white space only.' })
  })

  it('asks again while the network fails', async () => {
    let times = 0
    const { surroundings, server } = await job({ answer: (_asked, response) => (++times === 1 ? void response.destroy() : { body: { value: 'v' } }) })
    expect(await setMetaData({ key: 'k', value: 'v' }, {}, surroundings)).toBe(EXIT.ok)
    expect(server.asked).toHaveLength(2)
  })
})

describe('get', () => {
  it('prints the value as it is, without a line end', async () => {
    const { surroundings, out } = await job({ answer: () => ({ body: { value: 'a\nb' } }) })
    expect(await getMetaData('k', { default: 'other' }, surroundings)).toBe(EXIT.ok)
    expect(out()).toBe('a\nb')
  })

  it('prints the default where there is none, also an empty one', async () => {
    const { surroundings, out } = await job()
    expect(await getMetaData('k', { default: 'other' }, surroundings)).toBe(EXIT.ok)
    expect(await getMetaData('k', { default: '' }, surroundings)).toBe(EXIT.ok)
    expect(out()).toBe('other')
  })

  it('fails with 1 where there is neither', async () => {
    expect(await failureOf(getMetaData('k', {}, (await job()).surroundings))).toMatchObject({ exitCode: 1, message: expect.stringContaining('the build has no meta-data "k"') })
  })
})

it('exists answers by its exit status alone: 0 or 100', async () => {
  const there = await job({ answer: () => ({ body: { value: '' } }) })
  expect(await existsMetaData('k', {}, there.surroundings)).toBe(0)
  const missing = await job()
  expect(await existsMetaData('k', {}, missing.surroundings)).toBe(100)
  expect(there.out() + missing.out()).toBe('')
})

it('keys are printed one a line', async () => {
  const { surroundings, server, out } = await job({ answer: () => ({ body: { keys: ['a', 'b c'] } }) })
  expect(await metaDataKeys({}, surroundings)).toBe(EXIT.ok)
  expect(out()).toBe('a\nb c\n')
  expect(server.asked).toMatchObject([{ method: 'GET', path: '/v1/attempts/J1-1-1.1/meta-data' }])
})

describe('any of them', () => {
  it('is of its own build only, which may be named', async () => {
    const { surroundings, server } = await job({ environment: { KEDGE_JOB_ID: 'J1-1-1', BUILDKITE_BUILD_ID: 'own' } })
    const uuid = jobUuid({ project: 1, build: 1, n: 1 }, 'a'.repeat(64))
    for (const own of [{ build: 'own' }, { build: '' }, { job: 'J1-1-1' }, { job: uuid }]) expect(await existsMetaData('k', own, surroundings)).toBe(EXIT.absent)
    const asked = server.asked.length
    expect(await failureOf(getMetaData('k', { build: 'x' }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('--build cannot name another') })
    expect(await failureOf(setMetaData({ key: 'k', value: 'v' }, { job: 'J1-1-2' }, surroundings))).toMatchObject({ message: expect.stringContaining('--job cannot name another') })
    const { surroundings: of } = await job({ environment: { BUILDKITE_METADATA_BUILD_ID: 'x' } })
    expect(await failureOf(getMetaData('k', {}, of))).toMatchObject({ message: expect.stringContaining('BUILDKITE_METADATA_BUILD_ID cannot name another') })
    expect(server.asked).toHaveLength(asked)
  })

  it('outside a job says what is missing', async () => {
    const { surroundings } = await job()
    expect(await failureOf(existsMetaData('k', {}, { ...surroundings, environment: {} }))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('inside a job only') })
  })
})
