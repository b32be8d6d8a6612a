import { describe, expect, it } from 'vitest'
import { AgentsPage } from '../../../coordinator/pages/agents.tsx'
import { annotationsKey, SHOWN } from '../../../coordinator/pages/annotations.tsx'
import { answersOf, type AskForm } from '../../../coordinator/pages/ask.tsx'
import { BuildDetails, select } from '../../../coordinator/pages/build.tsx'
import { BuildsPage } from '../../../coordinator/pages/builds.tsx'
import type { PageFrame } from '../../../coordinator/pages/layout.tsx'
import { signInPage } from '../../../coordinator/pages/sign-in.tsx'
import { duration, ending } from '../../../coordinator/pages/state.tsx'
import type { AnnotationView, BuildView, JobView, StepView } from '../../../schema/api.ts'
import type { ArtifactPage } from '../../../schema/artifacts.ts'
import type { AttemptId } from '../../../schema/job.ts'
import type { Field, SelectField, TextField } from '../../../schema/pipeline/steps.ts'
import { agentView, attemptView, buildSummary, buildView, jobView, stepView } from '../../support/views.ts'

const frame: PageFrame = { nonce: 'n0nce', principal: { root: 't', tokenId: 't', name: 'ada', scope: 'build' }, now: Date.parse('2026-11-24T10:06:00.000Z') }
const reader: PageFrame = { ...frame, principal: { root: 't', tokenId: 't', name: 'eve', scope: 'read' } }

async function builds(over: Partial<Parameters<typeof BuildsPage>[0]> = {}): Promise<string> {
  return String(await BuildsPage({ frame, page: { builds: [buildSummary()], next_cursor: null }, query: {}, origin: 'https://kedge.test', islands: ['/*live*/'], ...over }))
}

