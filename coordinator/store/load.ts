/** The rows that each decision reads: by key or by one index seek, never by scanning. */
import { and, asc, between, desc, eq, isNull, lt, lte, sql } from 'drizzle-orm'
import type { AgentId, AttemptKey, JobKey } from '../../schema/job.ts'
import * as tables from '../../schema/tables.ts'
import type { AgentRow, AnnotationRow, ArtifactRow, AttemptRow, BuildRow, ClassRow, EdgeRow, GateRow, Grace, JobRow, MetaDataRow, ProjectRow, StepKey, StepRow } from '../core/decision.ts'
import { Table, type Sql } from './sql.ts'

export interface TokenRow {
  readonly id: string
  readonly kind: 'registration' | 'api' | 'login' | 'session'
  readonly sha256: string
  readonly name: string
  readonly scope: 'read' | 'build' | 'admin' | null
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly maxUses: number | null
  readonly usedBy: readonly string[]
  readonly lastUsedAt: number | null
  readonly revokedAt: number | null
  readonly parent: string | null
}

export const projects = new Table<ProjectRow>(tables.project)
export const builds = new Table<BuildRow>(tables.build, ['env', 'parent', 'notify'])
export const jobs = new Table<JobRow>(tables.job)
export const steps = new Table<StepRow>(tables.step, ['spec'])
export const edges = new Table<EdgeRow>(tables.edge)
export const metadata = new Table<MetaDataRow>(tables.metadata)
export const gates = new Table<GateRow>(tables.gate)
export const annotations = new Table<AnnotationRow>(tables.annotation)
export const artifacts = new Table<ArtifactRow>(tables.artifact)
export const attempts = new Table<AttemptRow>(tables.attempt)
export const agents = new Table<AgentRow>(tables.agent, ['offer', 'boots'])
export const classes = new Table<ClassRow>(tables.jobClass, ['tags'])
export const tokens = new Table<TokenRow>(tables.token, ['usedBy'])
export const facts = new Table<{ readonly name: string; readonly value: string }>(tables.fact)
export const heartbeats = new Table<{ readonly id: number; readonly seen: string }>(tables.heartbeat)
export const dedups = new Table<{ readonly key: string; readonly answer: string; readonly at: number }>(tables.dedup)

// A partial index is used only when the query spells its condition as the index does; a bound value would not match it.
const isLive = sql`${tables.job.state} = 'live'`
const isBlocked = sql`${tables.step.state} = 'blocked'`
const isToTell = sql`${tables.build.notifyAt} is not null`
const isQueued = sql`${tables.job.state} = 'queued'`
const isOfBuildsArtifacts = and(eq(tables.artifact.project, sql.placeholder('project')), eq(tables.artifact.build, sql.placeholder('build')))
const isOfBuild = and(eq(tables.metadata.project, sql.placeholder('project')), eq(tables.metadata.build, sql.placeholder('build')))

export function job(on: Sql, key: JobKey): JobRow | null {
  return jobs.get(on, { project: key.project, build: key.build, n: key.n })
}

export function liveJobsOf(on: Sql, agent: AgentId): readonly JobRow[] {
  return jobs.select(on, 'live of agent', () => ({ where: and(isLive, eq(tables.job.agent, sql.placeholder('agent'))) }), { agent })
}

export function allLiveJobs(on: Sql): readonly JobRow[] {
  return jobs.select(on, 'all live', () => ({ where: isLive }))
}

/** The first `limit` of one class's queue: priority, then age. */
export function queueHead(on: Sql, jobClass: number, limit: number): readonly JobRow[] {
  return jobs.select(on, `queue head ${limit}`, () => ({ where: and(isQueued, eq(tables.job.class, sql.placeholder('class'))), orderBy: [asc(tables.job.ord)], limit }), { class: jobClass })
}

export function gate(on: Sql, id: number): GateRow | null {
  return gates.get(on, { id })
}

export function gateNamed(on: Sql, name: string): GateRow | null {
  return gates.select(on, 'by name', () => ({ where: eq(tables.gate.name, sql.placeholder('name')) }), { name })[0] ?? null
}

export function lastGate(on: Sql): number {
  return gates.select(on, 'last', () => ({ orderBy: [desc(tables.gate.id)], limit: 1 }))[0]?.id ?? 0
}

const isOfGate = and(eq(tables.job.gate, sql.placeholder('gate')), sql`${tables.job.finishedAt} is null`)
const isInside = sql`${tables.job.state} in ('queued', 'live')`
/** More than any limit. */
const COUNTED_INSIDE = 20_000

/** How many jobs of the group are in the queue or in agents' hands. */
export function countInside(on: Sql, gate: number): number {
  return jobs.count(on, 'inside gate', () => and(isOfGate, isInside), COUNTED_INSIDE, { gate })
}

