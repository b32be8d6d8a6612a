/** `kedge artifact search` and `shasum`, and what `upload` and `download` refuse, as a script meets them. Bytes are moved in test/end-to-end. */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { downloadArtifacts } from '../../../agent/cli/artifact-download.ts'
import { searchArtifacts, shasumOfArtifact } from '../../../agent/cli/artifact-search.ts'
import { uploadArtifacts } from '../../../agent/cli/artifact-upload.ts'
import { EXIT, Failure } from '../../../agent/cli/output.ts'
import { ARTIFACT_LIMITS, type ArtifactView } from '../../../schema/artifacts.ts'
import type { AttemptId } from '../../../schema/job.ts'
import { jobUuid } from '../../../schema/job-uuid.ts'
import { answeringServer, problem, type Answering } from '../../support/answering-server.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'

const artifact = (path: string, over: Partial<ArtifactView> = {}): ArtifactView => ({
  id: `J1-1-2.1/${path}`, job: 'J1-1-2', attempt: 'J1-1-2.1' as AttemptId, path, bytes: 5, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), content_type: 'text/plain', created_at: '2026-11-24T10:00:00.123Z', url: `https://kedge.test/x/${path}`, ...over,
})

/** A job, the coordinator that answers it, and what is said in it. */
async function job({ found = [] as readonly ArtifactView[], answer = undefined as Answering | undefined, environment = {} as Readonly<Record<string, string>> } = {}) {
  const server = await answeringServer(answer ?? (() => ({ body: { artifacts: found, next_cursor: null } })))
  const folder = await ownFolder()
  const [written, noted] = [[] as string[], [] as string[]]
  const around = surroundings({
    folder,
    environment: { KEDGE_URL: server.url, KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ATTEMPT: 'J1-1-1.1', KEDGE_PROJECT: 'app', KEDGE_JOB_ID: 'J1-1-1', BUILDKITE_BUILD_ID: 'a-uuid', ...environment },
    print: (line) => void written.push(`${line}\n`),
    write: (text) => void written.push(text),
    note: (line) => void noted.push(line),
  })
  return { surroundings: around, server, folder, noted, out: () => written.join('') }
}

const failureOf = async (work: Promise<unknown>): Promise<Failure> => {
  const failure: unknown = await work.then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

const FORMAT = { format: '%j %p %c\\n' }

describe('search', () => {
  it('prints a line for each, as Buildkite does, or in the form that is asked for', async () => {
    const { surroundings, out, server } = await job({ found: [artifact('a/b.txt'), artifact('100%s')] })
    expect(await searchArtifacts('*', FORMAT, surroundings)).toBe(EXIT.ok)
    await searchArtifacts('*', { format: '%p|%s|%S|%T|%u|%i|%%|%x|\\t"\\\\n"' }, surroundings)
    expect(out()).toBe(`J1-1-2 a/b.txt 2026-11-24T10:00:00Z\nJ1-1-2 100%s 2026-11-24T10:00:00Z\na/b.txt|5|${'b'.repeat(40)}|${'a'.repeat(64)}|https://kedge.test/x/a/b.txt|J1-1-2.1/a/b.txt|%%|%x|\t"\\n"100%s|5|${'b'.repeat(40)}|${'a'.repeat(64)}|https://kedge.test/x/100%s|J1-1-2.1/100%s|%%|%x|\t"\\n"`)
    expect(server.asked[0]).toMatchObject({ method: 'POST', path: '/v1/attempts/J1-1-1.1/artifacts/search', headers: { authorization: 'Bearer kdg_job_x' }, body: { query: '*', with_retried: false } })
  })

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['a step', { step: 'test' }, { step: 'test' }],
    ['a job, by the BUILDKITE_JOB_ID that it has', { step: jobUuid({ project: 1, build: 1, n: 4 }, 'a'.repeat(64)) }, { step: 'J1-1-4' }],
    ['another build', { build: '82' }, { build: 82 }],
    ['the address of a build', { build: 'https://kedge.test/projects/app/builds/82' }, { build: 82 }],
    ['its own build, by the id that it has in Buildkite', { build: 'a-uuid' }, {}],
    ['jobs that were tried again', { includeRetriedJobs: true }, { with_retried: true }],
  ])('asks for %s', async (_what, flags, asked) => {
    const { surroundings, server } = await job({ found: [artifact('a')] })
    await searchArtifacts('/a', { ...FORMAT, ...flags }, surroundings)
    expect(server.asked[0]?.body).toEqual({ query: 'a', with_retried: false, ...asked })
  })

  it('asks on until there is no more', async () => {
    const { surroundings, server, out } = await job({ answer: ({ body }) => ({ body: (body as { after?: string }).after === undefined ? { artifacts: [artifact('a')], next_cursor: 'J1-1-2.1/a' } : { artifacts: [artifact('b')], next_cursor: null } }) })
    await searchArtifacts('*', { format: '%p ' }, surroundings)
    expect([out(), server.asked.length]).toEqual(['a b ', 2])
  })

  it('that finds nothing fails, unless that is allowed', async () => {
    const { surroundings, out } = await job()
    expect(await failureOf(searchArtifacts('x', { ...FORMAT, step: 'test' }, surroundings))).toMatchObject({ exitCode: EXIT.failed, message: expect.stringContaining('no artifact of the step "test" is called "x"') })
    expect(await searchArtifacts('x', { ...FORMAT, allowEmptyResults: true }, surroundings)).toBe(EXIT.ok)
    expect(out()).toBe('')
  })

  it.each<[Record<string, unknown>, string]>([
    [{ build: 'https://kedge.test/projects/other/builds/1' }, 'of its own project, app'],
    [{ build: '0195c8a2-uuid' }, '--build must be the number or the address'],
    [{ format: '\\q' }, '--format cannot hold "\\q"'],
  ])('with %j is refused before anything is asked', async (flags, why) => {
    const { surroundings, server } = await job()
    expect(await failureOf(searchArtifacts('x', { ...FORMAT, ...flags }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(why) })
    expect(server.asked).toEqual([])
  })

  it('outside of a job says where a person finds artifacts', async () => {
    expect(await failureOf(searchArtifacts('x', FORMAT, surroundings()))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('on the page of the build') })
  })
})

