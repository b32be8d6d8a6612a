/** Rows to the views that people see (`schema/api.ts`). Reads only; nothing here decides. */
import type { AgentView, AttemptView, BuildLink, BuildPage, BuildSummary, BuildView, JobView, ProjectView, TokenView, Waiting } from '../../schema/api.ts'
import { attemptId, isFinal, isFinalBuild, jobId, type AgentId, type BuildState } from '../../schema/job.ts'
import { unfit } from '../core/assign.ts'
import type { AgentRow, AttemptRow, BuildRow, JobRow, ProjectRow } from '../core/decision.ts'
import type { Numbers } from '../core/numbers.ts'
import type { ReadResult } from '../core/judge.ts'
import { buildState, jobState, type StoredSpec } from '../core/plan.ts'
import { outcomeOf } from '../core/step.ts'
import { whyQueued, type AgentSeen } from '../core/waiting.ts'
import * as load from './load.ts'
import { annotationSummaries } from './read-annotations.ts'
import { Gates } from './read-gates.ts'
import { notificationViews } from './read-notices.ts'
import { NO_STEPS, readSteps, stepViews, whyBroken, whyStepWaits, type StepsOfBuild } from './read-steps.ts'
import type { Memory } from './memory.ts'
import type { Sql } from './sql.ts'

/** What a view needs beside its rows. `attached`: agents whose doorbell is open, who are there however long they were silent. */
export interface Reading {
  readonly on: Sql
  readonly memory: Memory
  readonly now: number
  readonly numbers: Numbers
  readonly attached: ReadonlySet<AgentId>
  readonly origin: string
}

const time = (at: number) => new Date(at).toISOString()
const timeOrNull = (at: number | null) => (at === null ? null : time(at))

export function buildUrl(origin: string, slug: string, number: number): string {
  return `${origin}/projects/${slug}/builds/${number}`
}

export function projectView(row: ProjectRow): ProjectView {
  return { slug: row.slug, repository: row.repository, default_branch: row.defaultBranch, command: row.command, checkout: row.checkout, timeout_s: row.timeoutS, created_at: time(row.createdAt) }
}

export function buildView(reading: Reading, project: ProjectRow, build: BuildRow): BuildView {
  const jobs = load.jobsOfBuild(reading.on, project.id, build.number)
  const lost = Map.groupBy(load.attemptsOfBuild(reading.on, project.id, build.number), ({ n }) => n)
  const steps = build.openSteps === null ? NO_STEPS : readSteps(reading.on, build, reading.memory.projects)
  const gates = new Gates(reading)
  return {
    ...summary(reading, project, build, jobs),
    jobs: jobs.map((job) => jobView(reading, job, lost.get(job.n) ?? [], build.commit, { steps, gates })),
    steps: stepViews(steps, (id, number) => linkTo(reading, id, number)),
    annotations: annotationSummaries(reading.on, build),
    notifications: notificationViews(build),
  }
}

function summary(reading: Reading, project: ProjectRow, build: BuildRow, jobs: readonly JobRow[]): BuildSummary {
  const state = stateOf(reading, build, jobs)
  const starts = jobs.flatMap((job) => (job.assignedAt === null ? [] : [job.assignedAt]))
  const holders = new Set(jobs.flatMap((job) => (job.agent !== null && job.fence > 0 && job.state !== 'queued' ? [job.agent] : [])))
  return {
    project: project.slug,
    number: build.number,
    state,
    commit: build.commit,
    branch: build.branch,
    message: build.message,
    created_at: time(build.createdAt),
    started_at: timeOrNull(build.startedAt ?? (starts.length > 0 ? Math.min(...starts) : null)),
    finished_at: isFinalBuild(state) ? timeOrNull(build.finishedAt) : null,
    agents: [...holders].map((id) => agentName(reading, id)),
    url: buildUrl(reading.origin, project.slug, build.number),
    triggered_from: startedBy(reading, build),
  }
}

