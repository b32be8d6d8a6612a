import { expect, test } from 'vitest'
import { createClient } from '../../../agent/cli/client.ts'
import { followBuild } from '../../../agent/cli/follow.ts'
import { answeringServer, type Answering } from '../../support/answering-server.ts'

const event = (end: number, text: string) => `id: ${end}\ndata: ${Buffer.from(text).toString('base64')}\n\n`
const END = 'event: end\ndata: {}\n\n'

async function followed(answer: Answering): Promise<{ readonly log: string; readonly notes: readonly string[]; readonly state: string }> {
  const { url } = await answeringServer(answer)
  const notes: string[] = []
  let log = ''
  const build = await followBuild(createClient({ url, token: null }), 'app', 1, { log: (bytes) => (log += Buffer.from(bytes).toString('utf8')), note: (text) => notes.push(text) })
  return { log, notes, state: build.state }
}

const view = (state: string, attempts: number, waiting?: { code: string; reason: string }) => ({
  body: { project: 'app', number: 1, state, jobs: [{ id: 'J1-1-1', state, retried_by: null, ...(waiting ? { waiting } : {}), attempts: Array.from({ length: attempts }, (_, i) => ({ id: `J1-1-1.${i + 1}`, fence: i + 1, agent: 'ada' })) }] },
})

test('a log that is cut goes on at the last byte that was printed', async () => {
  let opened = 0
  const { log } = await followed(({ path }, response) => {
    if (!path.startsWith('/api/v1/jobs/')) return view('passed', 1)
    opened += 1
    if (opened === 1) response.write(event(6, 'first\n'), () => response.destroy())
    else response.end(path.endsWith('offset=6') ? event(13, 'second\n') + END : `asked for ${path}`)
    return undefined
  })
  expect(log).toBe('first\nsecond\n')
})

test('says why a build waits, once for each reason, and where it runs then', async () => {
  let looks = 0
  const { notes, state } = await followed(({ path }, response) => {
    if (path.startsWith('/api/v1/jobs/')) return void response.end(END)
    looks += 1
    return looks <= 2 ? view('scheduled', 0, { code: 'no_agent', reason: 'no agent has tag os=mac' }) : view('passed', 1)
  })
  expect(notes).toEqual(['waits: no agent has tag os=mac', 'app#1/1 on ada'])
  expect(state).toBe('passed')
})

test('what stands behind others is told after what holds those up', async () => {
  let looks = 0
  const reasons = [{ code: 'dependency', reason: 'waits for "Build"' }, { code: 'agents_busy', reason: '2 agents match, all busy; next in line' }]
  const { notes } = await followed(() => {
    looks += 1
    const { body } = view(looks <= 2 ? 'scheduled' : 'passed', 0)
    return { body: { ...body, jobs: looks <= 2 ? reasons.slice(0, looks).map((waiting, index) => ({ ...body.jobs[0], id: `J1-1-${index + 1}`, waiting })) : [] } }
  })
  expect(notes).toEqual(['waits for "Build"', 'waits: 2 agents match, all busy; next in line'])
})

test.each([
  [[{ label: 'Release?', key: 'release', fields: [] }], 'waits until somebody lets "Release?" pass, on its page or with: kedge unblock app#1'],
  [[{ label: null, key: null, fields: [{ key: 'who' }] }], 'waits until somebody lets "step 1" pass, on its page or with: kedge unblock app#1 --field KEY=VALUE'],
  [[{ label: 'Here?', key: 'here', fields: [] }, { label: 'There?', key: null, fields: [] }], 'waits until somebody lets "Here?" or "There?" pass, on its page or with: kedge unblock app#1 here'],
])('of a build that waits for a person it says how to let it go on, also where no job stands behind: %j', async (blocks, note) => {
  let looks = 0
  const { notes } = await followed(() => {
    const { body } = view(looks++ === 0 ? 'blocked' : 'passed', 0)
    return { body: { ...body, jobs: [], steps: blocks.map((block, index) => ({ ...block, step: index + 1, kind: 'block', state: looks === 1 ? 'blocked' : 'done', trigger: null })) } }
  })
  expect(notes).toEqual([note])
})

test('the log of a second attempt follows that of the lost one', async () => {
  const { log, notes } = await followed(({ path }, response) => {
    if (!path.startsWith('/api/v1/jobs/')) return view('passed', 2)
    response.end(event(2, path.includes('attempt=1') ? 'a\n' : 'b\n') + END)
    return undefined
  })
  expect(log).toBe('a\nb\n')
  expect(notes).toEqual(['app#1/1 on ada', 'app#1/1 on ada, attempt 2'])
})

test('a log that its agent sends again from the start is printed again, and that is said', async () => {
  const { log, notes } = await followed(({ path }, response) => {
    if (!path.startsWith('/api/v1/jobs/')) return view('passed', 1)
    response.end(event(4, 'bad\n') + event(5, 'good\n') + END)
    return undefined
  })
  expect(log).toBe('bad\ngood\n')
  expect(notes).toContain('J1-1-1: its agent sends the log again, from the start')
})

test('says which build, started by a trigger, is waited for, as it gets on', async () => {
  let looks = 0
  const states = ['scheduled', 'running', 'passed']
  const { notes } = await followed(({ path }, response) => {
    if (path.startsWith('/api/v1/jobs/')) return void response.end(END)
    const state = states[looks++] ?? 'passed'
    const build = { project: 'deploy', number: 4, state, url: 'http://x/4' }
    const { body } = view(state === 'passed' ? 'passed' : 'running', 0)
    return { body: { ...body, steps: [{ state: state === 'passed' ? 'done' : 'running', trigger: { project: 'deploy', async: false, builds: [build], refused: null } }] } }
  })
  expect(notes).toEqual(['waits for deploy #4 (scheduled)  http://x/4', 'waits for deploy #4 (running)  http://x/4'])
})
