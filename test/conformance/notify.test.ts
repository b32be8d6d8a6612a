/** Whom builds tell how they go: what is due when, through restarts, retries and refusals. Against the real steps of the Scheduler. */
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Delivery } from '../../coordinator/objects/deliveries.ts'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Notification, Pipeline, Step } from '../../schema/pipeline/steps.ts'
import { ORIGIN, clusterAtWork, TestCluster, type TestAgent } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const SHA = 'c0ffee'.padEnd(40, '0')
const status = (over: Partial<Extract<Notification, { kind: 'commit_status' }>> = {}): Notification => ({ kind: 'commit_status', context: null, blockedAsPending: false, if: null, ...over })
const webhook = (over: Partial<Extract<Notification, { kind: 'webhook' }>> = {}): Notification => ({ kind: 'webhook', url: 'https://example.com/hook', if: null, ...over })
const job = (n: number, fence = 1, build = 1) => attemptId({ project: 1, build, n, fence })

/** A build whose first job brings these steps and passes. */
function begin(steps: readonly Step[], over: Partial<Pipeline> = {}, request: Record<string, unknown> = { commit: SHA }): void {
  c.build(request)
  agent.sync()
  const answer = c.upload(job(1), steps, { over })
  if (!answer.ok) throw new Error(JSON.stringify(answer.problem.errors))
  agent.sync()
}

