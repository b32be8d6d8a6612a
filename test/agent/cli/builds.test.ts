import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JobView } from '../../../schema/api.ts'
import type { BuildState, JobState } from '../../../schema/job.ts'
import { cancelBuild, showLogs, slugFrom, startBuild, table, type BuildOptions } from '../../../agent/cli/builds.ts'
import { createClient } from '../../../agent/cli/client.ts'
import { listJobs } from '../../../agent/cli/jobs.ts'
import { answeringServer, problem, type Asked } from '../../support/answering-server.ts'
import { ownFolder } from '../../support/folder.ts'
import { repositoryAt } from '../../support/repository.ts'

/** A coordinator with these projects, whose builds are in `state`, have these jobs and have printed `log`. */
async function coordinator({ projects = {}, state = 'passed', log = '', jobs = [{ state }] }: { projects?: Record<string, string>; state?: BuildState & JobState; log?: string; jobs?: readonly Partial<JobView>[] } = {}) {
  const build = { project: 'app', number: 1, state, url: 'http://page', steps: [], jobs: jobs.map((job, index) => jobOf(index + 1, job)) }
  const server = await answeringServer(({ method, path, body }, response) => {
    const slug = /^\/api\/v1\/projects\/([^/]+)$/.exec(path)?.[1]
    if (slug !== undefined) return projects[slug] === undefined ? problem(404, `There is no project ${slug}.`) : { body: { slug, repository: projects[slug] } }
    if (method === 'POST' && path === '/api/v1/projects') return { status: 201, body }
    if (!path.startsWith('/api/v1/jobs/')) return { body: build }
    response.end(`id: ${log.length}\ndata: ${Buffer.from(log).toString('base64')}\n\nevent: end\ndata: {}\n\n`)
    return undefined
  })
  const printed: string[] = []
  const output = { line: (text: string) => printed.push(text), json: (value: unknown) => printed.push(JSON.stringify(value)), log: (bytes: Uint8Array) => printed.push(Buffer.from(bytes).toString('utf8')), note: (text: string) => printed.push(`(${text})`) }
  const client = createClient({ url: server.url, token: null })
  return { printed, asked: server.asked, output, client, build: (options: BuildOptions) => startBuild(client, options, output) }
}

function jobOf(n: number, job: Partial<JobView>): Partial<JobView> {
  const id = `J1-1-${n}`
  return { id, retried_by: null, exit_status: 3, signal: null, reason: null, started_at: '2026-11-24T10:00:00.000Z', finished_at: '2026-11-24T10:00:01.500Z', attempts: [{ id: `${id}.1`, fence: 1, agent: 'ada' }] as unknown as JobView['attempts'], ...job } // no more than the commands look at
}

const sent = (asked: readonly Asked[], path: string) => asked.findLast((one) => one.method === 'POST' && one.path === path)?.body

test('a project is named after its repository', () => {
  expect(['https://host/team/My.App.git', 'git@host:team/app.git', 'host:app', '/srv/app/', 'ssh://host/~me/a_b'].map(slugFrom)).toEqual(['my-app', 'app', 'app', 'app', 'a-b'])
  expect(() => slugFrom('https://host/???')).toThrow('give one with --project')
})