/** One that waits for a build which it started is not blocked: that build goes on by itself. */
function stateOf(reading: Reading, build: BuildRow, jobs: readonly JobRow[]): BuildState {
  const state = buildState(build.state, jobs)
  const isGoing = state === 'blocked' && load.stepsOfBuild(reading.on, build.project, build.number).some((step) => step.kind === 'trigger' && step.state === 'running')
  return isGoing ? 'running' : state
}

function linkTo(reading: Reading, id: number, number: number): BuildLink | null {
  const project = reading.memory.projects.get(id)
  const build = project && load.build(reading.on, id, number)
  if (!project || !build) return null
  return { project: project.slug, number, state: build.state ?? stateOf(reading, build, load.jobsOfBuild(reading.on, id, number)), url: buildUrl(reading.origin, project.slug, number) }
}

function startedBy(reading: Reading, { parent }: BuildRow): BuildSummary['triggered_from'] {
  const project = parent && reading.memory.projects.get(parent.project)
  return parent && project ? { project: project.slug, number: parent.build, url: buildUrl(reading.origin, project.slug, parent.build) } : null
}

function agentName(reading: Reading, id: AgentId): string {
  return reading.memory.agents.get(id)?.offer.name ?? id
}

type Ending = Partial<Pick<ReadResult, 'exit_status' | 'signal' | 'reason' | 'commit' | 'log_bytes'>>

function ending(text: string | null): Ending {
  return text === null ? {} : (JSON.parse(text) as Ending) // an accepted result, or what `lose` wrote
}

function jobView(reading: Reading, job: JobRow, lost: readonly AttemptRow[], commit: string | null, { steps, gates }: { readonly steps: StepsOfBuild; readonly gates: Gates }): JobView {
  const spec = JSON.parse(job.spec) as StoredSpec // written by `openBuild`
  const requirement = reading.memory.classes.get(job.class) ?? { queue: '?', tags: [] }
  const lease = reading.memory.leases.get(jobId(job))
  const end = ending(job.result)
  const waiting = job.state === 'waiting' ? whyStepWaits(steps, job.step) : job.state === 'gated' ? gates.why(job) : whyWaiting(reading, job)
  return {
    id: jobId(job),
    state: jobState(job.state, lease?.seenAt !== null && lease !== undefined),
    command: spec.command,
    queue: requirement.queue,
    tags: requirement.tags,
    priority: job.priority,
    ...(waiting ? { waiting } : {}),
    cancel_requested: job.cancel,
    exit_status: end.exit_status ?? null,
    signal: end.signal ?? null,
    soft_failed: isSoft(steps, job, spec, end),
    reason: reasonOf(end, steps, job),
    retried_by: job.retriedBy === null ? null : jobId({ ...job, n: job.retriedBy }),
    retry_of: job.retryOf === null ? null : jobId({ ...job, n: job.retryOf }),
    step: job.step,
    label: spec.label ?? null,
    parallel: spec.parallel ?? null,
    created_at: time(job.createdAt),
    started_at: timeOrNull(job.assignedAt),
    finished_at: timeOrNull(job.finishedAt),
    attempts: attemptViews(reading, job, lost, end, commit),
  }
}

/** It failed, and its step allows that. */
function isSoft({ rows }: StepsOfBuild, job: JobRow, { softFail }: StoredSpec, { exit_status }: Ending): boolean {
  const rule = softFail ?? (job.step === null ? undefined : rows.get(job.step)?.spec.softFail)
  return rule !== undefined && isFinal(job.state) && outcomeOf(job.state, exit_status ?? null, rule) === 'soft_failed'
}

