/** What others are told, over real connections: by the real steps of the Scheduler to a forge that is stricter than any. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { Courier, judge } from '../../../../coordinator/objects/courier.ts'
import { github } from '../../../../coordinator/forge/github.ts'
import { parseForges, type ForgeKind, type ForgesAnswer } from '../../../../schema/forges.ts'
import { attemptId } from '../../../../schema/job.ts'
import type { Notification } from '../../../../schema/pipeline/steps.ts'
import { answeringServer, type Answer } from '../../../support/answering-server.ts'
import { TestCluster, type TestAgent } from '../../../support/cluster.ts'
import { fakeForge } from '../../../support/fake-forge.ts'
import { nobody } from '../../../support/listening.ts'
import { commandStep } from '../../../support/steps.ts'

const SHA = 'c0ffee'.padEnd(40, '0')
const TOKEN = 'a-token-of-this-test'
const LONG = 'ci/'.padEnd(60, 'x')
const status = (context: string | null = null): Notification => ({ kind: 'commit_status', context, blockedAsPending: false, if: null })

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  c = new TestCluster()
  agent = c.agent('a', { slots: 10 })
  agent.join()
})

const job = (n: number) => attemptId({ project: 1, build: 1, n, fence: 1 })

function begin(notify: readonly Notification[], repository: string | null = null): void {
  c.project('app', repository === null ? { checkout: false, repository: undefined } : { repository })
  c.build(repository === null ? {} : { commit: SHA, branch: 'main' })
  agent.sync()
  const answer = c.upload(job(1), [commandStep('a', { label: 'Test' })], { over: { notify } })
  if (!answer.ok) throw new Error(answer.problem.detail)
  agent.sync()
  end(1)
}

function end(n: number, outcome: 'passed' | 'failed' = 'passed'): void {
  agent.finish(job(n), outcome)
  agent.sync()
  agent.sync()
}

/** Tells what is due, and what that leads to; returns when nothing is under way. */
async function tell(forges: ForgesAnswer = { ok: true, forges: [] }): Promise<void> {
  let underWay: Promise<void>[] = []
  const courier = new Courier({ forges, due: () => c.toTell(), told: (delivery, outcome) => c.told(delivery, outcome), during: (promise) => void underWay.push(promise), fetch })
  do {
    underWay = []
    courier.go()
    await Promise.all(underWay)
  } while (underWay.length > 0)
}

const problems = () => c.view(1).notifications.map(({ problem }) => problem)

describe('a commit status', () => {
  it.each([
    ['github', ['pending', 'failure'], TOKEN],
    ['gitea', ['pending', 'failure'], TOKEN],
    ['gitlab', ['pending', 'failed'], TOKEN],
    ['bitbucket', ['INPROGRESS', 'FAILED'], TOKEN],
    ['bitbucket', ['INPROGRESS', 'FAILED'], 'ada:an-app-password'],
  ] as const)('is told to %s as that wants it', async (kind: ForgeKind, states, token) => {
    const forge = await fakeForge({ kind, repository: 'team/app', shas: [SHA], token })
    const forges = parseForges(JSON.stringify([{ url: `${forge.url}/`, kind, token }]))
    begin([status(), status(LONG)], 'ssh://git@127.0.0.1:2222/team/app.git')
    await tell(forges)
    end(2, 'failed')
    await tell(forges)
    expect(forge.wrong).toEqual([])
    expect(problems()).toEqual([null, null])
    expect(forge.told.filter(({ context }) => context === 'kedge/app').map(({ state }) => state)).toEqual(states)
    expect(new Set(forge.told.map(({ context }) => context)).size).toBe(2)
    expect(forge.told.at(-1)).toMatchObject({ description: 'Build #1 failed', url: 'https://ci.example/projects/app/builds/1' })
  })

  it('that GitLab has already counts as told', async () => {
    const forge = await fakeForge({ kind: 'gitlab', repository: 'group/sub/app', shas: [SHA], token: TOKEN })
    const forges = parseForges(JSON.stringify([{ url: forge.url, kind: 'gitlab', token: TOKEN }]))
    begin([status()], `${forge.url}/group/sub/app.git`)
    const [lost] = c.toTell()
    if (lost === undefined) throw new Error('nothing is due')
    const courier = new Courier({ forges, due: () => [lost], told: () => undefined, during: (promise) => void sent.push(promise), fetch })
    const sent: Promise<void>[] = []
    courier.go()
    await Promise.all(sent)
    c.restart()
    await tell(forges)
    expect(forge.asked).toHaveLength(2)
    expect(c.view(1).notifications).toMatchObject([{ told: 'pending', problem: null }])
  })

  it('is told to a forge below a path of its host', async () => {
    const forge = await fakeForge({ kind: 'gitlab', repository: 'team/app', shas: [SHA], token: TOKEN })
    begin([status()], `${forge.url}/git/team/app.git`)
    await tell(parseForges(JSON.stringify([{ url: `${forge.url}/git`, kind: 'gitlab', token: TOKEN }])))
    expect(forge.asked[0]?.path).toBe(`/git/api/v4/projects/team%2Fapp/statuses/${SHA}`)
  })

  it.each([
    ['of a project without a repository', null, [], 'the project has no repository, so no commit of a forge is built'],
    ['of a path', '/srv/git/app.git', [], 'the repository of the project is a path on a machine, so there is no forge to tell'],
    ['of a host without a token', 'git@github.com:team/app.git', [], 'there are no credentials for github.com: add {"url":"https://github.com","token":"…"} to the secret KEDGE_FORGES'],
    ['of a name that is none there', 'https://github.com/app', [{ url: 'https://github.com', token: TOKEN }], '"app" is not the name of a repository on github.com'],
    ['with a mistake in the secret', 'https://github.com/team/app', [{ url: 'https://github.com', token: 'two words' }], 'KEDGE_FORGES [0].token must be the token alone: no blanks, no line end'],
  ] as const)('%s is not sent, and the build says why', async (_what, repository, forges, why) => {
    begin([status()], repository)
    end(2)
    await tell(parseForges(JSON.stringify(forges)))
    expect(problems()).toEqual([why])
  })

  it('that is refused says what is to be done, without the token', async () => {
    const forge = await fakeForge({ repository: 'team/app', shas: [SHA], token: 'another' })
    forge.answerNext({ status: 401, body: { message: `Bad credentials: ${TOKEN}` } })
    begin([status()], `${forge.url}/team/app`)
    await tell(parseForges(JSON.stringify([{ url: forge.url, kind: 'github', token: TOKEN }])))
    const host = new URL(forge.url).host
    expect(problems()).toEqual([`${host} answered 401 (Bad credentials: …): its token in KEDGE_FORGES must be valid for this repository, ${github.scope}`])
    expect(forge.asked).toHaveLength(1)
  })
})