describe('kedge build', () => {
  test('makes the project of a folder, and builds its HEAD with its branch and subject', async () => {
    const folder = join(await ownFolder(), 'app')
    const head = await (await repositoryAt(folder)).commit({ 'a.txt': 'a' })
    const { build, asked, printed } = await coordinator()
    expect(await build({ repo: folder, command: 'true', env: ['A=b=c'] })).toBe(0)
    expect(sent(asked, '/api/v1/projects')).toEqual({ slug: 'app', repository: folder })
    expect(sent(asked, '/api/v1/projects/app/builds')).toEqual({ commit: head, branch: 'main', command: 'true', env: { A: 'b=c' }, message: 'A change' })
    expect(printed).toEqual(['app #1 passed  http://page'])
  })

  test('makes a project also for a build without a command: its commit may hold a pipeline', async () => {
    const { build, asked } = await coordinator()
    await build({ repo: 'https://host/app.git' })
    expect(sent(asked, '/api/v1/projects')).toEqual({ slug: 'app', repository: 'https://host/app.git' })
    expect(sent(asked, '/api/v1/projects/app/builds')).toEqual({})
  })

  test('makes no project for a build that will be refused', async () => {
    const { build, asked } = await coordinator()
    await build({ repo: 'https://host/app.git', command: ' ' }) // this coordinator takes anything
    await build({ repo: 'https://host/app.git', command: '\u0001'.repeat(200 * 1024) })
    await expect(build({ repo: 'https://host/app.git', env: ['A'] })).rejects.toThrow('--env takes')
    expect(asked.filter(({ method }) => method === 'POST').map(({ path }) => path)).toEqual(['/api/v1/projects/app/builds', '/api/v1/projects/app/builds'])
  })

  test('spells a commit out that was given short', async () => {
    const folder = join(await ownFolder(), 'app')
    const repository = await repositoryAt(folder)
    const first = await repository.commit({ 'a.txt': 'a' })
    await repository.commit({ 'a.txt': 'b' })
    const { build, asked } = await coordinator({ projects: { app: folder } })
    await build({ repo: folder, commit: 'HEAD~1' })
    expect(sent(asked, '/api/v1/projects/app/builds')).toMatchObject({ commit: first })
    await expect(build({ repo: folder, commit: 'nowhere' })).rejects.toThrow(`there is no commit nowhere in ${folder}`)
  })

  test('says that changes which are not committed are not built', async () => {
    const folder = join(await ownFolder(), 'app')
    const repository = await repositoryAt(folder)
    await repository.commit({ 'a.txt': 'a' })
    await repository.git('rm', '--quiet', 'a.txt')
    const { build, printed } = await coordinator({ projects: { app: folder } })
    await build({ repo: folder })
    expect(printed).toContain(`(changes that are not committed in ${folder} are not built)`)
  })

  test('does not build another repository under a name that is taken', async () => {
    const { build } = await coordinator({ projects: { app: 'https://other/app.git' } })
    await expect(build({ repo: 'https://host/app.git' })).rejects.toThrow('the project app builds https://other/app.git, not https://host/app.git; give this one another name with --project')
  })

  test.each([
    ['passed', 0],
    ['failed', 1],
    ['canceled', 3],
  ] as const)('with --follow prints the log and ends with the verdict: %s is %i', async (state, code) => {
    const { build, printed } = await coordinator({ state, log: 'hello\n' })
    expect(await build({ project: 'app', follow: true })).toBe(code)
    expect(printed).toContain('hello\n')
    expect(printed.at(-1)).toMatch(new RegExp(`^\\(app #1 ${state}`))
  })

  test('names the job by which it failed, not one that may fail', async () => {
    const { build, printed } = await coordinator({ state: 'failed', jobs: [{ state: 'failed', label: 'Lint', soft_failed: true, exit_status: 1 }, { state: 'failed', label: 'Test', exit_status: 2, parallel: { index: 2, count: 4 } }] })
    await build({ project: 'app', follow: true })
    expect(printed.at(-1)).toBe('(app #1 failed: Test (3 of 4): exit status 2)')
  })

  test('says what is missing when nothing tells what to build', async () => {
    const { build } = await coordinator()
    await expect(build({})).rejects.toThrow('say what to build: --repo PATH or URL, or --project SLUG')
    await expect(build({ repo: './nowhere' })).rejects.toThrow('./nowhere is neither a folder here nor a URL of a git repository')
    await expect(build({ project: 'app', env: ['A'] })).rejects.toThrow('--env takes NAME=VALUE, not "A"')
  })
})

