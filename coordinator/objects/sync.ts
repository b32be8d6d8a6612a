/**
 * One sync, step by step, in the order of [C4]; the order is part of the protocol. Each step loads its few rows,
 * decides, applies, before the next loads. The whole runs inside one transaction without a single `await`, so either
 * all of it happened or nothing.
 */
import { attemptId, isFinal, jobId, parseAttemptId, type AgentId, type AttemptId } from '../../schema/job.ts'
import { PROTOCOL } from '../../schema/refusal.ts'
import { INLINE_SPEC_BYTES, type Assignment, type SyncReply, type SyncRequest, type Verdict } from '../../schema/sync.ts'
import { assign, choose, hears, unfit, type Candidate } from '../core/assign.ts'
import { recogniseBoot, standBy, type Boot } from '../core/boot.ts'
import { changed, type AgentRow, type BuildRow, type JobRow, type LostWhy } from '../core/decision.ts'
import { isMachineFailure, judge, type ReadResult } from '../core/judge.ts'
import { graceForGap, lose, mustFlush, noteFailure, readopt, startOf, whenMissed, type Lease } from '../core/lease.ts'
import { canRun, offerKey } from '../core/matching.ts'
import { FAILURE_CAP } from '../core/numbers.ts'
import { nextSyncMs } from '../core/pacing.ts'
import { settleBuild, specOf } from '../core/plan.ts'
import { flush } from '../store/apply.ts'
import * as load from '../store/load.ts'
import type { Memory } from '../store/memory.ts'
import { carryOut, type Event } from './event.ts'
import { openGates } from './gates.ts'
import { endOf, followEnd, NEVER_ENDED } from './progress.ts'
import type { AgentAnswer, Caller } from './scheduler-api.ts'

/** A sync as the Worker has parsed it: each result beside the text that it was spooled as. */
export interface ParsedSync extends Omit<SyncRequest, 'finished'> {
  readonly finished: readonly { readonly attempt: AttemptId; readonly digest: string; readonly text: string; readonly result: ReadResult }[]
}