describe('shasum', () => {
  it('is the SHA-1, or the SHA-256, of the newest', async () => {
    const { surroundings, out } = await job({ found: [artifact('a', { sha1: 'c'.repeat(40), created_at: '2026-11-24T09:00:00.000Z' }), artifact('a')] })
    await shasumOfArtifact('a', {}, surroundings)
    await shasumOfArtifact('a', { sha256: true }, surroundings)
    expect(out()).toBe(`${'b'.repeat(40)}\n${'a'.repeat(64)}\n`)
  })

  it('of none or of several fails', async () => {
    expect(await failureOf(shasumOfArtifact('a', {}, (await job()).surroundings))).toMatchObject({ exitCode: EXIT.failed })
    expect(await failureOf(shasumOfArtifact('*', {}, (await job({ found: [artifact('a'), artifact('b')] })).surroundings))).toMatchObject({ exitCode: EXIT.failed, message: expect.stringContaining('means 2 artifacts, such as a and b') })
  })
})

describe('upload', () => {
  it('of nothing is fine, as in Buildkite', async () => {
    const { surroundings, server, noted } = await job()
    expect(await uploadArtifacts({ paths: 'dist/*', destination: undefined }, { delimiter: ';' }, surroundings)).toBe(EXIT.ok)
    expect(noted).toEqual([expect.stringContaining('nothing was uploaded')])
    expect(server.asked).toEqual([])
  })

  it.each<[string, { readonly destination?: string; readonly job?: string; readonly contentType?: string; readonly paths?: string }, string]>([
    ['a store of one\'s own', { destination: 's3://bucket' }, 'artifacts go to the coordinator'],
    ['paths that the shell filled in', { destination: 'b.txt' }, 'put quotes around the paths'],
    ['another job', { job: 'J1-1-2' }, '--job cannot name another job'],
    ['a content type that is none', { contentType: 'a\r\nb: c' }, '--content-type must be'],
    ['a way out', { paths: '../*' }, '".." leads out of'],
  ])('to %s is refused', async (_what, { destination, paths = '*', ...flags }, why) => {
    const { surroundings, server, folder } = await job()
    writeFileSync(join(folder, 'a'), '')
    expect(await failureOf(uploadArtifacts({ paths, destination }, { delimiter: ';', ...flags }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(why) })
    expect(server.asked).toEqual([])
  })

  it('of too many files is refused before any is sent', async () => {
    const { surroundings, server, folder } = await job()
    mkdirSync(join(folder, 'real'))
    for (let n = 0; n < 100; n++) writeFileSync(join(folder, 'real', String(n)), '')
    for (let n = 0; n < ARTIFACT_LIMITS.files / 100; n++) symlinkSync('real', join(folder, `linked-${n}`)) // files that cost little
    expect(await failureOf(uploadArtifacts({ paths: '**/*', destination: undefined }, { delimiter: ';', globResolveFollowSymlinks: true }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('finds 5100 files') })
    expect(server.asked).toEqual([])
  })

  it('of more than ten gibibytes is refused before any is read', async () => {
    const { surroundings, server, folder } = await job()
    writeFileSync(join(folder, 'large'), '')
    truncateSync(join(folder, 'large'), ARTIFACT_LIMITS.bytes + 1)
    expect(await failureOf(uploadArtifacts({ paths: '*', destination: undefined }, { delimiter: ';' }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('"large" has 10.0 GiB, and an artifact may have 10 GiB') })
    expect(server.asked).toEqual([])
  })

  it('ends with the sentence of a refusal', async () => {
    const { surroundings, folder } = await job({ answer: () => problem(409, 'The job of J1-1-1.1 is passed: a job that has ended uploads nothing any more.') })
    writeFileSync(join(folder, 'a'), '')
    expect(await failureOf(uploadArtifacts({ paths: '*', destination: undefined }, { delimiter: ';' }, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('uploads nothing any more') })
  })
})

describe('download', () => {
  it('of nothing fails', async () => {
    expect(await failureOf(downloadArtifacts({ query: 'x', destination: '.' }, {}, (await job()).surroundings))).toMatchObject({ exitCode: EXIT.failed, message: expect.stringContaining('no artifact is called "x"') })
  })

  it.each(['../evil', '/etc/evil', 'a/../../evil', 'evil\n'])('of a path that leads elsewhere writes nothing at all: %j', async (path) => {
    const { surroundings, server, folder } = await job({ found: [artifact('fine'), artifact(path)] })
    mkdirSync(join(folder, 'in'))
    expect(await failureOf(downloadArtifacts({ query: '*', destination: 'in/' }, {}, surroundings))).toMatchObject({ exitCode: EXIT.failed, message: expect.stringContaining('will not write the artifact') })
    expect(server.asked).toHaveLength(1)
  })
})
