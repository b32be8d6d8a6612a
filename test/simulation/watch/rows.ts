/**
 * What no change of rows may do, whatever message or alarm made it: I1, I2, I4, I9, I10, I12, I15, I18, I28, I29 and C15.
 * SQLite tells of each row as it is written, so a row may be looked at between two writes of one event; what is found then
 * counts when the event commits.
 */
import { jobName } from '../job-plan.ts'
import type { Gates } from './gates.ts'
import type { Steps } from './steps.ts'
import { attemptOf, isFinal, LEASE_MS, SECOND, type Job, type Truth } from './truth.ts'

type JobColumns = [project: number, build: number, n: number, state: string, fence: number, agent: string | null, bootSeq: number | null, cancel: number, lostCount: number, digest: string | null, jobClass: number, ord: number, avoidAgent: string | null, spec: string, result: string | null, createdAt: number]

export class Rows {
  lost = 0
  readonly #truth: Truth
  /** By agent: when it handed attempts back. */
  readonly #handedBack = new Map<string, readonly number[]>()

  readonly #steps: Steps
  readonly #gates: Gates

  constructor(truth: Truth, { steps, gates }: { readonly steps: Steps; readonly gates: Gates }) {
    this.#truth = truth
    this.#steps = steps
    this.#gates = gates
  }

  jobChanged(before: readonly unknown[] | null, row: readonly unknown[]): void {
    const truth = this.#truth
    truth.beginEvent()
    const job = this.#read(row)
    const was = truth.jobs.get(job.id)
    truth.learn(truth.jobs, job.id, job)
    if (before !== null && was !== undefined) this.#judge(was, job)
    this.#steps.jobChanged(before === null ? null : (was ?? null), job)
    this.#gates.jobChanged(before === null ? null : (was ?? null), job)
  }

  #read(row: readonly unknown[]): Job {
    const [project, build, n, state, fence, agent, bootSeq, cancel, , digest, jobClass, ord, avoidAgent, spec, result, createdAt] = row as JobColumns // as `database.ts` lists them
    const id = `J${project}-${build}-${n}`
    const was = this.#truth.jobs.get(id)
    const { now } = this.#truth
    return {
      id, build: `${project}-${build}`, class: jobClass, ord, avoidAgent, state, fence, agent, bootSeq, cancel: cancel === 1, digest, spec, result, createdAt,
      name: was?.spec === spec ? was.name : jobName(JSON.parse(spec) as Parameters<typeof jobName>[0]), // as the coordinator wrote it
      buildCreatedAt: n === 1 ? createdAt : (this.#truth.jobs.get(`J${project}-${build}-1`)?.createdAt ?? createdAt),
      since: was === undefined || was.state !== state || was.fence !== fence ? now : was.since,
      canceledAt: cancel === 1 ? (was?.canceledAt ?? now) : null,
      namedAt: was !== undefined && was.fence === fence ? was.namedAt : null,
    }
  }