async function build(view: BuildView, { frame: of = frame, form = null, annotations = [], artifacts = null, ...asked }: { readonly frame?: PageFrame; readonly form?: AskForm | null; readonly annotations?: readonly AnnotationView[] | null; readonly artifacts?: ArtifactPage | null; readonly job?: string; readonly attempt?: string } = {}): Promise<string> {
  return String(await BuildDetails({ frame: of, build: view, selection: select(view, asked), log: null, annotations, artifacts, form, islands: [] }))
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

describe('annotations', () => {
  const annotation = (over: Partial<AnnotationView> = {}): AnnotationView => ({ job: null, context: 'c', style: 'info', priority: 3, created_at: '2026-11-24T10:00:00.000Z', updated_at: '2026-11-24T10:00:00.000Z', bytes: 1, body: 'x', ...over })
  const shown = (annotations: readonly AnnotationView[], job?: string) => build(buildView({ annotations, jobs: [jobView(), jobView({ id: 'J1-7-2' })] }), { annotations, ...(job === undefined ? {} : { job }) })

  it('stand above the jobs, those of a job with it alone', async () => {
    const html = await shown([annotation({ body: 'of the build' }), annotation({ job: 'J1-7-1', body: 'of one' }), annotation({ job: 'J1-7-2', body: 'of the other' })], 'J1-7-2')
    expect(html.indexOf('of the build')).toBeLessThan(html.indexOf('class="jobs"'))
    expect(html.indexOf('of the other')).toBeGreaterThan(html.indexOf('class="jobs"'))
    expect(html).not.toContain('of one')
    expect(await build(buildView())).not.toContain('<article')
  })

  it('that are long are cut, one by one and together, with a link to all of it', async () => {
    const line = 'word '.repeat(100)
    const long = `${line}\n\n`.repeat(SHOWN.characters / line.length + 1)
    const html = await shown(Array.from({ length: 6 }, (_, n) => annotation({ context: `c${n}`, body: long })))
    expect(html.match(/It is longer than what is shown here/g)).toHaveLength(6)
    expect(html).toContain('href="/api/v1/projects/shop/builds/7/annotations"')
    expect(html.length).toBeLessThan(1.3 * SHOWN.charactersTogether)
  })

  it('have another name as soon as one of them is another', () => {
    const names = [[annotation()], [annotation({ context: 'd' })], [annotation({ updated_at: '2026-11-24T10:00:00.001Z' })], [annotation(), annotation({ context: 'd' })], [annotation({ style: 'error' })], [annotation({ bytes: 2 })]].map(annotationsKey)
    expect(new Set(names).size).toBe(names.length)
    expect(annotationsKey([annotation()])).toBe(names[0])
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

describe('a block that waits for a person', () => {
  const option = (value: string, over = {}) => ({ label: `In ${value}`, value, hint: null, required: null, ...over })
  const version: TextField = { kind: 'text', key: 'release/version', label: 'Version', hint: 'As it will be called', required: true, default: '1.0', format: null }
  const where: SelectField = { kind: 'select', key: 'where', label: null, hint: null, required: true, options: [option('eu', { hint: 'Frankfurt' }), option('us')], multiple: false, default: ['us'] }
  const asking = (fields: readonly Field[], over: Partial<StepView> = {}) => buildView({ state: 'blocked', finished_at: null, steps: [stepView({ step: 3, kind: 'block', state: 'blocked', label: 'Release?', prompt: 'Look twice.', fields, ...over })] })

  it('is a form that says what is asked, and leads to its step', async () => {
    const html = await build(asking([version, where], { submit: 'Ship' }))
    for (const text of ['action="/projects/shop/builds/7/steps/3/unblock"', 'Release?', 'Look twice.', '>Ship</button>', 'As it will be called', 'name="asked" value="release/version"', 'name="answer.release/version"', 'value="1.0"', '>where</legend>', 'Frankfurt']) expect(html).toContain(text)
    expect(html).toMatch(/<input value="1\.0"[^>]* required="" aria-describedby="ask-3-0-hint"/)
    expect(html).toMatch(/<input type="radio" name="answer\.where" value="us" checked="" required=""/)
    expect(html).toContain('data-refresh')
  })

  it('has a list to check where several may be chosen, one to drop down where there are many, and a way to choose none', async () => {
    expect(await build(asking([{ ...where, multiple: true, options: [option('eu', { required: true }), option('us')], default: [] }]))).toMatch(/<input type="checkbox" name="answer\.where" value="eu" required=""\/>.*<input type="checkbox" name="answer\.where" value="us"\/>/s)
    expect(await build(asking([{ ...where, options: Array.from({ length: 9 }, (_, n) => option(`o${n}`)), default: ['o3'] }]))).toMatch(/<select id="ask-3-0" name="answer\.where" required="">.*<option value="">Choose one.*<option value="o3" selected="">/s)
    expect(await build(asking([{ ...where, required: false }]))).toMatch(/\(optional\).*<input type="radio" name="answer\.where" value=""\/>/s)
  })

  it('keeps what was answered, marks what is wrong, and does not refresh that away', async () => {
    const html = await build(asking([version, where]), { form: { step: '3', given: [['release/version', 'x\ny'], ['where', 'eu']], problem: { detail: 'x', errors: [{ path: 'fields.release/version', message: 'must match the format' }, { path: 'fields.who', message: 'is not asked for' }] } } })
    expect(html).toMatch(/<textarea[^>]* aria-describedby="ask-3-0-hint ask-3-0-error" aria-invalid="true">x\ny<\/textarea>/)
    expect(html).toContain('id="ask-3-0-error">It must match the format.')
    expect(html).toContain('&quot;fields.who&quot; is not asked for.')
    expect(html).toContain('value="eu" checked=""')
    expect(html).not.toContain('data-refresh')
  })

  it('escapes what the pipeline and people wrote', async () => {
    const hostile = '"></textarea><script>alert(1)</script>'
    const html = await build(asking([{ ...version, key: hostile, label: hostile, hint: hostile, default: `${hostile}\n` }, { ...where, label: hostile, options: [option(hostile, { label: hostile, hint: hostile })] }], { label: hostile, prompt: hostile, submit: hostile }))
    expect(html).not.toContain('<script>alert')
    expect(html).not.toContain('"></textarea>')
  })

  it('shows whoever may only read what is asked, and no form', async () => {
    const html = await build(asking([version]), { frame: reader })
    expect(html).toContain('Look twice.')
    expect(html).not.toContain('/unblock"')
  })

  it('is no form any more once it was let pass', async () => {
    expect(await build(asking([version], { state: 'done', outcome: 'passed' }))).not.toContain('/unblock"')
  })

  it('takes from its form what was answered, also with nothing', () => {
    expect(answersOf(new URLSearchParams('asked=a&answer.a=x&asked=b&answer.b=1&answer.b=2&asked=c&answer.d=y&asked=__proto__&answer.__proto__=z'))).toEqual([['a', 'x'], ['b', ['1', '2']], ['c', []], ['__proto__', 'z']])
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

describe('a build of steps', () => {
  const step = stepView({ label: 'Pipeline upload', state: 'done', outcome: 'passed' })

  it('calls its jobs as their steps are called', async () => {
    const html = await build(buildView({ state: 'failed', steps: [step], jobs: [jobView({ step: 1, label: null, command: 'true' }), jobView({ step: 2, label: 'Test <b>', parallel: { index: 1, count: 3 } }), jobView({ step: 3, label: null, command: 'make last' })] }))
    for (const name of ['>Pipeline upload<', 'Test &lt;b&gt; (2 of 3)', '<code>make last</code>']) expect(html).toContain(name)
  })

  it('offers to run again what failed, and no more', async () => {
    const html = await build(buildView({ state: 'failed', steps: [step], jobs: [jobView({ state: 'failed' })] }))
    expect(html).toContain('Retry failed')
    expect(html).not.toContain('Retry all')
  })
})

describe('the list of a pipeline', () => {
  const done = (step: number, over: Partial<StepView> = {}) => stepView({ step, state: 'done', outcome: 'passed', ...over })
  const job = (n: number, step: number, over: Partial<JobView> = {}) => jobView({ id: `J1-7-${n}`, step, label: `job ${n}`, ...over })
  const listed = async (steps: readonly StepView[], jobs: readonly JobView[] = [], over: Partial<BuildView> = {}) => /<nav aria-label="(?:Steps|Jobs)">.*?<\/nav>/s.exec(await build(buildView({ steps, jobs, ...over })))?.[0] ?? ''
  /** Ids of the rows in their order, those in a group behind its own and a ">". */
  const order = (html: string) => [...html.matchAll(/<li id="(?:step|job|trigger)-([^"]+)"|(<ul>)|(<\/ul>)/g)].map(([, id, opens]) => id ?? (opens ? '>' : '<')).slice(0, -1)
  const row = (html: string, id: string) => html.slice(html.indexOf(`<li id="${id}"`)).split('</li>')[0] ?? ''

  it('is in the order of the pipeline, whatever the order of the jobs, with the steps of a group within it', async () => {
    const html = await listed(
      [done(1, { label: 'Upload' }), done(6, { kind: 'group', label: 'Checks' }), done(3, { group: 6 }), done(4, { kind: 'wait', group: 6 }), done(5, { group: 6 }), done(7, { kind: 'wait' }), stepView({ step: 2, kind: 'block', state: 'blocked', label: 'Ship?' })],
      [job(1, 1), job(9, 5), job(3, 3), job(2, 3, { parallel: { index: 1, count: 2 } })],
    )
    expect(order(html)).toEqual(['J1-7-1', '6', '>', 'J1-7-3', 'J1-7-2', '4', 'J1-7-9', '<', '7', '2'])
    expect(row(html, 'step-6')).toMatch(/passed.*<h2 class="title">Checks<\/h2>/s)
  })

  it('opens the groups in which something goes on, went wrong or is selected, and no others', async () => {
    const group = (step: number, over: Partial<StepView>) => [stepView({ step, kind: 'group', ...over }), stepView({ ...over, step: step + 1, group: step })]
    const steps = [...group(10, { state: 'done', outcome: 'passed' }), ...group(20, { state: 'running' }), ...group(30, { state: 'done', outcome: 'failed' }), ...group(40, { state: 'waiting' }), ...group(50, { state: 'done', outcome: 'passed' })]
    const jobs = [job(1, 11), job(2, 21, { state: 'running' }), job(3, 31, { state: 'failed' }), job(4, 41, { state: 'waiting' }), job(5, 51)]
    const html = await build(buildView({ state: 'running', steps, jobs }), { job: 'J1-7-5' })
    expect([...html.matchAll(/<details( open="")? data-opens="(\w*)"/g)].map(([, open, why]) => [open !== undefined, why])).toEqual([[false, ''], [true, 'going'], [true, 'failed'], [false, ''], [true, 'selected']])
  })

  it('keeps a retried job beside the one in its place', async () => {
    const jobs = [job(1, 1, { state: 'failed', retried_by: 'J1-7-3' }), job(2, 1), job(3, 1, { retry_of: 'J1-7-1', retried_by: 'J1-7-4', state: 'failed' }), job(4, 1, { retry_of: 'J1-7-3' })]
    expect(order(await listed([done(1)], jobs))).toEqual(['J1-7-1', 'J1-7-3', 'J1-7-4', 'J1-7-2'])
    expect(order(await listed([], jobs.map((one) => ({ ...one, step: null }))))).toEqual(['J1-7-1', 'J1-7-3', 'J1-7-4', 'J1-7-2'])
  })

  it('tells a failure that is allowed from one that is not, in word and class, and in the page of its job', async () => {
    const jobs = [job(1, 1, { state: 'failed', soft_failed: true }), job(2, 2, { state: 'failed' })]
    const html = await listed([done(1, { outcome: 'soft_failed' }), done(2, { outcome: 'failed' })], jobs)
    expect(row(html, 'job-J1-7-1')).toMatch(/class="state allowed".*failed \(allowed\)/s)
    expect(row(html, 'job-J1-7-2')).toMatch(/class="state bad"(?!.*allowed)/s)
    expect(await build(buildView({ steps: [done(1)], jobs }), { job: 'J1-7-1' })).toContain('its step allows that')
    expect(select(buildView({ jobs }), {}).job?.id).toBe('J1-7-2')
    expect(select(buildView({ jobs: [...jobs.slice(0, 1), job(2, 2, { state: 'running' })] }), {}).job?.id).toBe('J1-7-2')
    expect(select(buildView({ jobs: [...jobs.slice(0, 1), job(2, 2)] }), {}).job?.id).toBe('J1-7-1')
  })

  it('says of a block who let it pass and what was answered, in the words of its form', async () => {
    const where: SelectField = { kind: 'select', key: 'where', label: 'Where', hint: null, required: true, options: [{ label: 'Production <1>', value: 'p', hint: null, required: null }, { label: 'Both', value: 'b', hint: null, required: null }], multiple: true, default: [] }
    const html = await listed([done(1), done(2, { kind: 'block', label: 'Ship?', fields: [where], unblocked: { by: '<ada>', at: '2026-11-24T10:04:00.000Z', answers: { where: 'p\nb\ngone', note: '' } } })])
    for (const text of ['let pass by &lt;ada&gt;', '2 min ago', '<dt>Where:</dt> <dd>Production &lt;1&gt;, Both, gone</dd>', '<dt>note:</dt> <dd>nothing</dd>']) expect(row(html, 'step-2')).toContain(text)
  })

  it('leads from a block that is asked about to its form', async () => {
    const html = await build(buildView({ state: 'blocked', steps: [done(1), stepView({ step: 2, kind: 'block', state: 'blocked', label: 'Ship?' })] }))
    expect(html).toContain('<a class="title" href="#ask-2">Ship?</a>')
    expect(html).toContain('id="ask-2"')
  })

  it('says why a step was left out, and what failed where one was not reached', async () => {
    const html = await listed(
      [done(1, { outcome: 'skipped', skipped: 'its branch is not main' }), done(2, { outcome: 'broken', broken: '"Lint" failed' }), done(3, { kind: 'block', outcome: 'broken', broken: '"Lint" failed' }), done(4, { kind: 'trigger', outcome: 'broken', broken: '"Lint" failed', trigger: { project: 'deploy', async: false, builds: [], refused: null } }), done(5, { label: 'Matrix', outcome: 'skipped', skipped: 'all of it' })],
      [job(1, 1, { state: 'skipped', attempts: [] }), job(2, 2, { state: 'broken', attempts: [] })],
    )
    for (const [id, why] of [['job-J1-7-1', 'its branch is not main'], ['job-J1-7-2', 'not run, because &quot;Lint&quot; failed'], ['step-3', 'not reached, because &quot;Lint&quot; failed'], ['step-4', 'not run, because &quot;Lint&quot; failed'], ['step-5', 'all of it']] as const) expect(row(html, id)).toContain(why)
    expect(row(html, 'step-4')).toContain('>deploy<')
  })

  it('of a build of one job is none', async () => {
    expect(await listed([], [jobView()])).toBe('')
    expect(await listed([done(1)], [job(1, 1)])).toBe('')
  })

  it('shows thousands of jobs, each once', async () => {
    const steps = Array.from({ length: 2000 }, (_, n) => done(n + 1, n % 10 === 0 ? { kind: 'group' } : { group: n - (n % 10) + 1 }))
    const html = await listed(steps, steps.flatMap(({ step, kind }) => (kind === 'group' ? [] : [job(step, step)])))
    expect(html.match(/<li id="job-/g)).toHaveLength(1800)
    expect(html.match(/class="group"/g)).toHaveLength(200)
  })
})

describe('a build that tells others', () => {
  it('says what could not be told, and nothing of what was', async () => {
    const told = { kind: 'commit_status', name: '<ci>', step: null, told: 'success', to_tell: null, problem: null } as const
    expect(await build(buildView({ notifications: [told] }))).not.toContain('could not be told')
    expect(await build(buildView({ notifications: [{ ...told, problem: 'github.com answered 401' }] }))).toContain('<li>The commit status &quot;&lt;ci&gt;&quot; could not be told: github.com answered 401.</li>')
  })
})

describe('a build that started others', () => {
  const link = { project: 'deploy', number: 4, state: 'running', url: 'https://kedge.test/projects/deploy/builds/4' } as const
  const trigger = (over: Partial<NonNullable<StepView['trigger']>> = {}) => stepView({ step: 2, kind: 'trigger', label: 'Ship <b>it</b>', trigger: { project: 'deploy', async: false, builds: [link], refused: null, ...over } })

  it('links to each, with its state, and that one back', async () => {
    const html = await build(buildView({ state: 'running', steps: [trigger()] }))
    expect(html).toContain('<a class="title" href="/projects/deploy/builds/4">Ship &lt;b&gt;it&lt;/b&gt;: deploy #4</a>')
    expect(html).not.toContain('not waited for')
    expect(await build(buildView({ project: 'deploy', triggered_from: { project: 'app', number: 3, url: 'x' } }))).toContain('started by <a href="/projects/app/builds/3">app #3</a>')
  })

  it('says why it could start none, and which it does not wait for', async () => {
    expect(await build(buildView({ steps: [trigger({ builds: [], refused: 'not started: too many' })] }))).toContain('not started: too many')
    expect(await build(buildView({ steps: [trigger({ async: true })] }))).toContain('not waited for')
  })

  it('offers to try a failed one again', async () => {
    expect(await build(buildView({ state: 'failed', steps: [{ ...trigger(), state: 'done', outcome: 'failed' }] }))).toContain('Retry failed')
  })
})

it('one job of a build of steps can be retried by whoever may, unless it did not run or was retried', async () => {
  const steps = [stepView()]
  const offers = async (job: Parameters<typeof jobView>[0], of = frame) => (await build(buildView({ state: 'failed', steps, jobs: [jobView(job)] }), { frame: of })).includes('action="/projects/shop/builds/7/jobs/J1-7-1/retry"')
  expect([await offers({ state: 'failed' }), await offers({ state: 'passed' })]).toEqual([true, true])
  expect([await offers({ state: 'broken' }), await offers({ state: 'running' }), await offers({ state: 'failed', retried_by: 'J1-7-2' }), await offers({ state: 'failed' }, reader)]).toEqual([false, false, false, false])
})

describe('artifacts of a job', () => {
  const artifact = (path: string, bytes: number) => ({ id: `J1-1-1.1/${path}`, job: 'J1-1-1', attempt: 'J1-1-1.1' as AttemptId, path, bytes, sha256: 'a'.repeat(64), sha1: 'b'.repeat(40), content_type: 'text/html', created_at: '2026-11-24T10:00:00.000Z', url: `https://kedge.test/api/v1/projects/app/builds/1/artifacts/J1-1-1.1/${encodeURIComponent(path)}` })

  it('are links that save, by their names as text, with their sizes', async () => {
    const html = await build(buildView(), { artifacts: { artifacts: [artifact('<b>.html', 0), artifact('one', 1), artifact('large', 1536), artifact('larger', 3 * 2 ** 20), artifact('largest', 2 ** 31)], next_cursor: null } })
    expect(html).toContain('5 artifacts')
    expect(html).toContain('<a href="/api/v1/projects/app/builds/1/artifacts/J1-1-1.1/%3Cb%3E.html" download="&lt;b&gt;.html">&lt;b&gt;.html</a>')
    expect([...html.matchAll(/class="size">([^<]*)</g)].map(([, size]) => size)).toEqual(['0 bytes', '1 byte', '1.5 KiB', '3 MiB', '2 GiB'])
  })

  it('are shown up to a hundred, and where the rest is', async () => {
    const many = Array.from({ length: 120 }, (_, n) => artifact(`f${n}`, 1))
    const html = await build(buildView(), { artifacts: { artifacts: many, next_cursor: 'x' } })
    expect(html).toContain('120 or more artifacts')
    expect(html.match(/class="size"/g)).toHaveLength(100)
    expect(html).toContain('GET /api/v1/projects/app/builds/1/artifacts</p>')
    expect(await build(buildView(), { artifacts: { artifacts: [], next_cursor: null } })).not.toContain('aria-label="Artifacts"')
  })
})