/** Some of those. */
export function jobsInside(on: Sql, gate: number, limit: number): readonly JobRow[] {
  return jobs.select(on, `inside gate ${limit}`, () => ({ where: and(isOfGate, isInside), limit }), { gate })
}

/** The first of those that stand before a gate, of one kind of turn (`core/gate.ts`). */
export function firstBefore(on: Sql, { gate, state, kind }: { readonly gate: number; readonly state: 'waiting' | 'gated'; readonly kind: string }, limit: number): readonly JobRow[] {
  const isOfKind = and(eq(tables.job.state, sql.placeholder('state')), between(tables.job.turn, sql.placeholder('from'), sql.placeholder('to')))
  return jobs.select(on, `before gate ${limit}`, () => ({ where: and(isOfGate, isOfKind), orderBy: [asc(tables.job.turn), asc(tables.job.project), asc(tables.job.build), asc(tables.job.n)], limit }), { gate, state, from: kind, to: `${kind}~` })
}

/** How many queued jobs of its class are before this one, counted up to `most`. */
export function queuedBefore(on: Sql, before: JobRow, most: number): number {
  const place = sql`(${tables.job.ord}, ${tables.job.project}, ${tables.job.build}, ${tables.job.n}) < (${sql.placeholder('ord')}, ${sql.placeholder('project')}, ${sql.placeholder('build')}, ${sql.placeholder('n')})`
  return jobs.count(on, `queued before ${most}`, () => and(isQueued, eq(tables.job.class, sql.placeholder('class')), place), most, { class: before.class, ord: before.ord, project: before.project, build: before.build, n: before.n })
}

export function jobsOfBuild(on: Sql, project: number, build: number): readonly JobRow[] {
  return jobs.select(on, 'of build', () => ({ where: and(eq(tables.job.project, sql.placeholder('project')), eq(tables.job.build, sql.placeholder('build'))), orderBy: [asc(tables.job.n)] }), { project, build })
}

export function lastJobNumber(on: Sql, project: number, build: number): number {
  return jobs.select(on, 'last of build', () => ({ where: and(eq(tables.job.project, sql.placeholder('project')), eq(tables.job.build, sql.placeholder('build'))), orderBy: [desc(tables.job.n)], limit: 1 }), { project, build })[0]?.n ?? 0
}

/** What the jobs and steps of a build come to: what is stored of what they are. */
export function charactersOfBuild(on: Sql, { project, build }: Pick<JobRow, 'project' | 'build'>): number {
  const key = { project, build }
  const ofJobs = jobs.lengths(on, 'of build', 'spec', () => and(eq(tables.job.project, sql.placeholder('project')), eq(tables.job.build, sql.placeholder('build'))), key)
  const ofSteps = steps.lengths(on, 'of build', 'spec', () => and(eq(tables.step.project, sql.placeholder('project')), eq(tables.step.build, sql.placeholder('build'))), key)
  return ofJobs + ofSteps
}

/** The jobs that a step was opened with. */
export function jobsOfStep(on: Sql, { project, build, firstJob, jobs: count }: StepRow): readonly JobRow[] {
  if (count === 0) return []
  return jobs.select(on, 'of step', () => ({ where: and(eq(tables.job.project, sql.placeholder('project')), eq(tables.job.build, sql.placeholder('build')), between(tables.job.n, sql.placeholder('first'), sql.placeholder('last'))), orderBy: [asc(tables.job.n)] }), { project, build, first: firstJob, last: firstJob + count - 1 })
}

/** The jobs that speak for a step: those that no other has succeeded. */
export function currentJobsOfStep(on: Sql, { project, build, s }: StepKey): readonly JobRow[] {
  return jobsOfBuild(on, project, build).filter((job) => job.step === s && job.retriedBy === null)
}

export function attemptsOfBuild(on: Sql, project: number, build: number): readonly AttemptRow[] {
  return attempts.select(on, 'of build', () => ({ where: and(eq(tables.attempt.project, sql.placeholder('project')), eq(tables.attempt.build, sql.placeholder('build'))), orderBy: [asc(tables.attempt.n), asc(tables.attempt.fence)] }), { project, build })
}

export function step(on: Sql, key: StepKey): StepRow | null {
  return steps.get(on, { project: key.project, build: key.build, s: key.s })
}

export function stepsOfBuild(on: Sql, project: number, build: number): readonly StepRow[] {
  return steps.select(on, 'of build', () => ({ where: and(eq(tables.step.project, sql.placeholder('project')), eq(tables.step.build, sql.placeholder('build'))), orderBy: [asc(tables.step.s)] }), { project, build })
}

