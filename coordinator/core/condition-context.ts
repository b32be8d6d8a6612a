/** What the conditions of a build's steps are decided by; what is not known yet (people, pull requests, tags) reads as null. */
import type { Context } from '../../schema/pipeline/conditional/conditional.ts'
import type { BuildRow, ProjectRow } from './decision.ts'

export interface Circumstances {
  readonly build: BuildRow
  readonly project: ProjectRow
  /** The build whose trigger started it; null: a person did. */
  readonly triggeredFrom: NonNullable<Context['build']['triggeredFrom']> | null
  /** Of the pipeline and the build together. */
  readonly env: Readonly<Record<string, string>>
}

export function contextOf({ build, project, triggeredFrom, env }: Circumstances): Context {
  return {
    build: { number: build.number, state: 'running', source: triggeredFrom === null ? 'api' : 'trigger_job', branch: build.branch, commit: build.commit, message: build.message, ...(triggeredFrom === null ? {} : { triggeredFrom }) },
    pipeline: { name: project.slug, slug: project.slug, defaultBranch: project.defaultBranch, repository: project.repository },
    env: (name) => (Object.hasOwn(env, name) ? (env[name] ?? null) : null),
  }
}
