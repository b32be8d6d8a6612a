/**
 * Whether anything was lost, doubled or made up: the rows of the coordinator against what was seen. Each job is final
 * exactly once, by the one start that counts, or still in line; and no attempt was taken from an agent that was there.
 */
import { attemptId, isFinal, parseJobId, type AttemptId, type StoredJobState } from '../../schema/job.ts'
import { LOST_CAP } from '../../coordinator/core/numbers.ts'
import type { Record } from './record.ts'
import { readCommand } from './script.ts'
import type { LostAttempt, Stored, StoredJob } from './stored.ts'

export type Seen = Pick<Record, 'asked' | 'starts' | 'accepted' | 'ends'>

export interface Judgement {
  readonly final: number
  readonly waiting: number
  /** In an agent's hands; only a soak that was cut short may have any. */
  readonly live: number
  readonly lostAttempts: number
  /** Sentences. */
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  /** An attempt was taken from an agent that nobody had made to end, or a result is not what its command came to. */
  readonly wrong: readonly string[]
}

/** An assignment may have been on its way to an agent that was killed, or told to stop, a moment before. */
const ON_ITS_WAY_MS = 25_000
/** Losses that do not count towards the cap [C5.2]. */
const UNCOUNTED: ReadonlySet<string> = new Set(['handed_back', 'agent_stopping', 'never_taken'])

export function judge({ jobs, lost: lostRows }: Stored, seen: Seen, { wasCut }: { readonly wasCut: boolean }): Judgement {
  const lost: string[] = []
  const doubled: string[] = []
  const wrong: string[] = []
  const known = new Map(jobs.map((job) => [job.id, job]))
  const lostOf = Map.groupBy(lostRows, ({ job }) => job)
  const count = { final: 0, waiting: 0, live: 0 }

  for (const queue of ['deep', 'short'] as const) {
    const stored = new Set(jobs.filter((job) => job.queue === queue).map(({ build }) => build))
    for (const build of seen.asked[queue]) if (!stored.has(build)) lost.push(`build ${build} of ${queue} was acknowledged and is not there`)
    if (!wasCut) for (const build of stored) if (!seen.asked[queue].has(build)) doubled.push(`build ${build} of ${queue} is there and nobody was told of it`)
  }
  const acceptedOf = Map.groupBy(seen.accepted, jobOf)
  for (const job of jobs) {
    const accepted = acceptedOf.get(job.id) ?? []
    if (accepted.length > 1) doubled.push(`${job.id} had ${accepted.length} results accepted: ${accepted.join(', ')}`)
    if (isFinal(job.state as StoredJobState)) {
      count.final += 1
      judgeFinal(job, accepted)
    } else if (accepted.length > 0) lost.push(`${accepted.join(', ')} was accepted, and ${job.id} is ${job.state}`)
    else if (job.state === 'queued') count.waiting += 1
    else {
      count.live += 1
      if (!wasCut) lost.push(`${attemptOf(job)} is ${job.state} though every agent has ended`)
    }
  }
  for (const job of acceptedOf.keys()) if (!known.has(job)) lost.push(`a result of ${job} was accepted, and there is no such job`)
  for (const [attempt, starts] of seen.starts) judgeStarts(attempt, starts)
  for (const attempt of lostRows) if (!isExplained(attempt, seen)) wrong.push(`${attempt.job}.${attempt.fence} was taken from ${attempt.agent} (${attempt.why}) between ${clock(attempt.assignedAt)} and ${clock(attempt.endedAt)}, and nothing had been done to that agent`)
  return { ...count, lostAttempts: lostRows.length, lost, doubled, wrong }

  function judgeFinal(job: StoredJob, accepted: readonly AttemptId[]): void {
    if (!job.hasResult) {
      const counted = (lostOf.get(job.id) ?? []).filter(({ why }) => !UNCOUNTED.has(why))
      if (job.state !== 'errored' || counted.length < LOST_CAP) lost.push(`${job.id} is ${job.state} without a result, after ${counted.length} lost attempts`)
      return
    }
    const attempt = attemptOf(job)
    const [only] = accepted
    if (accepted.length === 1 && only !== attempt) doubled.push(`${only} was accepted, and ${job.id} has the result of ${attempt}`)
    if (!seen.starts.has(attempt)) wrong.push(`${attempt} has a result, and no command was started for it`)
    const state = readCommand(job.command).exitStatus === 0 ? 'passed' : 'failed'
    if (job.state !== state) wrong.push(`${attempt} ${job.state}, and its command (${job.command}) comes to ${state}`)
  }

  function judgeStarts(attempt: AttemptId, starts: number): void {
    if (starts > 1) doubled.push(`the command of ${attempt} was started ${starts} times`)
    const job = known.get(jobOf(attempt))
    const fence = Number(attempt.slice(attempt.lastIndexOf('.') + 1))
    if (job === undefined || fence > job.fence) wrong.push(`${attempt} was started, and was never given away`)
    else if ((fence < job.fence || job.state === 'queued') && !(lostOf.get(job.id) ?? []).some((row) => row.fence === fence)) wrong.push(`${attempt} was started, and there is no record of its loss though ${job.id} is ${job.state} with fence ${job.fence}`)
  }
}

function isExplained({ agent, assignedAt, endedAt }: LostAttempt, { ends }: Seen): boolean {
  return (ends.get(agent) ?? []).some((at) => at >= assignedAt - ON_ITS_WAY_MS && at <= endedAt)
}

function attemptOf({ id, fence }: StoredJob): AttemptId {
  const key = parseJobId(id)
  if (key === null) throw new Error(`"${id}" is no job`)
  return attemptId({ ...key, fence })
}

function jobOf(attempt: AttemptId): string {
  return attempt.slice(0, attempt.lastIndexOf('.'))
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 23)
}

