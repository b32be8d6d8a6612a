/** Projects and builds as people name them, or the sentence that there is none. */
import type { BuildRow, ProjectRow } from '../core/decision.ts'
import * as load from '../store/load.ts'
import type { Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'
import { problem, type Answer } from './scheduler-api.ts'

interface Looking {
  readonly on: Sql
  readonly memory: Memory
}

/** A build and the project that it is of. */
export interface NamedBuild {
  readonly project: ProjectRow
  readonly build: BuildRow
}

export function projectNamed({ memory }: Pick<Looking, 'memory'>, slug: string): Answer<ProjectRow> {
  const project = memory.projectBySlug(slug)
  if (project) return { ok: true, value: project }
  const known = memory.allProjects().map((row) => row.slug)
  const hint = known.length === 0 ? 'There is none yet.' : `There are: ${known.slice(0, 10).join(', ')}${known.length > 10 ? ', …' : ''}.`
  return problem(404, 'project-unknown', 'No such project', `There is no project ${slug}. ${hint}`)
}

export function buildNamed(looking: Looking, slug: string, number: number): Answer<NamedBuild> {
  const project = projectNamed(looking, slug)
  return project.ok ? buildOf(looking, project.value, number) : project
}

export function buildOf({ on }: Pick<Looking, 'on'>, project: ProjectRow, number: number): Answer<NamedBuild> {
  const build = load.build(on, project.id, number)
  if (build) return { ok: true, value: { project, build } }
  const last = load.lastBuildNumber(on, project.id)
  return problem(404, 'build-unknown', 'No such build', last === 0 ? `Project ${project.slug} has no builds yet.` : `Project ${project.slug} has no build ${number}; the newest is ${last}.`)
}
