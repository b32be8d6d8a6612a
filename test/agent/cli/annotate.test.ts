/** `kedge annotate` and `kedge annotation remove`, as a script meets them. */
import { describe, expect, it } from 'vitest'
import { annotateBuild, removeAnnotation } from '../../../agent/cli/annotate-calls.ts'
import { EXIT, Failure } from '../../../agent/cli/output.ts'
import { answeringServer, problem, type Answering } from '../../support/answering-server.ts'
import { surroundings } from '../../support/surroundings.ts'

/** A job, the coordinator that answers it, and what is said in it. */
async function job({ answer = () => ({ body: { bytes: 1, removed: true } }), input, environment = {} }: { readonly answer?: Answering; readonly input?: string; readonly environment?: Readonly<Record<string, string>> } = {}) {
  const server = await answeringServer(answer)
  const noted: string[] = []
  const around = surroundings({
    environment: { KEDGE_URL: server.url, KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ATTEMPT: 'J1-1-1.1', KEDGE_JOB_ID: 'J1-1-1', ...environment },
    input: { isPiped: () => input !== undefined, read: () => new TextEncoder().encode(input) },
    note: (line) => void noted.push(line),
  })
  return { surroundings: around, server, noted, bodies: () => server.asked.map(({ body }) => body) }
}

const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
  const failure: unknown = await work.then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

describe('annotate', () => {
  it('sends the body, with a key of its own', async () => {
    const { surroundings, server } = await job()
    expect(await annotateBuild('**hello**', {}, surroundings)).toBe(EXIT.ok)
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/v1/attempts/J1-1-1.1/annotations', headers: { authorization: 'Bearer kdg_job_x', 'idempotency-key': expect.stringMatching(/./) }, body: { body: '**hello**', context: 'default', scope: 'build', append: false } }])
  })

  it('sends what flags say, and what variables say where no flag does', async () => {
    const variables = { BUILDKITE_ANNOTATION_CONTEXT: 'tests', BUILDKITE_ANNOTATION_STYLE: 'info', BUILDKITE_ANNOTATION_APPEND: 'true', BUILDKITE_ANNOTATION_PRIORITY: '9', BUILDKITE_ANNOTATION_SCOPE: 'job' }
    const { surroundings, bodies } = await job({ environment: variables })
    await annotateBuild('x', {}, surroundings)
    await annotateBuild('x', { context: 'lint', style: 'error', priority: '1', scope: 'build', job: 'J1-1-1' }, surroundings)
    expect(bodies()).toEqual([
      { body: 'x', context: 'tests', style: 'info', append: true, priority: 9, scope: 'job' },
      { body: 'x', context: 'lint', style: 'error', append: true, priority: 1, scope: 'build' },
    ])
  })

  it('reads standard input where there is no body, and without either changes only the style', async () => {
    const withInput = await job({ input: 'from a pipe\n' })
    await annotateBuild(undefined, {}, withInput.surroundings)
    await annotateBuild('', { style: 'info' }, withInput.surroundings)
    expect(withInput.bodies()).toMatchObject([{ body: 'from a pipe\n' }, { body: 'from a pipe\n', style: 'info' }])
    const without = await job()
    await annotateBuild(undefined, { style: 'success', append: true }, without.surroundings)
    expect(without.bodies()).toEqual([{ context: 'default', scope: 'build', style: 'success', append: false }])
    expect(await failureOf(annotateBuild(undefined, {}, without.surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('there is nothing to show') })
  })

  it('hides secrets of the environment', async () => {
    const { surroundings, bodies, noted } = await job({ environment: { API_TOKEN: 'hush-hush' } })
    await annotateBuild('it is hush-hush', {}, surroundings)
    await annotateBuild('it is hush-hush', { redactedVars: '' }, surroundings)
    expect(bodies()).toMatchObject([{ body: 'it is [REDACTED]' }, { body: 'it is hush-hush' }])
    expect(noted).toEqual([expect.stringContaining('the annotation holds that of API_TOKEN')])
  })

  it.each<[string, Parameters<typeof annotateBuild>[0], Parameters<typeof annotateBuild>[1], string]>([
    ['a style that is none', 'x', { style: 'warn' }, '--style must be default, info, warning, error or success, not "warn"'],
    ['a scope that is none', 'x', { scope: 'step' }, '--scope must be build or job, not "step".'],
    ['a priority that is none', 'x', { priority: '11' }, '--priority must be a whole number from 1 to 10, not "11".'],
    ['a context that is too long', 'x', { context: 'c'.repeat(101) }, '--context must have at most 100 characters.'],
    ['a body that is too long', 'x'.repeat(1024 * 1024 + 1), {}, 'the annotation must be at most 1024 KiB'],
    ['another job', 'x', { job: 'J1-1-2' }, '--job can only be the job that this runs in, J1-1-1, not "J1-1-2"'],
  ])('refuses %s, and sends nothing', async (_what, body, flags, sentence) => {
    const { surroundings, server } = await job()
    expect(await failureOf(annotateBuild(body, flags, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(sentence) })
    expect(server.asked).toEqual([])
  })

  it('repeats with the same key while the network fails', async () => {
    let times = 0
    const { surroundings, server } = await job({ answer: (_asked, response) => (++times === 1 ? void response.destroy() : { body: { bytes: 1 } }) })
    expect(await annotateBuild('x', { append: true }, surroundings)).toBe(EXIT.ok)
    expect(server.asked).toHaveLength(2)
    expect(new Set(server.asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  })

  it('ends with the sentence of a refusal, and outside a job says what is missing', async () => {
    const { surroundings } = await job({ answer: () => problem(422, 'annotations-full') })
    expect(await failureOf(annotateBuild('x', {}, surroundings))).toMatchObject({ exitCode: EXIT.usage })
    expect(await failureOf(annotateBuild('x', {}, { ...surroundings, environment: {} }))).toMatchObject({ message: expect.stringContaining('inside a job only') })
  })
})

describe('annotation remove', () => {
  it('names what is removed, of any characters', async () => {
    const { surroundings, server, noted } = await job()
    expect(await removeAnnotation({}, surroundings)).toBe(EXIT.ok)
    expect(await removeAnnotation({ context: 'a/b?c&d=é', scope: 'job' }, surroundings)).toBe(EXIT.ok)
    expect(server.asked.map(({ method, path }) => `${method} ${path}`)).toEqual(['DELETE /v1/attempts/J1-1-1.1/annotations?context=default&scope=build', 'DELETE /v1/attempts/J1-1-1.1/annotations?context=a%2Fb%3Fc%26d%3D%C3%A9&scope=job'])
    expect(noted).toEqual([])
  })

  it('says when there was none, and that is no failure: it is gone either way', async () => {
    const { surroundings, noted } = await job({ answer: () => ({ body: { removed: false } }) })
    expect(await removeAnnotation({ context: 'x' }, surroundings)).toBe(EXIT.ok)
    expect(noted).toEqual(['the build has no annotation "x": nothing was removed.'])
  })
})