/** Those that wait for a person. */
export function openBlocks(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): readonly StepRow[] {
  // By their numbers first: the index holds no more, and SQLite takes it for nothing else.
  const found = steps.values(on, 'blocked', 's', () => ({ where: and(isBlocked, eq(tables.step.project, sql.placeholder('project')), eq(tables.step.build, sql.placeholder('build'))), orderBy: [asc(tables.step.s)] }), { project, build: number })
  return found.flatMap((s) => step(on, { project, build: number, s: Number(s) }) ?? [])
}

/** Looks at the steps one by one. */
export function isSomeStepRunning(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): boolean {
  return steps.count(on, 'running', () => and(eq(tables.step.project, sql.placeholder('project')), eq(tables.step.build, sql.placeholder('build')), sql`${tables.step.state} = 'running'`), 1, { project, build: number }) > 0
}

export function edgesFrom(on: Sql, { project, build, s }: StepKey): readonly EdgeRow[] {
  return edges.select(on, 'from', () => ({ where: and(eq(tables.edge.project, sql.placeholder('project')), eq(tables.edge.build, sql.placeholder('build')), eq(tables.edge.from, sql.placeholder('from'))), orderBy: [asc(tables.edge.to)] }), { project, build, from: s })
}

export function edgesOfBuild(on: Sql, project: number, build: number): readonly EdgeRow[] {
  return edges.select(on, 'of build', () => ({ where: and(eq(tables.edge.project, sql.placeholder('project')), eq(tables.edge.build, sql.placeholder('build'))) }), { project, build })
}

export function metaData(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>, key: string): MetaDataRow | null {
  return metadata.get(on, { project, build: number, key })
}

/** How much of it a build has. */
export function metaDataHeld(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): { readonly keys: number; readonly bytes: number } {
  const { count, sum } = metadata.sum(on, 'of build', 'bytes', () => isOfBuild, { project, build: number })
  return { keys: count, bytes: sum }
}

export function metaDataKeys(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): readonly string[] {
  return metadata.values(on, 'of build', 'key', () => ({ where: isOfBuild, orderBy: [asc(tables.metadata.key)] }), { project, build: number }).map(String)
}

/** All of a build, by key. */
export function metaDataOfBuild(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): readonly MetaDataRow[] {
  return metadata.select(on, 'of build', () => ({ where: isOfBuild, orderBy: [asc(tables.metadata.key)] }), { project, build: number })
}

const isAnnotationOfBuild = and(eq(tables.annotation.project, sql.placeholder('project')), eq(tables.annotation.build, sql.placeholder('build')))

export function annotation(on: Sql, { project, build, n, context }: Pick<AnnotationRow, 'project' | 'build' | 'n' | 'context'>): AnnotationRow | null {
  return annotations.get(on, { project, build, n, context })
}

/** How many a build has, and how much their bodies come to. */
export function annotationsHeld(on: Sql, { project, build }: Pick<AnnotationRow, 'project' | 'build'>): { readonly annotations: number; readonly bytes: number } {
  const { count, sum } = annotations.sum(on, 'of build', 'bytes', () => isAnnotationOfBuild, { project, build })
  return { annotations: count, bytes: sum }
}

export function annotationsOfBuild(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): readonly AnnotationRow[] {
  return annotations.select(on, 'of build', () => ({ where: isAnnotationOfBuild }), { project, build: number })
}

export function annotationsWithoutBodies(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>): readonly Omit<AnnotationRow, 'body'>[] {
  return annotations.selectWithout(on, 'of build', 'body', () => isAnnotationOfBuild, { project, build: number })
}

export function artifact(on: Sql, { project, build, n, fence }: AttemptKey, path: string): ArtifactRow | null {
  return artifacts.get(on, { project, build, n, fence, path })
}

/** Of a build's artifacts of one path, the one that was uploaded last. */
export function newestArtifact(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>, path: string): ArtifactRow | null {
  const orderBy = [desc(tables.artifact.createdAt), desc(tables.artifact.n), desc(tables.artifact.fence)]
  return artifacts.select(on, 'newest of path', () => ({ where: and(isOfBuildsArtifacts, eq(tables.artifact.path, sql.placeholder('path'))), orderBy, limit: 1 }), { project, build: number, path })[0] ?? null
}

/** How many an attempt has, counted up to `most`. */
export function artifactsHeld(on: Sql, { project, build, n, fence }: AttemptKey, most: number): number {
  return artifacts.count(on, `of attempt ${most}`, () => and(isOfBuildsArtifacts, eq(tables.artifact.n, sql.placeholder('n')), eq(tables.artifact.fence, sql.placeholder('fence'))), most, { project, build, n, fence })
}