export function sync(event: Event, request: ParsedSync, caller: Caller): AgentAnswer<SyncReply> {
  const { now, numbers } = event

  // 1. Who is it, may it, and does it hold its identity? Whoever is refused has not been heard.
  const stored = event.memory.agents.get(request.agent) ?? null
  const refusal = refuse(stored, request, caller)
  if (refusal || !stored) return refusal ?? unknownAgent(request.agent)
  const boot = recogniseBoot(stored, request, now, numbers)
  if (boot.kind === 'stale' || boot.kind === 'conflict') return refuseRival(event, stored, request, boot)

  // 2. Our own silence must not look like everybody's death.
  applyGapRule(event)

  // 3. and 4. Is it a new process of the agent, and is this message newer than what was seen?
  const isNewBoot = boot.kind === 'new'
  const presence = event.memory.presence.get(request.agent)
  const isStale = !isNewBoot && presence !== undefined && presence.bootSeq === request.boot_seq && request.seq <= presence.seq
  if (!isStale) updateAgent(event, stored, request, isNewBoot ? boot.set : {})

  // 5. Results first: one that was spooled before a crash must win over the loss of its attempt.
  const verdicts = request.finished.map((finished) => ({ attempt: finished.attempt, verdict: acceptResult(event, stored.id, finished) }))

  // What it says of itself, and its results of its machine, counts at once.
  const agent = event.memory.agents.get(stored.id) ?? stored

  // 6. Attempts that it names: renew, take back, or tell it to stop.
  const directives: SyncReply['directives'] = []
  const held = new Set<string>(request.finished.map(({ attempt }) => attempt))
  const named: Lease[] = []
  const hold = (attempt: AttemptId, commit: string | null) => {
    held.add(attempt)
    const directive = renewAttempt(event, agent, attempt, commit)
    if (directive) directives.push({ attempt, ...directive })
    const lease = leaseOf(event.memory, attempt)
    if (lease) named.push(lease)
  }
  for (const { attempt, commit } of request.running) hold(attempt, commit)
  for (const attempt of request.spooled) hold(attempt, null)

  const assignments: Assignment[] = []
  const lostByAgent = new Map(request.lost.map(({ attempt, why }) => [attempt as string, why]))
  const areAllNamed = event.memory.leases.of(agent.id).every((lease) => held.has(attemptId(lease)))
  let hasMissedWork = isStale && !areAllNamed // a copy of the message got it, and the reply to that is lost
  if (!isStale && !areAllNamed) {
    for (const found of load.liveJobsOf(event.on, agent.id)) {
      const attempt = attemptId(found)
      if (held.has(attempt)) continue
      const job = load.job(event.on, found) ?? found // the loss of one may have cancelled the next
      const why = lostByAgent.get(attempt)
      if (job.bootSeq !== null && job.bootSeq < request.boot_seq) loseAttempt(event, job, why === 'handed_back' ? 'handed_back' : 'restarted') // 7.
      else if (why !== undefined) loseAttempt(event, job, WHY_LOST[why]) // 9.
      else {
        const missed = whenMissed(job, leaseOf(event.memory, attempt), caller.via === 'session' ? caller : null, now, numbers)
        if (missed === 'again') {
          // 8. The reply that carried it was lost. Its lease is not renewed: that is what ends a redelivery that never arrives.
          assignments.push(assignmentOf(event, job, agent.id))
        } else hasMissedWork = true
        if (missed === 'lost') loseAttempt(event, job, 'never_taken')
      }
    }
  }

  // What has ended makes room in concurrency groups, for this very agent too.
  openGates(event)

  // 10. Work, for an agent that can hear, is fit and has room.
  const isHearing = caller.via === 'session' && hears(caller, request.boot_seq, now, numbers)
  const reasonUnfit = unfit(agent, now)
  let passedOver = false
  // A spooled one only waits for its verdict.
  const occupied = event.memory.leases.of(agent.id).filter((lease) => !request.spooled.includes(attemptId(lease))).length
  let free = Math.max(0, request.slots - occupied)
  if (hasMissedWork) free = 0 // it may hear nothing, and gets no more than what it has missed [I27]
  if (!isStale && isHearing && reasonUnfit === null && free > 0) {
    const chosen = chooseJobs(event, agent, free)
    passedOver = chosen.passedOver
    for (const job of chosen.jobs) {
      const change = assign(job, agent, now)
      event.apply(change)
      assignments.push(assignmentOf(event, changed(job, change.set), agent.id))
      free -= 1
    }
  }

  const paceMs = nextSyncMs(
    {
      toldSomething: assignments.length > 0 || directives.some(({ directive }) => directive === 'cancel'),
      isHearing,
      passedOver,
      hasMissedWork,
      holdsAttempts: request.running.length + request.spooled.length > 0,
      hasDoorbell: request.doorbell,
      idleAgents: countIdle(event.memory, agent.offer.queue, agent.id) + 1,
      quietForMs: quietFor(event, agent.offer.queue),
    },
    numbers,
  )
  if (!isStale) {
    event.memory.presence.set(agent.id, { lastSyncAt: now, nextSyncMs: paceMs, seq: request.seq, bootSeq: request.boot_seq, free, fit: reasonUnfit === null, offerKey: offerKey(agent.offer), queue: agent.offer.queue })
  }
  // A lease is stored when the attempt's own stored value is too old [C7.3]; that the holder is there, when another asked [C1.8].
  if (mustFlush(named, now, numbers) || agent.rivalAt !== stored.rivalAt) flushSeen(event)

  const value: SyncReply = {
    proto: PROTOCOL.max,
    session: event.sign.session({ agent: agent.id, bootSeq: request.boot_seq, credentialVersion: agent.credentialVersion, issuedAt: now, paceMs }),
    server_time: now,
    verdicts,
    directives,
    assignments,
    next_sync_ms: paceMs,
    hb_ms: Math.round(numbers.heartbeatMs),
    log_ms: Math.round(numbers.logMs),
    watched: request.running.flatMap(({ attempt }) => (event.memory.watched.has(attempt) ? [attempt] : [])),
    self_fence_ms: Math.round(numbers.selfFenceMs),
    drain: agent.drain,
    held_back: reasonUnfit?.code === 'held_back' ? { code: reasonUnfit.code, message: reasonUnfit.message } : null,
    need: request.offer === undefined && request.offer_rev !== agent.offerRev ? ['offer'] : [],
  }
  return { ok: true, value }
}

const WHY_LOST = { process_restart: 'reported', corrupt_spool: 'reported', handed_back: 'handed_back', agent_stopping: 'agent_stopping' } as const satisfies Record<SyncRequest['lost'][number]['why'], LostWhy>

function unknownAgent(id: string): { readonly ok: false; readonly code: 'agent_unknown'; readonly message: string } {
  return { ok: false, code: 'agent_unknown', message: `no agent ${id} is registered here; register it again with a registration token` }
}

function refuse(agent: AgentRow | null, request: ParsedSync, caller: Caller): AgentAnswer<never> | null {
  if (agent === null) return unknownAgent(request.agent)
  if (agent.revokedAt !== null) return { ok: false, code: 'agent_revoked', message: `agent ${agent.offer.name} was revoked by an administrator` }
  if (caller.via === 'secret') return caller.sha256 === agent.secretSha256 ? null : { ok: false, code: 'token_invalid', message: 'this is not the secret of that agent' }
  const isCurrent = caller.agent === agent.id && caller.credentialVersion === agent.credentialVersion
  return isCurrent ? null : { ok: false, code: 'session_expired', message: 'the session has ended; present the agent secret' }
}