test.each([
  ['app#12', '/api/v1/projects/app/builds/12'],
  ['app/12', '/api/v1/projects/app/builds/12'],
  ['12/1', '/api/v1/projects/web/builds/12'],
  ['12', '/api/v1/projects/web/builds/12'],
])('%s names a build', async (named, path) => {
  const { asked, client, output } = await coordinator()
  await cancelBuild(client, named, { project: 'web' }, output)
  expect(asked[0]?.path).toBe(path)
})

describe('of a build with several jobs', () => {
  const jobs: readonly Partial<JobView>[] = [{ state: 'passed', label: 'Build', exit_status: 0 }, { state: 'failed', label: 'Lint', soft_failed: true }, { state: 'failed', label: 'Test' }, { state: 'broken', label: 'Deploy', exit_status: null, started_at: null, attempts: [] }]

  test('kedge jobs lists them by the names that other commands take, with why they ended so', async () => {
    const { client, output, printed } = await coordinator({ state: 'failed', jobs })
    expect(await listJobs(client, 'app#1', {}, output)).toBe(0)
    expect(printed).toEqual(['app#1/1  passed            1.5 s  ada  Build', 'app#1/2  failed (allowed)  1.5 s  ada  Lint    exit status 3', 'app#1/3  failed            1.5 s  ada  Test    exit status 3', 'app#1/4  broken            -      -    Deploy'])
  })

  test('kedge logs shows the one by which it failed, and says whose log it is', async () => {
    const { client, output, printed, asked } = await coordinator({ state: 'failed', jobs, log: 'no' })
    await showLogs(client, 'app#1', {}, output)
    expect(printed[0]).toBe('(the log of Test (app#1/3, failed); "kedge jobs app#1" lists all)')
    expect(asked.at(-1)?.path).toBe('/api/v1/jobs/J1-1-3/log')
  })

  test.each(['app#1/2', 'app#1/J1-1-2', 'app/1/J1-1-2'])('%s names one of them', async (named) => {
    const { client, output, asked } = await coordinator({ state: 'failed', jobs })
    await showLogs(client, named, {}, output)
    expect(asked.at(-1)?.path).toBe('/api/v1/jobs/J1-1-2/log')
  })

  test('a place that none has is refused with where they are listed', async () => {
    const { client, output } = await coordinator({ jobs })
    await expect(showLogs(client, 'app#1/9', {}, output)).rejects.toThrow('build app#1 has no job 9; "kedge jobs app#1" lists the 4 that it has')
  })
})

test('an empty log is said to be empty', async () => {
  const { url } = await answeringServer(({ path }, response) => (path.startsWith('/api/v1/jobs/') ? void response.end() : { body: { project: 'app', number: 1, state: 'passed', jobs: [jobOf(1, { state: 'passed' })] } }))
  const { output, printed } = await coordinator()
  expect(await showLogs(createClient({ url, token: null }), 'app#1', {}, output)).toBe(0)
  expect(printed).toEqual(['(app#1/1 printed nothing)'])
})

test('columns of a table begin below each other', () => {
  expect(table([['a', 'bb', 'c'], ['aaa', 'b', '']])).toEqual(['a    bb  c', 'aaa  b'])
})

test('a log whose connection is cut in the middle is said to be cut, with the way out', async () => {
  const { url } = await answeringServer(({ path }, response) => {
    if (!path.startsWith('/api/v1/jobs/')) return { body: { project: 'app', number: 1, state: 'passed', jobs: [{ id: 'J1-1-1' }] } }
    response.writeHead(200, { 'content-length': '100' })
    response.write('the beginning', () => response.destroy())
    return undefined
  })
  const { output, printed } = await coordinator()
  await expect(showLogs(createClient({ url, token: null }), 'app#1', {}, output)).rejects.toMatchObject({ exitCode: 4, message: `the connection to ${url} was cut before the log ended; ask again, or add --follow, which goes on by itself` })
  expect(printed.join('')).toBe('the beginning')
})