/** The next of a build, or of one job of it, by job, attempt and path. */
export function artifactsAfter(on: Sql, { project, number }: Pick<BuildRow, 'project' | 'number'>, { n, fence, path }: Pick<ArtifactRow, 'n' | 'fence' | 'path'>, { job, limit }: { readonly job: number | undefined; readonly limit: number }): readonly ArtifactRow[] {
  const place = sql`(${tables.artifact.n}, ${tables.artifact.fence}, ${tables.artifact.path}) > (${sql.placeholder('n')}, ${sql.placeholder('fence')}, ${sql.placeholder('path')})`
  const orderBy = [asc(tables.artifact.n), asc(tables.artifact.fence), asc(tables.artifact.path)]
  if (job === undefined) return artifacts.select(on, `of build ${limit}`, () => ({ where: and(isOfBuildsArtifacts, place), orderBy, limit }), { project, build: number, n, fence, path })
  return artifacts.select(on, `of job ${limit}`, () => ({ where: and(isOfBuildsArtifacts, eq(tables.artifact.n, sql.placeholder('job')), place), orderBy, limit }), { project, build: number, job, n, fence, path })
}

export function build(on: Sql, project: number, number: number): BuildRow | null {
  return builds.get(on, { project, number })
}

/** Those that have something to tell, or may get it. */
export function buildsToTell(on: Sql): readonly BuildRow[] {
  return builds.select(on, 'to tell', () => ({ where: isToTell }))
}

export function lastBuildNumber(on: Sql, project: number): number {
  return builds.select(on, 'last', () => ({ where: eq(tables.build.project, sql.placeholder('project')), orderBy: [desc(tables.build.number)], limit: 1 }), { project })[0]?.number ?? 0
}

export function buildsBefore(on: Sql, project: number, before: number, limit: number): readonly BuildRow[] {
  return builds.select(on, `before ${limit}`, () => ({ where: and(eq(tables.build.project, sql.placeholder('project')), lt(tables.build.number, sql.placeholder('before'))), orderBy: [desc(tables.build.number)], limit }), { project, before })
}

export function allProjects(on: Sql): readonly ProjectRow[] {
  return projects.select(on, 'all', () => ({}))
}

export function allAgents(on: Sql): readonly AgentRow[] {
  return agents.select(on, 'all', () => ({}))
}

export function allClasses(on: Sql): readonly ClassRow[] {
  return classes.select(on, 'all', () => ({}))
}

export function token(on: Sql, sha256: string): TokenRow | null {
  return tokens.select(on, 'by hash', () => ({ where: eq(tables.token.sha256, sql.placeholder('sha256')) }), { sha256 })[0] ?? null
}

/** Tokens that people manage; web sessions and one-time links are not shown. */
export function managedTokens(on: Sql): readonly TokenRow[] {
  return tokens.select(on, 'managed', () => ({ where: sql`${tables.token.kind} in ('api', 'registration')`, orderBy: [desc(tables.token.createdAt)] }))
}

export function grace(on: Sql): Grace | null {
  const row = facts.get(on, { name: 'grace' })
  return row ? (JSON.parse(row.value) as Grace) : null // written by `apply`
}

/** When each live attempt and each agent was last heard, as stored. */
export interface Seen {
  readonly attempts: Readonly<Record<string, number>>
  readonly agents: Readonly<Record<string, number>>
}

export function seen(on: Sql): Seen {
  const row = heartbeats.get(on, { id: 1 })
  return row ? (JSON.parse(row.seen) as Seen) : { attempts: {}, agents: {} } // written by `flush`
}

export function expiredTokens(on: Sql, now: number): void {
  tokens.remove(on, 'expired', () => and(lte(tables.token.expiresAt, sql.placeholder('now')), sql`${tables.token.kind} in ('login', 'session')`) ?? isNull(tables.token.id), { now })
}

/** How many builds triggers have started for a build that a person started, at whatever depth. */
export function triggeredBuilds(on: Sql, root: { readonly project: number; readonly build: number }): number {
  return Number(facts.get(on, { name: triggeredBy(root) })?.value ?? 0)
}

export function keepTriggeredBuilds(on: Sql, root: { readonly project: number; readonly build: number }, count: number): void {
  facts.insert(on, { name: triggeredBy(root), value: String(count) }, { orReplace: true })
}

function triggeredBy({ project, build }: { readonly project: number; readonly build: number }): string {
  return `builds triggered for ${project}-${build}`
}

export function dedup(on: Sql, key: string): string | null {
  return dedups.get(on, { key })?.answer ?? null
}

/** Looking at all of them costs a read of each, so it is done this seldom, also when alarms are many. */
const FORGET_EVERY_MS = 3_600_000

export function forgetDedupsBefore(on: Sql, at: number, now: number): void {
  const last = Number(facts.get(on, { name: 'dedups forgotten' })?.value ?? 0)
  if (now >= last && now - last < FORGET_EVERY_MS) return // a clock that was set back looks again
  dedups.remove(on, 'old', () => lt(tables.dedup.at, sql.placeholder('at')), { at })
  facts.insert(on, { name: 'dedups forgotten', value: String(now) }, { orReplace: true })
}