/** A process that is not the holder of its identity changes nothing; one that stands by is told whether it may take over [C1.8]. */
function refuseRival(event: Event, stored: AgentRow, request: ParsedSync, boot: Extract<Boot, { readonly current: number }>): AgentAnswer<never> {
  let takeOver = false
  if (request.state === 'standby') {
    const { memory, now, numbers } = event
    const holder = { storedAt: memory.agentsSeen.get(stored.id) ?? null, heardAt: memory.presence.get(stored.id)?.lastSyncAt ?? null, holdsAttempts: memory.leases.of(stored.id).length > 0 }
    const answer = standBy(stored, holder, now, numbers)
    if (answer.set) event.apply({ kind: 'agent.set', id: stored.id, set: answer.set })
    takeOver = answer.takeOver
  }
  const extra = { current: boot.current, ...(takeOver ? { take_over: true } : {}) }
  return boot.kind === 'stale'
    ? { ok: false, code: 'session_superseded', message: `boot ${request.boot_seq} of ${request.agent} was superseded by boot ${boot.current}`, extra }
    : { ok: false, code: 'identity_conflict', message: `another process uses the identity ${request.agent} with the same boot number: was its state folder copied? Give each machine a state folder of its own`, extra }
}

export function applyGapRule(event: Event): void {
  const grace = graceForGap(event.memory.leases.values(), event.memory.grace, event.now, event.numbers)
  if (grace) event.apply({ kind: 'grace', grace })
}

/** Writes only what changed: an idle agent's syncs write no row [I19]. */
function updateAgent(event: Event, stored: AgentRow, request: ParsedSync, boot: Partial<AgentRow>): void {
  const offer = request.offer_rev === stored.offerRev ? undefined : request.offer
  const set: Partial<AgentRow> = {
    ...boot,
    ...(offer ? { offer, offerRev: request.offer_rev } : {}),
    ...(request.state === stored.state ? {} : { state: request.state }),
    ...(request.reason === stored.reason ? {} : { reason: request.reason }),
    ...(request.slots === stored.slots ? {} : { slots: request.slots }),
    ...(stored.rivalAt === null ? {} : { rivalAt: null }), // the holder is there [C1.8]
  }
  if (Object.keys(set).length > 0) event.apply({ kind: 'agent.set', id: stored.id, set })
}

function acceptResult(event: Event, by: AgentId, finished: ParsedSync['finished'][number]): Verdict {
  const key = parseAttemptId(finished.attempt)
  if (!key) return 'superseded'
  const build = load.build(event.on, key.project, key.build)
  // The end of the one job of a build may be the build's; the end of a step's job is its step's affair.
  const jobs = build === null || build.openSteps !== null ? null : load.jobsOfBuild(event.on, key.project, key.build)
  const job = jobs === null ? load.job(event.on, key) : (jobs.find(({ n }) => n === key.n) ?? null)
  const { verdict, set } = judge(job, key, finished, event.now)
  if (job === null || set === null) return verdict
  event.apply({ kind: 'job.set', was: job, set })
  event.memory.watched.delete(finished.attempt)
  if (build) {
    pinCommit(event, build, finished.result.commit)
    const after = changed(job, set)
    if (jobs === null) followEnd(event, build, after, endOf(finished.result))
    else settle(event, build, jobs.map((other) => (other === job ? after : other)))
  }
  const agent = event.memory.agents.get(by) // as the results before this one left it
  const failure = agent && noteFailure(agent, isMachineFailure(finished.result), event.now, event.numbers, FAILURE_CAP)
  if (failure) event.apply({ kind: 'agent.set', id: by, set: failure })
  return verdict
}

/** The first commit that a current attempt reports is the build's from then on [I29]. */
function pinCommit(event: Event, build: BuildRow, commit: string | null): void {
  if (commit !== null && build.commit === null) event.apply({ kind: 'build.set', was: build, set: { commit } })
}

/** The build's own row, when the last of its jobs has ended. */
function settle(event: Event, build: BuildRow, jobs: readonly JobRow[]): void {
  for (const change of settleBuild(build, jobs, event.now)) event.apply(change)
}

function leaseOf(memory: Memory, attempt: AttemptId): Lease | null {
  const key = parseAttemptId(attempt)
  const lease = key && memory.leases.get(jobId(key))
  return lease && lease.fence === key.fence ? lease : null
}

