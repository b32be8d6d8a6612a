/** `kedge artifacts`, as a person meets it. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { buildArtifacts, type ArtifactsOptions } from '../../../agent/cli/build-artifacts.ts'
import { createClient } from '../../../agent/cli/client.ts'
import type { ArtifactView } from '../../../schema/artifacts.ts'
import type { AttemptId } from '../../../schema/job.ts'
import { answeringServer } from '../../support/answering-server.ts'
import { ownFolder } from '../../support/folder.ts'
import { attemptView, buildView, jobView } from '../../support/views.ts'

const AT = '/api/v1/projects/app/builds/7/artifacts'

/** A file whose text is its path. */
function artifact(path: string, { job = 'J1-7-1', fence = 1, createdAt = '2026-11-24T10:00:00.000Z' } = {}): ArtifactView {
  return { id: `${job}.${fence}/${path}`, job, attempt: `${job}.${fence}` as AttemptId, path, bytes: Buffer.byteLength(path), sha256: createHash('sha256').update(path).digest('hex'), sha1: '', content_type: 'text/plain', created_at: createdAt, url: `https://kedge.test${AT}/${path}` }
}

/** A build of three jobs: the second was retried by the third, and the first had a lost attempt. */
const BUILD = buildView({
  project: 'app',
  jobs: [
    jobView({ attempts: [attemptView({ id: 'J1-7-1.1', state: 'lost' }), attemptView({ id: 'J1-7-1.2', fence: 2 })] }),
    jobView({ id: 'J1-7-2', retried_by: 'J1-7-3', attempts: [attemptView({ id: 'J1-7-2.1' })] }),
    jobView({ id: 'J1-7-3', retry_of: 'J1-7-2', attempts: [attemptView({ id: 'J1-7-3.1' })] }),
  ],
})

async function setUp(pages: readonly (readonly ArtifactView[])[]) {
  const server = await answeringServer(({ path }, response) => {
    const url = new URL(path, 'http://x')
    if (url.pathname === AT) {
      const page = Number(url.searchParams.get('cursor') ?? 0)
      const job = url.searchParams.get('job')
      return { body: { artifacts: (pages[page] ?? []).filter((one) => job === null || one.job === job), next_cursor: page + 1 < pages.length ? String(page + 1) : null } }
    }
    if (!url.pathname.startsWith(`${AT}/`)) return { body: BUILD }
    response.end(decodeURIComponent(url.pathname.slice(AT.length + 1)).replace(/^[^/]*\//, ''))
    return undefined
  })
  const folder = await ownFolder()
  const [lines, notes] = [[] as string[], [] as string[]]
  const output = { line: (text: string) => void lines.push(text), json: (value: unknown) => void lines.push(JSON.stringify(value)), log: () => {}, note: (text: string) => void notes.push(text) }
  const run = (options: ArtifactsOptions = {}, named = 'app#7') => buildArtifacts(createClient({ url: server.url, token: 'kdg_api_x' }), named, options, output)
  return { run, lines, notes, folder, asked: server.asked }
}

it('lists what there is, job by job, over all pages', async () => {
  const { run, lines } = await setUp([[artifact('a.txt', { fence: 2 })], [artifact('dist/b', { job: 'J1-7-3' })]])
  expect(await run()).toBe(0)
  expect(lines).toEqual(['app#7/1  5 bytes  a.txt', 'app#7/3  6 bytes  dist/b'])
})

it('leaves out what was lost or retried, but for a retried job that is named', async () => {
  const { run, lines } = await setUp([[artifact('lost', { fence: 1 }), artifact('old', { job: 'J1-7-2' }), artifact('new', { job: 'J1-7-3' })]])
  await run({ json: true })
  expect((JSON.parse(lines[0] ?? '') as { readonly artifacts: readonly ArtifactView[] }).artifacts.map(({ path }) => path)).toEqual(['new'])
  await run({}, 'app#7/2')
  expect(lines.slice(1)).toEqual(['app#7/2  3 bytes  old'])
})

it('says that there are none', async () => {
  const { run, lines } = await setUp([[]])
  expect(await run()).toBe(0)
  expect(lines).toEqual(['app#7 has no artifacts.'])
})

it('downloads what is meant, in folders as the paths have them; of several of one path the newest', async () => {
  const { run, lines, notes, folder, asked } = await setUp([[artifact('dist/ü %.js', { fence: 2 }), artifact('dist/deep/b.js', { fence: 2 }), artifact('log', { fence: 2 }), artifact('dist/deep/b.js', { job: 'J1-7-3', createdAt: '2026-11-24T11:00:00.000Z' })]])
  expect(await run({ download: 'dist/*.js', to: join(folder, 'dist') })).toBe(0)
  expect(readFileSync(join(folder, 'dist/dist/ü %.js'), 'utf8')).toBe('dist/ü %.js')
  expect(readFileSync(join(folder, 'dist/dist/deep/b.js'), 'utf8')).toBe('dist/deep/b.js')
  expect(existsSync(join(folder, 'dist/log'))).toBe(false)
  expect([lines, notes]).toEqual([['dist/ü %.js', 'dist/deep/b.js'], ['downloaded 2 files (26 bytes)']])
  expect(asked.map(({ path }) => path)).toContain(`${AT}/J1-7-3.1/dist/deep/b.js`)
})

it('fails where nothing is called so, and names what lists them', async () => {
  const { run } = await setUp([[artifact('a', { fence: 2 })]])
  await expect(run({ download: 'b' })).rejects.toMatchObject({ exitCode: 1, message: expect.stringContaining('"kedge artifacts app#7" lists what there is') })
})

it('writes nothing at all where a path leads elsewhere', async () => {
  const { run, folder } = await setUp([[artifact('fine', { fence: 2 }), artifact('../evil', { fence: 2 })]])
  await expect(run({ download: '*', to: folder })).rejects.toMatchObject({ exitCode: 1, message: expect.stringContaining('will not write the artifact') })
  expect(existsSync(join(folder, 'fine'))).toBe(false)
})

it.runIf(process.platform === 'linux')('ends at once where no folder can be made', async () => {
  const { run } = await setUp([[artifact('a', { fence: 2 })]])
  await expect(run({ download: '*', to: '/proc/kedge' })).rejects.toMatchObject({ exitCode: 1, message: 'cannot write below /proc/kedge: it is not there and cannot be made; make it, or name another folder.' })
})

it.each<[ArtifactsOptions, string, string]>([
  [{ to: 'x' }, 'app#7', '--to says where files go'],
  [{}, 'app#7/9', 'has no job 9; "kedge jobs app#7" lists the 3 that it has'],
])('is refused with %j of %s', async (options, named, why) => {
  await expect((await setUp([[]])).run(options, named)).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(why) })
})