  #judge(was: Job, job: Job): void {
    const truth = this.#truth
    const { id, state, fence, digest } = job
    const attempt = attemptOf(job)
    if (isFinal(was) && (state !== was.state || digest !== was.digest || fence !== was.fence || job.result !== was.result)) truth.violate('I4', `${id} was ${was.state} with fence ${was.fence} and became ${state} with fence ${fence}`)
    if (fence < was.fence) truth.violate('I1', `the fence of ${id} went from ${was.fence} to ${fence}`)
    if (state === 'live' && fence > was.fence) this.#given(job)
    else if (fence !== was.fence) truth.violate('I1', `the fence of ${id} rose from ${was.fence} to ${fence} without an assignment`)
    if (was.state === 'queued' && state === 'live' && fence === was.fence && job.agent !== truth.owners.get(attempt)?.split('/')[0]) truth.violate('I1', `${attempt} was taken back by ${job.agent}, whose it never was`)
    if (was.state === 'live' && state === 'queued' && was.cancel) truth.violate('I18', `${id} was cancelled and went back to the queue`)
    if (state === 'queued' && job.cancel) truth.violate('I18', `${id} is cancelled and in the queue`)
    if (digest !== null && was.digest === null) {
      const before = truth.accepted.get(id)
      if (before !== undefined && (before.attempt !== attempt || before.digest !== digest)) truth.violate('I2', `${id} accepted ${before.attempt} and then ${attempt}`)
      truth.learn(truth.accepted, id, { attempt, digest })
    } else if (digest !== was.digest) truth.violate('I2', `the accepted result of ${id} was replaced`)
  }

  #given(job: Job): void {
    const truth = this.#truth
    const attempt = attemptOf(job)
    const holder = `${job.agent}/${job.bootSeq}`
    const before = truth.owners.get(attempt)
    if (before !== undefined) truth.violate('I1', `${attempt} was given to ${before} and to ${holder}`)
    truth.learn(truth.owners, attempt, holder)
    truth.givenAt.set(holder, [...(truth.givenAt.get(holder) ?? []), truth.now])
    truth.newlyGiven.push(attempt)
    for (const other of truth.jobs.values()) {
      if (other.state === 'queued' && other.class === job.class && other.ord < job.ord && other.avoidAgent !== job.agent) truth.violate('I28', `${job.agent} was given ${job.id}, and ${other.id} waits before it`)
    }
    const held = truth.live().filter(({ agent }) => agent === job.agent).length
    const most = truth.processOf(job.agent, job.bootSeq)?.[1].slots ?? Infinity
    if (held > most) truth.violate('I15', `${job.agent} has ${most} slots and holds ${held} attempts`)
  }

  buildChanged(before: readonly unknown[] | null, after: readonly unknown[]): void {
    const truth = this.#truth
    const [project, number, is, state] = after as [number, number, string | null, string | null] // as `database.ts` lists them
    const was = (before?.[2] ?? null) as string | null // likewise
    truth.learn(truth.builds, `${project}-${number}`, state)
    if (was !== null && is !== was) truth.violate('I29', `build ${project}-${number} was of ${was} and is of ${is}`)
    if (is !== null) truth.learn(truth.pins, `${project}-${number}`, is)
  }

  attemptLost(row: readonly unknown[]): void {
    const truth = this.#truth
    const [project, build, n, fence, agent, bootSeq, detail] = row as [number, number, number, number, string, number, string] // as `database.ts` lists them
    this.lost += 1
    const why = (JSON.parse(detail) as { code: string }).code // as the coordinator wrote it
    if (why === 'handed_back') this.#handBack(agent)
    if (why !== 'silent' && why !== 'restarted') return
    const job = truth.jobs.get(`J${project}-${build}-${n}`)
    const holder = truth.processOf(agent, bootSeq)
    if (job === undefined || holder === null) return
    const attempt = `${job.id}.${fence}`
    const [{ machine, isAlive }, spoken] = holder
    const { name } = machine.plan
    if (!isAlive || !spoken.held.has(attempt)) return
    const quiet = truth.quietFor('coordinator', name)
    if (quiet > LEASE_MS) truth.violate('I9', `${attempt} was taken from ${name} (${why}), which holds it, and nothing has been wrong for ${Math.round(quiet / SECOND)} s`)
    if (why === 'restarted') {
      const isCopied = [...truth.machines()].some((other) => other.isCloneOf === (machine.isCloneOf ?? machine)) // a copy of its identity is a boot of it
      if (!isCopied) truth.violate('I12', `${attempt} was taken from the very boot that holds it`)
      return
    }
    // One outage of any length, and GRACE after it: a holder that stayed up keeps its attempt.
    const since = job.namedAt ?? job.since
    const [outage, ...more] = truth.outages.filter(({ to }) => to > since)
    const isAllElseWell = truth.quietFor(name) > truth.now - since && truth.quietFor('object') > truth.now - since
    if (outage !== undefined && more.length === 0 && isAllElseWell) truth.violate('I10', `${attempt} was taken from ${name}, which holds it, for an outage of ${Math.round((outage.to - outage.from) / SECOND)} s`)
  }

  /** Whoever hands work back is held back [C15.3]; given it again and again, it would go round in a circle. */
  #handBack(agent: string): void {
    const { now } = this.#truth
    const lately = [...(this.#handedBack.get(agent) ?? []).filter((at) => at > now - 10 * SECOND), now]
    this.#handedBack.set(agent, lately)
    if (lately.length > 12) this.#truth.violate('C15', `${agent} was given work ${lately.length} times within 10 s and handed it back each time`)
  }
}