/** A job in an agent's hands that was cancelled with its step says no more than that itself. */
function reasonOf(end: Ending, steps: StepsOfBuild, job: JobRow): JobView['reason'] {
  const because = job.state === 'broken' && end.reason?.code === 'dependency_failed' ? whyBroken(steps, job.step) : null
  if (because !== null) return { code: 'dependency_failed', message: `not run, because ${because}` }
  const why = job.cancel && job.step !== null ? steps.rows.get(job.step)?.spec.canceled : undefined
  if (typeof why !== 'string' || (isFinal(job.state) && job.state !== 'canceled')) return end.reason ?? null
  return { code: 'canceled', message: why }
}

function attemptViews(reading: Reading, job: JobRow, lost: readonly AttemptRow[], end: Ending, commit: string | null): readonly AttemptView[] {
  // The job's row speaks for its newest attempt while that is live or gave the result; a re-adopted one is not lost any more.
  const ownIsCurrent = job.fence > 0 && job.agent !== null && job.assignedAt !== null && (job.state === 'live' || job.digest !== null)
  const views = lost
    .filter(({ fence }) => !(ownIsCurrent && fence === job.fence))
    .map((row): AttemptView => ({
      id: attemptId(row),
      fence: row.fence,
      agent: agentName(reading, row.agent),
      agent_id: row.agent,
      state: 'lost',
      exit_status: null,
      signal: null,
      reason: JSON.parse(row.detail) as { code: string; message: string }, // written by `lose`
      commit,
      started_at: time(row.assignedAt),
      finished_at: time(row.endedAt),
      log_bytes: null,
    }))
  if (!ownIsCurrent || job.agent === null) return views
  const named = reading.memory.leases.get(jobId(job))?.seenAt ?? null
  const state: AttemptView['state'] = job.state === 'live' ? (named === null ? 'assigned' : 'running') : (job.state as AttemptView['state']) // an accepted outcome
  views.push({
    id: attemptId(job),
    fence: job.fence,
    agent: agentName(reading, job.agent),
    agent_id: job.agent,
    state,
    exit_status: end.exit_status ?? null,
    signal: end.signal ?? null,
    reason: end.reason ?? null,
    commit: end.commit ?? commit,
    started_at: timeOrNull(job.assignedAt),
    finished_at: timeOrNull(job.finishedAt),
    log_bytes: end.log_bytes ?? null,
  })
  return views
}

/** How far into its class's queue a job's place is still counted. */
const COUNTED_PLACES = 260

function whyWaiting(reading: Reading, job: JobRow): Waiting | null {
  if (job.state === 'live') {
    if (job.cancel) return { code: 'canceling', reason: 'cancelled; the agent is ending the command' }
    const named = reading.memory.leases.get(jobId(job))?.seenAt ?? null
    return named === null && job.agent !== null ? { code: 'assigned', reason: `given to ${agentName(reading, job.agent)}, which has not confirmed it yet` } : null
  }
  if (isFinal(job.state)) return null
  const requirement = reading.memory.classes.get(job.class) ?? { queue: '?', tags: [] }
  return whyQueued(requirement, agentsSeen(reading), load.queuedBefore(reading.on, job, COUNTED_PLACES))
}

function agentsSeen(reading: Reading): readonly AgentSeen[] {
  return [...reading.memory.agents.values()]
    .filter((agent) => agent.revokedAt === null)
    .map((agent) => ({ name: agent.offer.name, offer: agent.offer, online: isOnline(reading, agent), slots: agent.slots, held: reading.memory.leases.of(agent.id).length, unfit: unfit(agent, reading.now)?.message ?? null }))
}

function isOnline(reading: Reading, agent: AgentRow): boolean {
  if (reading.attached.has(agent.id)) return true
  // It was stopped by its owner and has nothing left to do here.
  if (agent.state === 'draining' && !agent.drain && reading.memory.leases.of(agent.id).length === 0) return false
  const at = reading.memory.lastSeen(agent.id)
  const pace = reading.memory.presence.get(agent.id)?.nextSyncMs ?? 0
  return at !== null && reading.now - at <= Math.max(3 * pace, reading.numbers.offlineMs)
}