function end(attempt: AttemptId, exitStatus = 0): void {
  agent.finish(attempt, exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
  agent.sync()
  agent.sync()
}

const said = ({ notice: { to }, word }: Delivery) => `${to.kind === 'webhook' ? 'webhook' : to.context} ${word}`

/** Tells all that is due, and says what that was. */
function tellAll(): readonly string[] {
  const all: string[] = []
  for (let due = c.toTell(); due.length > 0; due = c.toTell()) {
    for (const one of due) {
      all.push(said(one))
      c.told(one)
    }
  }
  return all
}

const errorsOf = (steps: readonly Step[], over: Partial<Pipeline> = {}) => {
  const { number } = c.build({ commit: SHA })
  agent.sync()
  const answer = c.upload(job(1, 1, number), steps, { over })
  return answer.ok ? [] : (answer.problem.errors ?? []).map(({ path, message }) => `${path}: ${message}`)
}

describe('a build', () => {
  it('tells that it runs, and what it came to', () => {
    begin([commandStep('a')], { notify: [status(), webhook()] })
    expect(tellAll()).toEqual(['kedge/app pending', 'webhook running'])
    end(job(1))
    expect(tellAll()).toEqual([])
    end(job(2))
    expect(tellAll()).toEqual(['kedge/app success', 'webhook passed'])
    expect(c.view(1).notifications).toEqual([
      { kind: 'commit_status', name: 'kedge/app', step: null, told: 'success', to_tell: null, problem: null },
      { kind: 'webhook', name: 'example.com', step: null, told: 'passed', to_tell: null, problem: null },
    ])
  })

  it('says of what, of which commit and where people see it', () => {
    begin([commandStep('a')], { notify: [status({ context: 'ci/all' })] }, { commit: SHA, branch: 'main' })
    expect(c.toTell()).toMatchObject([{ project: { slug: 'app' }, build: { number: 1, commit: SHA, branch: 'main' }, step: null, word: 'pending', url: `${ORIGIN}/projects/app/builds/1` }])
  })

  it('tells a status as soon as it knows its commit', () => {
    begin([commandStep('a')], { notify: [status(), webhook()] }, { branch: 'main' })
    expect(tellAll()).toEqual(['webhook running'])
    agent.sync({ running: [{ attempt: job(1), phase: 'running', commit: SHA, log_bytes: 0 }] })
    expect(tellAll()).toEqual(['kedge/app pending'])
  })

  it('tells that something failed before all is over, and not twice', () => {
    begin([commandStep('a'), commandStep('b')], { notify: [status(), webhook()] })
    tellAll()
    end(job(1))
    end(job(2), 1)
    expect(tellAll()).toEqual(['kedge/app failure', 'webhook failing'])
    end(job(3))
    expect(tellAll()).toEqual(['webhook failed'])
  })

  it('that waits for a person is a success, or pending where that was asked for', () => {
    begin([commandStep('a'), blockStep('ask'), commandStep('b')], { notify: [status({ context: 'x' }), status({ context: 'y', blockedAsPending: true }), webhook()] })
    tellAll()
    end(job(1))
    end(job(2))
    expect(tellAll()).toEqual(['x success', 'webhook blocked'])
    c.unblock(1, 'ask')
    agent.sync()
    expect(tellAll()).toEqual(['x pending', 'webhook running'])
    end(job(3))
    expect(tellAll()).toEqual(['x success', 'y success', 'webhook passed'])
  })

  it('is not blocked while other steps go on', () => {
    begin([commandStep('a'), blockStep('ask', { dependsOn: [] })], { notify: [webhook()] })
    expect(tellAll()).toEqual(['webhook running'])
    end(job(1))
    expect(tellAll()).toEqual([])
    end(job(2))
    expect(tellAll()).toEqual(['webhook blocked'])
  })

  it('that is cancelled tells an error', () => {
    begin([commandStep('a')], { notify: [status()] })
    tellAll()
    c.cancel(1)
    expect(tellAll()).toEqual([])
    agent.finish(job(1), 'canceled')
    agent.sync()
    agent.finish(job(2), 'canceled')
    agent.sync()
    agent.sync()
    expect(c.view(1).state).toBe('canceled')
    expect(tellAll()).toEqual(['kedge/app error'])
  })

  it('goes back from what it came to only when a person has it tried again', () => {
    begin([commandStep('a')], { notify: [status()] })
    end(job(1))
    end(job(2), 1)
    expect(tellAll()).toEqual(['kedge/app failure'])
    c.retry(1, 'failed')
    expect(tellAll()).toEqual(['kedge/app pending'])
    agent.sync()
    end(job(3))
    expect(tellAll()).toEqual(['kedge/app success'])
  })

  it('tells only when the condition holds, with the variables of its pipeline', () => {
    begin([commandStep('a')], { env: { TELL: 'yes' }, notify: [webhook({ if: 'build.state == "failed" && build.env("TELL") == "yes"' }), status({ if: 'build.env("TELL") == "no"' })] })
    expect(tellAll()).toEqual([])
    end(job(1))
    end(job(2), 1)
    expect(tellAll()).toEqual(['webhook failed'])
  })

  it('tells of a state what its condition says of that, however alike the states are to others', () => {
    begin([commandStep('a'), commandStep('b')], { notify: [status({ if: 'build.state == "failed"' })] })
    end(job(1))
    end(job(2), 1)
    expect(tellAll()).toEqual([])
    end(job(3))
    expect(tellAll()).toEqual(['kedge/app failure'])
  })

  it('of another upload that asks for the same again tells it once', () => {
    begin([commandStep('a')], { notify: [status(), webhook()] })
    const more = c.upload(job(1), [commandStep('b')], { over: { notify: [status(), webhook(), webhook({ url: 'https://example.org' })] } })
    expect(more.ok).toBe(true)
    expect(c.view(1).notifications.map(({ name }) => name)).toEqual(['kedge/app', 'example.com', 'example.org'])
  })
})

describe('a step', () => {
  it('has a status of its own, by its key, else its label', () => {
    const notify = [status()]
    begin([commandStep('a', { notify }), commandStep(null, { label: 'Lint', notify }), commandStep(null, { label: 'Lint', notify }), commandStep('x', { notify: [status({ context: 'ci/x' })] })])
    expect(tellAll()).toEqual(['kedge/app/a pending', 'kedge/app/Lint pending', 'kedge/app/Lint (2) pending', 'ci/x pending'])
    end(job(3), 1)
    expect(tellAll()).toEqual(['kedge/app/Lint failure'])
  })

  it('that fails softly or is left out is a success, and one that could not run an error', () => {
    const notify = [status()]
    begin([commandStep('soft', { softFail: 'any', notify }), commandStep('out', { if: 'false', notify }), commandStep('bad'), waitStep(), commandStep('broken', { notify })])
    expect(tellAll()).toEqual(['kedge/app/soft pending', 'kedge/app/out success', 'kedge/app/broken pending'])
    end(job(1))
    end(job(2), 1)
    end(job(4), 1)
    expect(tellAll()).toEqual(['kedge/app/soft success', 'kedge/app/broken error'])
  })

  it('in a group is told of, and so is the group', () => {
    begin([groupStep('g', [commandStep('a', { notify: [status()] }), commandStep('b')], { notify: [status(), webhook()] })])
    expect(tellAll()).toEqual(['kedge/app/g pending', 'webhook running', 'kedge/app/a pending'])
    end(job(2))
    end(job(3))
    expect(tellAll()).toEqual(['kedge/app/g success', 'webhook passed', 'kedge/app/a success'])
  })

  it('tells by what it came to', () => {
    begin([commandStep('a', { notify: [status({ if: 'step.outcome == "hard_failed"' })] })])
    expect(tellAll()).toEqual([])
    end(job(2), 1)
    expect(tellAll()).toEqual(['kedge/app/a failure'])
  })
})

describe('an upload is refused', () => {
  it('where two would overwrite each other', () => {
    expect(errorsOf([commandStep('a', { notify: [status({ context: 'ci' })] })], { notify: [status({ context: 'ci' })] })).toEqual(['steps[0].notify[0]: the build tells the status "ci" already, and each would overwrite the other: give this one a "context" of its own.'])
    expect(errorsOf([], { notify: [status({ context: 'ci', if: 'build.branch == "main"' }), status({ context: 'ci', if: 'build.branch != "main"' })] })).toEqual([])
  })

  it('beyond what one build may tell, whole', () => {
    const many = Array.from({ length: PIPELINE_LIMITS.noticesPerBuild + 1 }, (_, at) => webhook({ url: `https://example.com/${at}` }))
    expect(errorsOf([commandStep('a')], { notify: many })).toEqual([`notify[100]: a build tells 100 at most, and this is one more: tell of a group instead of each of its steps, or of the whole build.`])
    expect(c.view(1)).toMatchObject({ steps: [], notifications: [] })
    const long = Array.from({ length: 10 }, (_, at) => webhook({ url: `https://example.com/${at}`, if: `build.branch == "${'x'.repeat(30_000)}"` }))
    expect(errorsOf([commandStep('a')], { notify: long })[0]).toContain('longer than 262144 characters together')
  })
})

describe('a status', () => {
  it('ends as its build does, and goes back to pending only when a person did something, whatever happens', () => {
    const act = fc.constantFrom('pass', 'fail', 'cancel', 'retry', 'unblock', 'tell', 'lose', 'restart', 'wait')
    fc.assert(
      fc.property(fc.array(act, { minLength: 5, maxLength: 25 }), (acts) => {
        c = new TestCluster()
        c.project()
        agent = c.agent('a', { slots: 100 })
        agent.join()
        begin([commandStep('a', { notify: [status()] }), commandStep('b', { softFail: 'any' }), blockStep('ask'), commandStep('c')], { notify: [status()] })
        end(job(1))
        const told = new Map<string, string[]>()
        let asked = 0
        const pendingAt = new Map<string, number>()
        const hear = (one: Delivery) => {
          const { context } = one.notice.to.kind === 'webhook' ? { context: '' } : one.notice.to
          const before = told.get(context) ?? []
          if (one.word === 'pending' && before.length > 0) expect(asked).toBeGreaterThan(pendingAt.get(context) ?? -1)
          if (one.word === 'pending') pendingAt.set(context, asked)
          told.set(context, [...before, one.word])
        }
        for (const one of acts) {
          const running = [...agent.running][0]
          if (one === 'pass' && running !== undefined) end(running)
          else if (one === 'fail' && running !== undefined) end(running, 1)
          else if (one === 'cancel') c.cancel(1)
          else if (one === 'retry' && c.retry(1, 'failed').ok) asked += 1
          else if (one === 'unblock' && c.unblock(1, 'ask').ok) asked += 1
          else if (one === 'tell') for (const due of c.toTell()) { hear(due); c.told(due) } // prettier-ignore
          else if (one === 'lose') for (const due of c.toTell()) c.told(due, { kind: 'again', why: 'lost', afterMs: null })
          else if (one === 'restart') c.restart()
          else if (one === 'wait') c.pass(20_000)
          agent.sync()
        }
        c.cancel(1)
        for (let left = 3; left > 0; left -= 1) {
          for (const running of agent.running) agent.finish(running, 'canceled')
          agent.sync()
          agent.sync()
        }
        c.pass(3_600_000, { away: true })
        for (let due = c.toTell(); due.length > 0; due = c.toTell()) for (const one of due) { hear(one); c.told(one) } // prettier-ignore
        const words = { passed: 'success', failed: 'failure', canceled: 'error' } as const
        const { state, notifications } = c.view(1)
        expect(notifications.every(({ to_tell, problem }) => to_tell === null && problem === null)).toBe(true)
        expect(told.get('kedge/app')?.at(-1)).toBe(words[state as keyof typeof words])
      }),
      { numRuns: 60 },
    )
  })
})

describe('what is to be told', () => {
  it('is told again after a restart that forgot that it was under way', () => {
    begin([commandStep('a')], { notify: [status()] })
    expect(c.toTell().map(said)).toEqual(['kedge/app pending'])
    expect(c.toTell()).toEqual([])
    c.restart()
    expect(c.cluster.peek().deadline).toBe(c.now)
    expect(tellAll()).toEqual(['kedge/app pending'])
    c.restart()
    expect(tellAll()).toEqual([])
  })

  it('is told by the alarm when the event that wanted it could not', () => {
    begin([commandStep('a')], { notify: [status()] })
    end(job(1))
    expect(c.alarmAt).toBeLessThanOrEqual(c.now + 30_000)
  })

  it('is one thing at a time of a build, so that states cannot overtake each other', () => {
    begin([commandStep('a')], { notify: [status(), webhook()] })
    const [first] = c.toTell()
    end(job(1))
    end(job(2))
    expect(c.toTell()).toEqual([])
    if (first === undefined) throw new Error('nothing was due')
    c.told(first)
    expect(tellAll()).toEqual(['kedge/app success', 'webhook passed'])
  })

  it('is tried again when its time has come, and not before', () => {
    begin([commandStep('a')], { notify: [status()] })
    const [first] = c.toTell()
    if (first === undefined) throw new Error('nothing was due')
    c.told(first, { kind: 'again', why: 'example.com answered 503', afterMs: 20_000 })
    expect(c.view(1).notifications[0]?.problem).toBe('example.com answered 503')
    expect(c.toTell()).toEqual([])
    c.pass(19_000)
    expect(c.toTell()).toEqual([])
    c.pass(1000)
    expect(tellAll()).toEqual(['kedge/app pending'])
    expect(c.view(1).notifications[0]?.problem).toBeNull()
  })

  it('does not wait for a clock that was set back', () => {
    begin([commandStep('a')], { notify: [status()] })
    c.now -= 365 * 24 * 3_600_000
    expect(tellAll()).toEqual(['kedge/app pending'])
  })

  it('and was refused is said, and the next state is tried', () => {
    begin([commandStep('a')], { notify: [status()] })
    const [first] = c.toTell()
    if (first === undefined) throw new Error('nothing was due')
    c.told(first, { kind: 'refused', why: 'example.com answered 401' })
    c.pass(3_600_000)
    expect(c.toTell()).toEqual([])
    expect(c.view(1).notifications[0]).toEqual({ kind: 'commit_status', name: 'kedge/app', step: null, told: null, to_tell: null, problem: 'example.com answered 401' })
  })

  it('costs nothing where nobody is told', () => {
    const rows = (over: Partial<Pipeline>) => {
      c = new TestCluster()
      c.project()
      agent = c.agent('a', { slots: 100 })
      agent.join()
      begin([commandStep('a'), commandStep('b')], over)
      const before = c.sql.rowsWritten()
      end(job(1))
      end(job(2))
      end(job(3))
      return c.sql.rowsWritten() - before
    }
    const without = rows({})
    expect(rows({ notify: [webhook({ if: 'false' })] })).toBe(without + 1) // of what it came to, nothing is told either
  })
})
