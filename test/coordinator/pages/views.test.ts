import { describe, expect, it } from 'vitest'
import { AgentsPage } from '../../../coordinator/pages/agents.tsx'
import { BuildDetails, select } from '../../../coordinator/pages/build.tsx'
import { BuildsPage } from '../../../coordinator/pages/builds.tsx'
import type { PageFrame } from '../../../coordinator/pages/layout.tsx'
import { signInPage } from '../../../coordinator/pages/sign-in.tsx'
import { duration, ending } from '../../../coordinator/pages/state.tsx'
import type { BuildView } from '../../../schema/api.ts'
import { agentView, attemptView, buildSummary, buildView, jobView } from '../../support/views.ts'

const frame: PageFrame = { nonce: 'n0nce', principal: { root: 't', tokenId: 't', name: 'ada', scope: 'build' }, now: Date.parse('2026-11-24T10:06:00.000Z') }
const reader: PageFrame = { ...frame, principal: { root: 't', tokenId: 't', name: 'eve', scope: 'read' } }

async function builds(over: Partial<Parameters<typeof BuildsPage>[0]> = {}): Promise<string> {
  return String(await BuildsPage({ frame, page: { builds: [buildSummary()], next_cursor: null }, query: {}, origin: 'https://kedge.test', islands: ['/*live*/'], ...over }))
}

async function build(view: BuildView, { frame: of = frame, ...asked }: { readonly frame?: PageFrame; readonly job?: string; readonly attempt?: string } = {}): Promise<string> {
  return String(await BuildDetails({ frame: of, build: view, selection: select(view, asked), log: null, islands: [] }))
}

describe('every page', () => {
  it('styles and runs only under its nonce, without style attributes or inline handlers', async () => {
    const pages = [await builds(), await build(buildView()), String(await signInPage({ nonce: 'n0nce', message: null, token: null }))]
    for (const html of pages) {
      expect(html.match(/<(?:style|script)(?! nonce="n0nce")/g)).toBeNull()
      expect(html).not.toMatch(/<[^>]+\s(?:style|on\w+)=/)
    }
  })

  it('escapes what people and agents wrote', async () => {
    const hostile = '"><script>alert(1)</script>'
    expect(await builds({ page: { builds: [buildSummary({ message: hostile, branch: hostile, agents: [hostile] })], next_cursor: null } })).not.toContain('<script>alert')
    expect(await build(buildView({ message: hostile, jobs: [jobView({ command: hostile, waiting: { code: 'no_agent', reason: hostile } })] }))).not.toContain('<script>alert')
    expect(String(await AgentsPage({ frame, agents: [agentView({ name: hostile, reason: hostile, tags: [hostile] })], origin: 'x', islands: [] }))).not.toContain('<script>alert')
  })
})

describe('builds', () => {
  it('each says its state in a word, and where, what, who and how long', async () => {
    const html = await builds()
    for (const text of ['passed', 'href="/projects/shop/builds/7"', 'Count twice', '#7', 'main', 'a3f29b1', 'box-1', '1m 05s', '6 min ago']) expect(html).toContain(text)
  })

  it('refresh often while something runs, and seldom otherwise', async () => {
    expect(await builds()).toContain('data-refresh="10000"')
    expect(await builds({ page: { builds: [buildSummary({ state: 'running', finished_at: null })], next_cursor: null } })).toContain('data-refresh="5000"')
  })

  it('older ones are one link away, with the filter kept', async () => {
    expect(await builds({ page: { builds: [buildSummary()], next_cursor: '7~1' }, query: { state: 'failed', branch: 'main' } })).toContain('href="/?state=failed&amp;branch=main&amp;cursor=7%7E1"')
  })

  it('without any, the page says how to start the first', async () => {
    expect(await builds({ page: { builds: [], next_cursor: null } })).toContain('npx kedge build --url https://kedge.test')
  })

  it('a filter that finds nothing says what it looked for', async () => {
    expect(await builds({ page: { builds: [], next_cursor: null }, query: { state: 'failed', branch: 'x' } })).toMatch(/No failed build\s+of the branch x/)
  })
})