export function agentView(reading: Reading, agent: AgentRow): AgentView {
  const running = reading.memory.leases.of(agent.id)
  const why = unfit(agent, reading.now)
  const state: AgentView['state'] =
    agent.revokedAt !== null ? 'revoked' : !isOnline(reading, agent) ? 'offline' : why !== null ? (why.code === 'standby' ? 'unhealthy' : why.code) : running.length > 0 ? 'busy' : 'ready'
  return {
    id: agent.id,
    name: agent.offer.name,
    state,
    reason: agent.revokedAt !== null ? 'revoked by an administrator' : state === 'offline' ? 'not heard of' : (why?.message ?? null),
    queue: agent.offer.queue,
    tags: agent.offer.tags,
    slots: agent.slots,
    running: running.map((lease) => ({ attempt: attemptId(lease), project: reading.memory.projects.get(lease.project)?.slug ?? String(lease.project), build: lease.build })),
    // Its open doorbell is seen as well, also by an object that has slept and forgotten its syncs.
    last_seen: timeOrNull(reading.memory.lastSeen(agent.id) ?? (reading.attached.has(agent.id) ? reading.now : null)),
    host: agent.offer.host,
  }
}

/** Builds newest first, of one project or of all. A filter by state looks at most at `SCANNED` builds a page. */
const SCANNED = 500

export function buildPage(reading: Reading, projects: readonly ProjectRow[], filter: { readonly state?: string | undefined; readonly branch?: string | undefined; readonly limit: number; readonly cursor?: string | undefined }): BuildPage | null {
  const cursor = parseCursor(filter.cursor)
  if (cursor === null) return null
  const streams = projects.map((project) => ({ project, before: cursor.get(project.id) ?? Number.MAX_SAFE_INTEGER, rows: [] as BuildRow[], done: false }))
  const found: BuildSummary[] = []
  for (let scanned = 0; found.length < filter.limit && scanned < SCANNED; scanned++) {
    let newest: (typeof streams)[number] | null = null
    for (const stream of streams) {
      if (stream.rows.length === 0 && !stream.done) {
        stream.rows = [...load.buildsBefore(reading.on, stream.project.id, stream.before, 50)]
        stream.done = stream.rows.length === 0
      }
      const head = stream.rows[0]
      if (head && (!newest?.rows[0] || head.createdAt > newest.rows[0].createdAt)) newest = stream
    }
    const row = newest?.rows.shift()
    if (!newest || !row) return { builds: found, next_cursor: null }
    newest.before = row.number
    if (filter.branch !== undefined && row.branch !== filter.branch) continue
    const view = summary(reading, newest.project, row, load.jobsOfBuild(reading.on, newest.project.id, row.number))
    if (filter.state === undefined || view.state === filter.state) found.push(view)
  }
  const more = streams.some((stream) => stream.rows.length > 0 || (!stream.done && load.buildsBefore(reading.on, stream.project.id, stream.before, 50).length > 0))
  const next = streams.filter(({ before }) => before !== Number.MAX_SAFE_INTEGER).map(({ project, before }) => `${project.id}.${before}`)
  return { builds: found, next_cursor: more ? next.join('_') : null }
}

function parseCursor(text: string | undefined): Map<number, number> | null {
  const places = new Map<number, number>()
  if (text === undefined || text === '') return places
  for (const part of text.split('_')) {
    const match = /^(\d{1,9})\.(\d{1,9})$/.exec(part)
    if (!match) return null
    places.set(Number(match[1]), Number(match[2]))
  }
  return places
}

export function tokenView(row: load.TokenRow): TokenView {
  return { id: row.id, kind: row.kind, name: row.name, scope: row.scope, created_at: time(row.createdAt), expires_at: timeOrNull(row.expiresAt), max_uses: row.maxUses, uses: row.usedBy.length, last_used_at: timeOrNull(row.lastUsedAt), revoked: row.revokedAt !== null }
}