function renewAttempt(event: Event, agent: AgentRow, attempt: AttemptId, commit: string | null): { directive: string; grace_ms?: number; why?: string } | null {
  const abandon = (why: string) => ({ directive: 'abandon', why })
  const key = parseAttemptId(attempt)
  const job = key && load.job(event.on, key)
  if (!job) return abandon('the coordinator does not know this job')
  if (isFinal(job.state)) return abandon(`the job is ${job.state}`)
  if (job.fence !== key.fence || job.agent !== agent.id) return abandon('the job was given to another agent') // [I1]
  if (job.state === 'queued') for (const change of readopt(job, agent.id, agent.bootSeq, event.now).changes) event.apply(change)
  const lease = event.memory.leases.get(jobId(job))
  if (lease) lease.seenAt = event.now
  const build = commit === null ? null : load.build(event.on, key.project, key.build)
  if (build) pinCommit(event, build, commit)
  return job.cancel ? { directive: 'cancel', grace_ms: Math.round(10_000 / event.numbers.scale), why: 'cancelled by a person' } : null
}

export function loseAttempt(event: Event, job: JobRow, why: LostWhy): void {
  const lost = lose(job, why, event.now)
  carryOut(event, lost)
  event.memory.watched.delete(attemptId(job))
  const build = load.build(event.on, job.project, job.build)
  if (!build) return
  const start = startOf(build, job, why)
  event.apply({ kind: 'build.set', was: build, set: start })
  if (!isFinal(lost.job.state)) return
  if (build.openSteps === null) settle(event, { ...build, ...start }, load.jobsOfBuild(event.on, job.project, job.build))
  else followEnd(event, build, lost.job, NEVER_ENDED)
}

/** `job` is as it is after its assignment: its fence is the attempt's. */
function assignmentOf(event: Event, job: JobRow, agent: AgentId): Assignment {
  const attempt = attemptId(job)
  const build = load.build(event.on, job.project, job.build)
  const project = event.memory.projects.get(job.project)
  if (!build || !project) throw new Error(`job ${jobId(job)} has no build or no project`)
  const spec = specOf(job, build, project)
  const token = event.sign.attempt(attempt, agent, spec.timeout_s)
  const isSmall = job.spec.length < INLINE_SPEC_BYTES / 4 || JSON.stringify(spec).length <= INLINE_SPEC_BYTES
  return isSmall ? { attempt, token, spec } : { attempt, token }
}

/** Heads of the agent's classes: one index seek for each class that may have work. */
function chooseJobs(event: Event, agent: AgentRow, free: number): { readonly jobs: readonly JobRow[]; readonly passedOver: boolean } {
  const candidates: Candidate[] = []
  for (const served of event.memory.served(agent.offer)) {
    if (!event.memory.maybeQueued.has(served)) continue
    let head = load.queueHead(event.on, served, limitFor(free))
    // Some of these may be passed over, so others may get their turn.
    if (head.some((job) => job.avoidAgent === agent.id)) head = load.queueHead(event.on, served, LARGEST_HEAD)
    if (head.length === 0) event.memory.maybeQueued.delete(served)
    for (const job of head) candidates.push({ job, hasAlternative: job.avoidAgent === agent.id && hasAlternative(event, agent, served) })
  }
  const jobs = choose(candidates, agent.id, free)
  return { jobs, passedOver: jobs.length === 0 && candidates.length > 0 }
}

const LARGEST_HEAD = 260

/** Few distinct limits, so that few distinct statements are prepared; a row more than fits is a row read for nothing. */
function limitFor(free: number): number {
  return free <= 1 ? 1 : free <= 4 ? 4 : free <= 16 ? 16 : LARGEST_HEAD
}

function hasAlternative(event: Event, agent: AgentRow, jobClass: number): boolean {
  const requirement = event.memory.classes.get(jobClass)
  if (!requirement) return false
  for (const [id, presence] of event.memory.presence) {
    if (id === agent.id || !presence.fit || event.now - presence.lastSyncAt > event.numbers.alternativeMs) continue
    const [queue, tags] = JSON.parse(presence.offerKey) as [string, string[]] // written by `offerKey`
    if (canRun({ queue, tags }, requirement)) return true
  }
  return false
}

/** Those behind a doorbell that have not synced since the object woke idle too: counting them out would make each wake of a sleeping fleet hurry it. */
function countIdle(memory: Memory, queue: string, except: AgentId): number {
  let idle = 0
  for (const [id, presence] of memory.presence) if (id !== except && presence.queue === queue && presence.fit && presence.free > 0) idle += 1
  for (const id of memory.attachedAtWake) if (id !== except && !memory.presence.has(id) && memory.agents.get(id)?.offer.queue === queue && memory.leases.of(id).length === 0) idle += 1
  return idle
}

function quietFor(event: Event, queue: string): number | null {
  const at = event.memory.lastQueuedAt.get(queue)
  return at === undefined ? null : event.now - at
}

export function flushSeen(event: Event): void {
  const snapshot = event.memory.snapshot()
  flush(event.on, snapshot)
  for (const lease of event.memory.leases.values()) if (lease.seenAt !== null) lease.storedAt = lease.seenAt
}
