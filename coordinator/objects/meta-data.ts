/** Meta-data of a build, as its jobs set and read it, and as the answers to a block become it. */
import type { MetaDataView, Problem } from '../../schema/api.ts'
import type { AttemptId } from '../../schema/job.ts'
import type { MetaDataSet } from '../../schema/job-calls.ts'
import type { BuildRow, MetaDataRow } from '../core/decision.ts'
import { putMetaData } from '../core/meta-data.ts'
import * as load from '../store/load.ts'
import type { Sql } from '../store/sql.ts'
import { anyJob, currentJob } from './current-attempt.ts'
import type { Event } from './event.ts'
import type { Answer } from './scheduler-api.ts'

type BuildOf = Pick<BuildRow, 'project' | 'number'>

/** Answers with the value. */
export function setMetaData(event: Event, attempt: AttemptId, { key, value }: MetaDataSet): Answer<string> {
  const current = currentJob(event, attempt, { title: 'The meta-data was not set', noMore: 'sets nothing any more' })
  if (!current.ok) return current
  const refused = keepMetaData(event, { project: current.job.project, number: current.job.build }, new Map([[key, value]]))
  return refused === null ? { ok: true, value } : { ok: false, problem: refused }
}

/** Puts all of it into the build, or says why not and puts nothing. */
export function keepMetaData(event: Event, build: BuildOf, values: ReadonlyMap<string, string>): Problem | null {
  if (values.size === 0) return null
  const before = new Map<string, MetaDataRow>()
  for (const key of values.keys()) {
    const row = load.metaData(event.on, build, key)
    if (row !== null) before.set(key, row)
  }
  const decided = putMetaData(build, values, { ...load.metaDataHeld(event.on, build), before })
  if ('detail' in decided) return decided
  for (const change of decided) event.apply(change)
  return null
}

/** Null: nobody set it. Whoever had an attempt of the build may read. */
export function metaDataOf(on: Sql, attempt: AttemptId, key: string): Answer<string | null> {
  const build = buildOf(on, attempt)
  return build.ok ? { ok: true, value: load.metaData(on, build.value, key)?.value ?? null } : build
}

export function metaDataKeysOf(on: Sql, attempt: AttemptId): Answer<readonly string[]> {
  const build = buildOf(on, attempt)
  return build.ok ? { ok: true, value: load.metaDataKeys(on, build.value) } : build
}

/** For people. */
export function metaDataView(on: Sql, build: BuildOf): MetaDataView {
  return { meta_data: Object.fromEntries(load.metaDataOfBuild(on, build).map(({ key, value }) => [key, value])) }
}

function buildOf(on: Sql, attempt: AttemptId): Answer<BuildOf> {
  const job = anyJob(on, attempt)
  return job.ok ? { ok: true, value: { project: job.value.project, number: job.value.build } } : job
}
