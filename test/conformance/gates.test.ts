/** Concurrency groups: who is let in, in what order, and that every end lets the next go [I28]. Against the real steps of the Scheduler. */
import { beforeEach, describe, expect, it } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Dependency, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, valueOf, type TestAgent, type TestCluster } from '../support/cluster.ts'
import { blockStep, commandStep, groupStep, waitStep } from '../support/steps.ts'

let c: TestCluster
let agent: TestAgent
beforeEach(() => {
  ({ c, agent } = clusterAtWork())
})

const on = (...steps: readonly string[]): readonly Dependency[] => steps.map((step) => ({ step, allowFailure: false }))
const group = (limit = 1, method: 'ordered' | 'eager' = 'ordered', name = 'deploy/prod') => ({ concurrency: { limit, group: name, method } }) as const
const deploy = (over = {}, limit = 1): Step => commandStep('deploy', { ...group(limit), ...over })

/** Starts a build, without its steps. */
function start(slug = 'app', request = {}): number {
  const { number } = c.build(request, { slug })
  agent.sync()
  return number
}

function upload(build: number, steps: readonly Step[], project = 1): void {
  const answer = c.upload(attemptId({ project, build, n: 1, fence: 1 }), steps)
  if (!answer.ok) throw new Error(answer.problem.detail)
  agent.sync()
  agent.sync()
}

/** A build whose first job brings these steps and goes on running. */
function begin(steps: readonly Step[]): number {
  const build = start()
  upload(build, steps)
  return build
}

function jobOf(build: number, key: string, slug = 'app') {
  const { jobs, steps } = c.view(build, slug)
  const step = steps.find((one) => one.key === key)?.step
  const job = jobs.find((one) => one.step === step && one.retried_by === null)
  if (job === undefined) throw new Error(`build ${build} has no job of ${key}`)
  return job
}

/** `waiting` is also what stands before a gate; then its reason is told. */
function stands(build: number, key = 'deploy', slug = 'app'): string {
  const { state, waiting } = jobOf(build, key, slug)
  return state === 'waiting' && waiting?.code === 'concurrency' ? waiting.reason : state
}

function end(build: number, key = 'deploy', exitStatus = 0): void {
  agent.finish(jobOf(build, key).attempts.at(-1)?.id as AttemptId, exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus }) // a view spells it so
  agent.sync()
  agent.sync()
}