describe('a webhook', () => {
  const hookTo = (url: string): Notification => ({ kind: 'webhook', url, if: null })

  it('says what happened to which build, and nothing that a job has', async () => {
    const hook = await answeringServer(() => ({ status: 200 }))
    begin([hookTo(`${hook.url}/a-secret-path`)])
    await tell()
    end(2)
    await tell()
    expect(hook.asked.map(({ path, headers }) => [path, headers['x-kedge-event'], headers['x-kedge-delivery'], headers['content-type']])).toEqual([
      ['/a-secret-path', 'build.running', 'D1-1-0-1', 'application/json'],
      ['/a-secret-path', 'build.finished', 'D1-1-0-2', 'application/json'],
    ])
    expect(hook.asked.at(-1)?.body).toEqual({
      event: 'build.finished',
      build: { project: 'app', number: 1, state: 'passed', blocked: false, commit: null, branch: null, message: null, created_at: expect.any(String), started_at: expect.any(String), finished_at: expect.any(String), url: 'https://ci.example/projects/app/builds/1' },
    })
    expect(JSON.stringify(c.view(1).notifications)).not.toContain('a-secret-path')
  })

  it('with a user and a password in its address is sent them, and nobody is shown them', async () => {
    const hook = await answeringServer(() => ({ status: 200 }))
    begin([hookTo(hook.url.replace('//', '//ada:open%20sesame@'))])
    await tell()
    expect(hook.asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ada:open sesame').toString('base64')}`)
    expect(c.view(1).notifications).toMatchObject([{ name: new URL(hook.url).host, told: 'running', problem: null }])
  })

  it('whose address is none says so', async () => {
    begin([hookTo('http://[')])
    await tell()
    expect(problems()[0]).toContain('no message could be made')
  })

  it('that fails is repeated under the same id', async () => {
    const answers: Answer[] = [{ status: 500 }, { status: 429, headers: { 'retry-after': '7' } }]
    const hook = await answeringServer(() => answers.shift() ?? { status: 204 })
    begin([hookTo(hook.url)])
    await tell()
    c.pass(5000)
    await tell()
    c.pass(6000)
    await tell()
    expect(hook.asked).toHaveLength(2)
    c.pass(1000)
    await tell()
    expect(hook.asked.map(({ headers }) => headers['x-kedge-delivery'])).toEqual(['D1-1-0-1', 'D1-1-0-1', 'D1-1-0-1'])
    expect(c.view(1).notifications).toMatchObject([{ told: 'running', problem: null }])
  })

  it('is not followed elsewhere', async () => {
    const other = await answeringServer(() => ({ status: 200 }))
    const hook = await answeringServer(() => ({ status: 307, headers: { location: other.url } }))
    begin([hookTo(hook.url)])
    await tell()
    expect(other.asked).toEqual([])
    expect(problems()[0]).toContain('answered 307: it wants to be asked elsewhere, which is not followed')
  })

  it('to where nobody answers is tried again', async () => {
    const url = await nobody()
    begin([hookTo(`${url}/hook`)])
    await tell()
    expect(problems()[0]).toBe(`${new URL(url).host} cannot be reached`)
  })

  it('whose answer never ends is told all the same', async () => {
    const hook = await answeringServer((_asked, response) => {
      response.writeHead(500)
      const pour = setInterval(() => response.write('x'.repeat(1000)), 1)
      onTestFinished(() => clearInterval(pour))
      response.on('close', () => clearInterval(pour))
      return undefined
    })
    begin([hookTo(hook.url)])
    await tell()
    expect(problems()[0]).toContain('answered 500')
  })
})

describe('an answer', () => {
  const asked = { whom: 'github.com', secret: null, api: github }
  const answer = (code: number, headers: Record<string, string> = {}) => judge({ status: code, headers: new Headers(headers) }, '', asked)

  it('that may change by itself is asked for again', () => {
    for (const code of [408, 429, 500, 502, 503]) expect(answer(code).kind).toBe('again')
    expect(answer(403, { 'retry-after': '60' })).toMatchObject({ kind: 'again', afterMs: 60_000 })
    expect(answer(403, { 'x-ratelimit-remaining': '0' }).kind).toBe('again')
    expect(answer(429, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' })).toMatchObject({ kind: 'again', afterMs: null })
  })

  it('that will stay as it is ends it', () => {
    for (const code of [301, 400, 401, 403, 404, 410, 422]) expect(answer(code).kind).toBe('refused')
    for (const code of [200, 201, 204]) expect(answer(code)).toEqual({ kind: 'told' })
  })
})