describe('a build', () => {
  it('that waits says why', async () => {
    const html = await build(buildView({ state: 'scheduled', started_at: null, finished_at: null, jobs: [jobView({ state: 'queued', attempts: [], waiting: { code: 'agents_busy', reason: '3 agents match, all busy; 2nd in line' } })] }))
    expect(html).toContain('<strong>Waiting:</strong> 3 agents match, all busy; 2nd in line')
  })

  it('that runs can be canceled and refreshes itself; one that ended can be retried and does not', async () => {
    const running = await build(buildView({ state: 'running', finished_at: null }))
    expect(running).toContain('action="/projects/shop/builds/7/cancel"')
    expect(running).toContain('data-refresh')
    expect(running).not.toContain('/retry"')
    const ended = await build(buildView({ state: 'failed', jobs: [jobView({ state: 'failed' })] }))
    expect(ended).toContain('action="/projects/shop/builds/7/retry"')
    expect(ended).not.toContain('data-refresh')
  })

  it('offers to retry only the failed where some passed', async () => {
    expect(await build(buildView({ state: 'failed', jobs: [jobView(), jobView({ id: 'J1-7-2', state: 'failed' })] }))).toContain('Retry failed')
    expect(await build(buildView({ state: 'failed', jobs: [jobView({ state: 'failed' })] }))).not.toContain('Retry failed')
  })

  it('offers nothing to whoever may only read', async () => {
    expect(await build(buildView({ state: 'running' }), { frame: reader })).not.toMatch(/action="[^"]*\/(?:cancel|retry)"/)
  })

  it('shows every attempt with how it ended', async () => {
    const lost = attemptView({ id: 'J1-7-1.1', state: 'lost', exit_status: null, reason: { code: 'silent', message: 'its agent was silent for 120 s' } })
    const html = await build(buildView({ state: 'failed', jobs: [jobView({ state: 'failed', exit_status: 137, attempts: [lost, attemptView({ id: 'J1-7-1.2', fence: 2, state: 'failed', exit_status: 137 })] })] }))
    expect(html).toContain('its agent was silent for 120 s')
    expect(html).toContain('exit 137 (SIGKILL)')
  })
})

describe('what is selected', () => {
  const failed = jobView({ id: 'J1-7-2', state: 'failed', attempts: [attemptView({ id: 'J1-7-2.1' }), attemptView({ id: 'J1-7-2.2', fence: 2 })] })
  const view = buildView({ jobs: [jobView(), failed, jobView({ id: 'J1-7-3' })] })

  it('is the job that went wrong and its newest attempt, unless the address says otherwise', () => {
    expect(select(view, {})).toMatchObject({ job: { id: 'J1-7-2' }, attempt: { id: 'J1-7-2.2' } })
    expect(select(view, { job: 'J1-7-2', attempt: '1' }).attempt?.id).toBe('J1-7-2.1')
    expect(select(view, { job: 'J1-7-3' }).job?.id).toBe('J1-7-3')
  })

  it('is not a job that was retried since', () => {
    expect(select(buildView({ jobs: [{ ...failed, retried_by: 'J1-7-3' }, jobView({ id: 'J1-7-3', retry_of: 'J1-7-2' })] }), {}).job?.id).toBe('J1-7-3')
  })
})

describe('agents', () => {
  it('each shows its load, what it runs and why it takes nothing', async () => {
    const html = String(await AgentsPage({ frame, agents: [agentView({ state: 'unhealthy', reason: '1 GB free, below the floor of 5 GB', running: [{ attempt: 'J1-7-1.1', project: 'shop', build: 7 }] })], origin: 'x', islands: [] }))
    for (const text of ['unhealthy', '1 GB free, below the floor of 5 GB', '1/2', 'href="/projects/shop/builds/7"', 'queue=default', 'os=linux']) expect(html).toContain(text)
  })

  it('one that takes work is connected, also where the coordinator has slept and forgotten when it last heard from it', async () => {
    const shown = async (state: 'ready' | 'offline') => String(await AgentsPage({ frame, agents: [agentView({ state, last_seen: null })], origin: 'x', islands: [] }))
    expect(await shown('ready')).toContain('<span class="seen">connected</span>')
    expect(await shown('offline')).toContain('<span class="seen"></span>')
  })
})

describe('words', () => {
  it.each([[840, '0.8s'], [59_000, '59s'], [187_000, '3m 07s'], [3_720_000, '1h 02m'], [90_000_000, '1d 01h'], [-5, '0.0s']])('%i ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })

  it('an ending is a signal, a status, or nothing yet', () => {
    expect(ending({ exit_status: 2, signal: null })).toBe('exit 2')
    expect(ending({ exit_status: null, signal: 'SIGTERM' })).toBe('SIGTERM')
    expect(ending({ exit_status: null, signal: null })).toBe('')
  })
})