describe('a concurrency group', () => {
  it('lets as many jobs run as it says, over all builds, and each end lets the next go in the same sync', () => {
    const builds = [1, 2, 3, 4].map(() => begin([deploy({}, 2)]))
    expect(builds.map((build) => stands(build))).toEqual(['running', 'running', 'concurrency group deploy/prod is full (2 of 2): held by app#1, app#2', 'concurrency group deploy/prod is full (2 of 2): held by app#1, app#2'])
    agent.finish(jobOf(2, 'deploy').attempts.at(-1)?.id as AttemptId) // a view spells it so
    const { assignments } = agent.sync()
    expect(assignments.map(({ attempt }) => attempt)).toEqual(['J1-3-2.1'])
    agent.sync()
    expect(builds.map((build) => stands(build))).toEqual(['running', 'passed', 'running', 'concurrency group deploy/prod is full (2 of 2): held by app#1, app#3'])
  })

  it('is one for all projects', () => {
    c.project('api')
    begin([deploy()])
    const other = start('api')
    upload(other, [deploy()], 2)
    expect(stands(other, 'deploy', 'api')).toBe('concurrency group deploy/prod is full (1 of 1): held by app#1')
    end(1)
    expect(stands(other, 'deploy', 'api')).toBe('running')
  })

  it('holds jobs of one build from each other, and says that it is their own', () => {
    const build = begin([commandStep('a', group()), commandStep('b', group()), commandStep('c', group(1, 'ordered', 'other'))])
    expect(['a', 'b', 'c'].map((key) => stands(build, key))).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by this build', 'running'])
    end(build, 'a')
    expect(stands(build, 'b')).toBe('running')
  })

  it('counts each job of a parallel step', () => {
    const build = begin([commandStep('a', { ...group(2), parallelism: 5 })])
    const states = () => c.view(build).jobs.slice(1).map(({ state }) => state)
    expect(states()).toEqual(['running', 'running', 'waiting', 'waiting', 'waiting'])
    agent.finish(attemptId({ project: 1, build, n: 2, fence: 1 }))
    agent.finish(attemptId({ project: 1, build, n: 3, fence: 1 }))
    agent.sync()
    agent.sync()
    expect(states()).toEqual(['passed', 'passed', 'running', 'running', 'waiting'])
  })

  it.each<[string, (build: number) => void]>([
    ['fails', (build) => end(build, 'deploy', 1)],
    ['is cancelled in the hands of its agent', (build) => {
      c.cancel(build)
      agent.finish(jobOf(build, 'deploy').attempts.at(-1)?.id as AttemptId, 'canceled') // a view spells it so
      agent.sync()
      agent.sync()
    }],
    ['is lost once too often', () => {
      for (let lost = 0; lost < 3; lost += 1) {
        agent.restart()
        agent.join()
      }
    }],
    ['runs far beyond its time', (build) => {
      void build
      for (let minute = 0; minute < 200; minute += 1) {
        c.pass(60_000)
        agent.sync()
      }
    }],
  ])('lets the next go when a job %s', (_how, ends) => {
    const [first, second] = [begin([deploy()]), begin([deploy()])]
    expect(stands(second)).toContain('is full')
    ends(first)
    expect(jobOf(second, 'deploy').state).not.toBe('waiting')
  })

  it('a job that is cancelled in the queue, before the gate or before it is ready lets the next go', () => {
    const idle = deploy({ queue: 'nobody' })
    const [queued, gated, unready, last] = [begin([idle]), begin([idle]), begin([commandStep('test'), waitStep(), idle]), begin([idle])]
    expect([queued, gated, unready, last].map((build) => stands(build))).toEqual(['queued', 'concurrency group deploy/prod is full (1 of 1): held by app#1', 'waiting', 'concurrency group deploy/prod is full (1 of 1): held by app#1; its turn comes after app#3, which waits for "test"'])
    expect(c.cancel(gated).state).toBe('canceling') // its first job still runs
    expect(c.cancel(queued).state).toBe('canceling')
    expect(stands(last)).toBe('concurrency group deploy/prod: its turn comes after app#3, which waits for "test"')
    c.cancel(unready)
    expect(stands(last)).toBe('queued')
  })

  it('a build with several jobs of it that is cancelled lets none of them go, but the next', () => {
    const idle = (key: string) => commandStep(key, { ...group(2), queue: 'nobody' })
    const [first, second] = [begin([idle('a'), idle('b'), idle('c'), idle('d')]), begin([idle('deploy')])]
    c.effects.length = 0
    c.cancel(first)
    expect(['a', 'b', 'c', 'd'].map((key) => stands(first, key))).toEqual(['canceled', 'canceled', 'canceled', 'canceled'])
    expect(stands(second)).toBe('queued')
    expect(c.effects.filter(({ kind }) => kind === 'ring-class')).toHaveLength(1)
  })

  it('a lost attempt keeps its place, and is taken back into it', () => {
    const [first, second] = [begin([deploy()]), begin([deploy()])]
    const attempt = jobOf(first, 'deploy').attempts.at(-1)?.id
    c.pass(200_000)
    expect([stands(first), stands(second)]).toEqual(['queued', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
    agent.sync()
    expect(jobOf(first, 'deploy').attempts.at(-1)).toMatchObject({ id: attempt, state: 'running' })
    expect(stands(second)).toContain('is full')
  })

  it('a retry by a rule goes on in the place of the job before it; one by a person stands before the gate again, in its old turn', () => {
    const retry = { automatic: [{ exitStatus: 'any', signal: 'any', signalReason: 'any', limit: 1 }], manual: { allowed: true, reason: null, permitOnPassed: true } } as const
    const builds = [begin([deploy({ retry })]), begin([deploy()]), begin([deploy()])]
    end(1, 'deploy', 1)
    expect(builds.map((build) => stands(build))).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
    end(1, 'deploy', 1)
    expect([stands(1), stands(2)]).toEqual(['failed', 'running'])
    expect(c.retry(1, 'failed').ok).toBe(true)
    expect(stands(1)).toBe('concurrency group deploy/prod is full (1 of 1): held by app#2')
    end(2)
    expect([stands(1), stands(3)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
  })

  it('a retry of one job by a person is answered with the job as the gate leaves it', () => {
    begin([deploy()])
    end(1, 'deploy', 1)
    const { jobs } = valueOf(c.retryJob(jobOf(1, 'deploy').id))
    expect(jobs.at(-1)).toMatchObject({ state: 'queued', waiting: { code: 'next_in_line' } })
  })

  it('what is skipped takes no place, nor does what breaks', () => {
    begin([deploy({ skip: 'not today' })])
    begin([commandStep('test'), waitStep(), deploy()])
    const last = begin([deploy()])
    expect(stands(last)).toBe('concurrency group deploy/prod: its turn comes after app#2, which waits for "test"')
    end(2, 'test', 1)
    expect([stands(2), stands(last)]).toEqual(['broken', 'running'])
  })

  it('forgets nothing when the object sleeps', () => {
    const [first, second] = [begin([deploy()]), begin([deploy()])]
    c.restart()
    expect(stands(second)).toContain('held by app#1')
    end(first)
    expect(stands(second)).toBe('running')
  })

  it('takes the limit of the newest upload that names it, for all its jobs', () => {
    const builds = [begin([deploy()]), begin([deploy()]), begin([deploy()])]
    builds.push(begin([deploy({}, 3)]))
    expect(builds.map((build) => stands(build))).toEqual(['running', 'running', 'running', 'concurrency group deploy/prod is full (3 of 3): held by app#1, app#2, app#3'])
    builds.push(begin([deploy()]))
    expect(stands(5)).toBe('concurrency group deploy/prod is full (3 of 1): held by app#1, app#2, app#3')
    end(1)
    end(2)
    expect(stands(4)).toBe('concurrency group deploy/prod is full (1 of 1): held by app#3')
    end(3)
    expect([stands(4), stands(5)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#4'])
  })

  it('of a step that does not run counts for nothing', () => {
    begin([deploy()])
    const build = begin([deploy({ skip: 'not today' }, 5), commandStep('other', group(1))])
    expect([stands(build, 'deploy'), stands(build, 'other')]).toEqual(['skipped', expect.stringContaining('is full (1 of 1)')])
  })

  it('of an upload that names several limits takes the least', () => {
    const build = begin([commandStep('a', group(3)), commandStep('b', group(2)), commandStep('c', group(3))])
    expect(['a', 'b', 'c'].map((key) => stands(build, key))).toEqual(['running', 'running', 'concurrency group deploy/prod is full (2 of 2): held by this build'])
  })

  it('names three builds that hold it, and counts the others', () => {
    for (let n = 0; n < 5; n += 1) begin([deploy({}, 5)])
    expect(stands(begin([deploy({}, 5)]))).toBe('concurrency group deploy/prod is full (5 of 5): held by app#1, app#2, app#3 and 2 more')
  })
})

describe('ordered jobs', () => {
  it('go by the age of their builds, whoever uploads first', () => {
    const [old, young] = [start(), start()]
    begin([deploy()])
    upload(young, [deploy()])
    upload(old, [deploy()])
    end(3)
    expect([stands(old), stands(young)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
  })

  it('wait for an older one that is not ready, and say for whom', () => {
    const old = begin([commandStep('test'), waitStep(), deploy()])
    const young = begin([deploy()])
    expect(stands(young)).toBe('concurrency group deploy/prod: its turn comes after app#1, which waits for "test"')
    end(old, 'test')
    expect([stands(old), stands(young)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
  })

  it('keep other builds out from the opening of a gate to its closing', () => {
    const gated = [commandStep('open', group()), waitStep(), commandStep('a'), commandStep('b'), waitStep(), commandStep('close', group())]
    const [first, second] = [begin(gated), begin(gated)]
    end(first, 'open')
    expect([stands(first, 'a'), stands(first, 'b'), stands(second, 'open')]).toEqual(['running', 'running', 'concurrency group deploy/prod: its turn comes after app#1, which waits for "a", "b"'])
    end(first, 'a')
    end(first, 'b')
    expect([stands(first, 'close'), stands(second, 'open')]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
    end(first, 'close')
    expect(stands(second, 'open')).toBe('running')
  })

  it('do not wait for one behind a question to a person, nor for one behind a wait behind it; once it is ready, it has its turn', () => {
    const old = begin([blockStep('ship'), deploy()])
    const older = begin([blockStep('ship'), commandStep('build'), waitStep(), deploy()])
    const [young, younger] = [begin([deploy()]), begin([deploy()])]
    expect([stands(old), stands(older), stands(young)]).toEqual(['waiting', 'waiting', 'running'])
    c.unblock(old, 'ship')
    expect(stands(old)).toBe('concurrency group deploy/prod is full (1 of 1): held by app#3')
    end(young)
    expect([stands(old), stands(younger)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
  })

  it('do not wait for one that waits for themselves', () => {
    const build = begin([commandStep('a', { ...group(), dependsOn: on('b') }), commandStep('b', group())])
    expect([stands(build, 'a'), stands(build, 'b')]).toEqual(['waiting', 'running'])
    end(build, 'b')
    expect(stands(build, 'a')).toBe('running')
  })

  it('do not hold one that they wait for when both are tried again', () => {
    const build = begin([commandStep('a', { ...group(), dependsOn: [{ step: 'b', allowFailure: true }] }), commandStep('b', group())])
    end(build, 'b', 1)
    end(build, 'a', 1)
    expect(c.retry(build, 'failed').ok).toBe(true)
    agent.sync()
    agent.sync()
    expect([stands(build, 'a'), stands(build, 'b')]).toEqual(['waiting', 'running'])
    end(build, 'b')
    expect(stands(build, 'a')).toBe('running')
  })

  it('that are tried again hold again', () => {
    const first = begin([commandStep('test'), commandStep('deploy', { ...group(), dependsOn: on('test') })])
    const [second, third] = [begin([deploy()]), begin([deploy()])]
    end(first, 'test', 1)
    expect([stands(first), stands(second)]).toEqual(['broken', 'running'])
    expect(c.retry(first, 'failed').ok).toBe(true)
    end(second)
    expect(stands(third)).toBe('concurrency group deploy/prod: its turn comes after app#1, which waits for "test"')
    end(first, 'test')
    expect([stands(first), stands(third)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#1'])
  })

  it('that are uploaded between two others stand between them', () => {
    const build = begin([commandStep('open', group()), commandStep('more', { dependsOn: on('open') }), waitStep(), commandStep('close', group())])
    end(build, 'open')
    const answer = c.upload(jobOf(build, 'more').attempts.at(-1)?.id as AttemptId, [commandStep('between', group())]) // a view spells it so
    expect(answer.ok).toBe(true)
    agent.sync()
    agent.sync()
    expect([stands(build, 'between'), stands(build, 'close')]).toEqual(['running', 'waiting'])
  })

  it('wait for the closing of a gate within which a person is asked later on, and say so', () => {
    const gated = [commandStep('open', group()), waitStep(), commandStep('more'), waitStep(), commandStep('close', group())]
    const [first, second] = [begin(gated), begin(gated)]
    end(first, 'open')
    expect(c.upload(jobOf(first, 'more').attempts.at(-1)?.id as AttemptId, [blockStep('ship', { label: 'Ship it?' })]).ok).toBe(true) // a view spells it so
    end(first, 'more')
    expect(stands(second, 'open')).toBe('concurrency group deploy/prod: its turn comes after app#1, which waits until somebody lets "Ship it?" pass')
    c.unblock(first, 'ship')
    agent.sync()
    agent.sync()
    end(first, 'close')
    expect(stands(second, 'open')).toBe('running')
  })

  it('that wait for a step of an earlier upload do not hold it, though they stand before it', () => {
    const build = begin([commandStep('more'), commandStep('slow'), commandStep('close', { ...group(), dependsOn: on('slow') })])
    expect(c.upload(jobOf(build, 'more').attempts.at(-1)?.id as AttemptId, [commandStep('after', { ...group(), dependsOn: on('close') })]).ok).toBe(true) // a view spells it so
    end(build, 'slow')
    expect([stands(build, 'close'), stands(build, 'after')]).toEqual(['running', 'waiting'])
    end(build, 'close')
    expect(stands(build, 'after')).toBe('running')
  })

  it('of a group of steps hold as others do', () => {
    begin([groupStep('tests', [commandStep('unit'), waitStep(), commandStep('integration')]), commandStep('deploy', { ...group(), dependsOn: on('tests') })])
    expect(stands(begin([deploy()]))).toBe('concurrency group deploy/prod: its turn comes after app#1, which waits for "unit", "integration"')
  })

  it('look at no priority', () => {
    begin([deploy()])
    const [plain, urgent] = [begin([deploy()]), begin([deploy({ priority: 10 })])]
    end(1)
    expect([stands(plain), stands(urgent)]).toEqual(['running', 'concurrency group deploy/prod is full (1 of 1): held by app#2'])
  })
})

describe('eager jobs', () => {
  const eager = (over = {}): Step => deploy({ ...group(1, 'eager'), ...over })

  it('wait for nobody who is not ready', () => {
    begin([commandStep('test'), waitStep(), eager()])
    const young = begin([eager()])
    expect(stands(young)).toBe('running')
    end(1, 'test')
    expect(stands(1)).toBe('concurrency group deploy/prod is full (1 of 1): held by app#2')
  })

  it('go by priority, then age', () => {
    begin([eager()])
    const builds = [begin([eager()]), begin([eager({ priority: 5 })]), begin([eager()])]
    const running = () => builds.filter((build) => stands(build) === 'running')
    const order: number[] = []
    for (let last = 1; order.length < 3; last = order.at(-1) ?? 0) {
      end(last)
      order.push(...running())
    }
    expect(order).toEqual([3, 2, 4])
  })

  it('go by the priority that a job gives them while they wait', () => {
    const first = begin([eager()])
    const [old, young] = [begin([eager()]), begin([eager()])]
    expect(c.cluster.updateStep(c.now, attemptId({ project: 1, build: young, n: 1, fence: 1 }), { step: 'deploy', attribute: 'priority', value: '5', append: false, key: 'k' }).value.ok).toBe(true)
    end(first)
    expect([stands(old), stands(young)]).toEqual([`concurrency group deploy/prod is full (1 of 1): held by app#${young}`, 'running'])
  })

  it('that a person has tried again are as young as that', () => {
    const [retried, other] = [begin([eager()]), begin([eager(), commandStep('on')])]
    end(retried, 'deploy', 1)
    c.pass(1000)
    const waiting = begin([eager()])
    c.pass(1000)
    expect(c.retry(retried, 'failed').ok).toBe(true)
    end(other)
    expect([stands(waiting), stands(retried)]).toEqual(['running', `concurrency group deploy/prod is full (1 of 1): held by app#${waiting}`])
  })

  it('pass ordered ones that are held, and share the places with them', () => {
    begin([commandStep('test'), waitStep(), deploy()])
    const [held, passing] = [begin([deploy()]), begin([eager()])]
    expect([stands(held), stands(passing)]).toEqual(['concurrency group deploy/prod is full (1 of 1): held by app#3; its turn comes after app#1, which waits for "test"', 'running'])
    end(passing)
    expect(stands(held)).toBe('concurrency group deploy/prod: its turn comes after app#1, which waits for "test"')
  })
})

/** What SQLite is asked from now on. */
function listen(): string[] {
  const asked: string[] = []
  const { all, run } = c.sql
  c.sql.all = (query, bindings) => (asked.push(query), all(query, bindings))
  c.sql.run = (query, bindings) => void (asked.push(query), run(query, bindings))
  return asked
}

describe('a build without concurrency groups', () => {
  const ofGates = (asked: readonly string[]) => asked.filter((query) => /"gate" = |from "gate"|into "gate"/.test(query))

  it('reads and writes nothing of them', () => {
    const asked = listen()
    const build = begin([commandStep('a'), waitStep(), commandStep('b')])
    end(build, 'a')
    end(build, 'b')
    c.cancel(build)
    expect(asked.length).toBeGreaterThan(10)
    expect(ofGates(asked)).toEqual([])
    begin([deploy()])
    expect(ofGates(asked)).not.toEqual([])
  })
})

describe('a thousand jobs of one group', () => {
  it('are let in one by one with as many questions each, none of which looks at all of them', () => {
    const build = begin([commandStep('a', { ...group(), parallelism: 1000 })])
    const asked = listen()
    const each = [2, 3, 4].map((n) => {
      const before = asked.length
      agent.finish(attemptId({ project: 1, build, n, fence: 1 }))
      agent.sync()
      return asked.slice(before)
    })
    expect(each[1]).toHaveLength(each[0]?.length ?? 0)
    expect(each[2]).toHaveLength(each[0]?.length ?? 0)
    const plans = [...new Set(each.flat())].filter((query) => /"job"\."gate" = /.test(query)).map((query) => c.sql.database.prepare(`explain query plan ${query}`).all(...Array.from({ length: query.split('?').length - 1 }, () => 1)).map(({ detail }) => String(detail)))
    expect(plans.length).toBeGreaterThanOrEqual(2)
    for (const plan of plans) {
      expect(plan.join('; ')).toMatch(/SEARCH job USING (COVERING )?INDEX job_gate \(gate=\? AND state=\?/)
      expect(plan.join('; ')).not.toMatch(/SCAN job|TEMP B-TREE/)
    }
  })
})
