/** What the conditions of a build's steps are decided by; what is not known yet (people, pull requests, tags) reads as null. */
import type { Context } from '../../schema/pipeline/conditional/conditional.ts'
import type { BuildRow, ProjectRow } from './decision.ts'

export interface Circumstances {
  readonly build: BuildRow
  readonly project: ProjectRow
  /** Of the pipeline and the build together. */
  readonly env: Readonly<Record<string, string>>
}

export function contextOf({ build, project, env }: Circumstances): Context {
  return {
    build: { number: build.number, state: 'running', source: 'api', branch: build.branch, commit: build.commit, message: build.message },
    pipeline: { name: project.slug, slug: project.slug, defaultBranch: project.defaultBranch, repository: project.repository },
    env: (name) => (Object.hasOwn(env, name) ? (env[name] ?? null) : null),
  }
}
