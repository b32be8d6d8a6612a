/** `kedge step` and `kedge build cancel`, as a script meets them. */
import { describe, expect, it } from 'vitest'
import { EXIT, Failure } from '../../../agent/cli/output.ts'
import { cancelBuild, cancelStep, getStep, updateStep } from '../../../agent/cli/step-calls.ts'
import { answeringServer, problem, type Answering } from '../../support/answering-server.ts'
import { surroundings } from '../../support/surroundings.ts'

const STEP = { id: 'S1-1-2', key: 'test', label: null, type: 'command', state: 'finished', outcome: 'hard_failed' }

/** A job, the coordinator that answers it, and what is said in it. */
async function job({ answer = () => ({ body: { step: STEP } }), environment = {} }: { readonly answer?: Answering; readonly environment?: Readonly<Record<string, string>> } = {}) {
  const server = await answeringServer(answer)
  const [written, noted] = [[] as string[], [] as string[]]
  const around = surroundings({
    environment: { KEDGE_URL: server.url, KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ATTEMPT: 'J1-1-1.1', BUILDKITE_BUILD_ID: 'own', ...environment },
    input: { isPiped: () => true, read: () => new TextEncoder().encode('piped') },
    print: (line) => void written.push(line),
    note: (line) => void noted.push(line),
  })
  return { surroundings: around, server, noted, written }
}

const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
  const failure: unknown = await work.then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

describe('get', () => {
  it.each([['outcome', undefined, 'hard_failed'], ['label', undefined, ''], ['label', 'json', 'null'], ['state', 'json', '"finished"'], [undefined, 'json', JSON.stringify(STEP)]])('prints %s as %s', async (attribute, format, printed) => {
    const { surroundings, written, server } = await job()
    expect(await getStep(attribute, { step: 'test', ...(format === undefined ? {} : { format }) }, surroundings)).toBe(EXIT.ok)
    expect(written).toEqual([printed])
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/v1/attempts/J1-1-1.1/steps/get', body: { step: 'test' } }])
  })

  it('means the own step unless it is told, and the own build alone', async () => {
    const { surroundings, server } = await job({ environment: { BUILDKITE_STEP_ID: 'S1-1-2' } })
    await getStep('key', { build: 'own' }, surroundings)
    const bare = await job()
    await getStep('key', {}, bare.surroundings)
    expect([...server.asked, ...bare.server.asked].map(({ body }) => body)).toEqual([{ step: 'S1-1-2' }, { step: null }])
    expect(await failureOf(getStep('key', { build: 'another' }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('--build another is another build') })
    expect(await failureOf(getStep('key', { step: '' }, surroundings))).toMatchObject({ message: expect.stringContaining('--step is empty') })
  })

  it.each([
    ['outcom', {}, 'this version does not tell "outcom" of a step; did you mean "outcome"? It tells id, key, label, type, state, outcome.'],
    ['depends_on', {}, 'this version does not tell "depends_on" of a step. It tells'],
    [undefined, {}, 'add --format json'],
    ['key', { format: 'yaml' }, '--format must be json, not "yaml".'],
  ])('refuses %s with %j', async (attribute, flags, sentence) => {
    expect(await failureOf(getStep(attribute, flags, (await job()).surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(sentence) })
  })
})

it('update sends a value, or what is piped, with a key, and no secrets', async () => {
  const { surroundings, server, noted } = await job({ answer: () => ({ body: { updated: true } }), environment: { API_TOKEN: 'hush-hush' } })
  await updateStep({ attribute: 'label', value: 'is hush-hush' }, { step: 'a' }, surroundings)
  await updateStep({ attribute: 'label', value: undefined }, { append: true }, surroundings)
  expect(server.asked.map(({ body }) => body)).toEqual([{ step: 'a', attribute: 'label', value: 'is [REDACTED]', append: false }, { step: null, attribute: 'label', value: 'piped', append: true }])
  expect(server.asked.every(({ headers }) => typeof headers['idempotency-key'] === 'string')).toBe(true)
  expect(noted[0]).toContain('API_TOKEN')
})

it('cancel says what it cancelled', async () => {
  const step = await job({ answer: () => ({ body: { id: 'S1-1-2' } }) })
  expect(await cancelStep({ step: 'a', force: true, forceGracePeriodSeconds: 5 }, step.surroundings)).toBe(EXIT.ok)
  expect(step.noted).toEqual(['cancelled the step a'])
  const build = await job({ answer: () => ({ body: { build: 7 } }) })
  expect(await cancelBuild({}, build.surroundings)).toBe(EXIT.ok)
  expect(build.noted).toEqual(['cancelled build 7, and this job with it'])
  expect(build.server.asked).toMatchObject([{ method: 'POST', path: '/v1/attempts/J1-1-1.1/build/cancel' }])
})

it('a refusal ends with its sentence', async () => {
  const { surroundings } = await job({ answer: () => problem(404, 'This build has no step "a".') })
  expect(await failureOf(getStep('key', { step: 'a' }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: 'This build has no step "a".' })
})

it('outside a job each says what a person may do', async () => {
  const { surroundings } = await job({ environment: { KEDGE_ATTEMPT: '' } })
  for (const work of [getStep('key', {}, surroundings), updateStep({ attribute: 'label', value: 'a' }, {}, surroundings), cancelStep({}, surroundings), cancelBuild({}, surroundings)]) expect((await failureOf(work)).message).toContain('"kedge cancel PROJECT#NUMBER"')
})
