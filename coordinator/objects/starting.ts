/** What people begin: projects, and builds of them. */
import type { CreateBuildRequest, CreateProjectRequest } from '../../schema/api.ts'
import type { ProjectRow } from '../core/decision.ts'
import { openBuild, whyNoBuild } from '../core/plan.ts'
import * as load from '../store/load.ts'
import { buildUrl } from '../store/read.ts'
import { classFor } from './classes.ts'
import type { Event } from './event.ts'
import { projectNamed } from './named.ts'
import { problem, type Answer } from './scheduler-api.ts'

export function startProject(event: Event, request: CreateProjectRequest): Answer<ProjectRow> {
  if (event.memory.projectBySlug(request.slug)) return problem(409, 'project-exists', 'The project exists', `There is a project ${request.slug} already. Choose another slug, or use it as it is.`)
  const row: ProjectRow = {
    id: Math.max(0, ...event.memory.projects.keys()) + 1,
    slug: request.slug,
    repository: request.repository ?? null,
    defaultBranch: request.default_branch ?? null,
    command: request.command ?? null,
    checkout: request.checkout,
    timeoutS: request.timeout_s,
    createdAt: event.now,
  }
  event.apply({ kind: 'project.insert', row })
  return { ok: true, value: row }
}

/** Answers with the number of the build; a repetition by its key with that of the first [I2]. */
export function startBuild(event: Event, slug: string, request: CreateBuildRequest, { idempotencyKey, origin }: { readonly idempotencyKey: string | null; readonly origin: string }): Answer<{ readonly project: ProjectRow; readonly number: number }> {
  const named = projectNamed(event, slug)
  if (!named.ok) return named
  const project = named.value
  const key = idempotencyKey === null ? null : `build ${slug} ${idempotencyKey}`
  const asked = JSON.stringify(request)
  const before = key === null ? null : load.dedup(event.on, key)
  if (before !== null) {
    const first = JSON.parse(before) as { number: number; asked: string } // written below
    if (first.asked !== asked) return problem(422, 'idempotency-key-reused', 'The Idempotency-Key was used before', `This Idempotency-Key started build ${first.number} with another body. Use a new key for a new build.`)
    return { ok: true, value: { project, number: first.number } }
  }
  const why = request.command === undefined ? whyNoBuild(project) : null
  if (why !== null) return problem(422, 'command-missing', 'No command', `${why} Give "command" with the build, or set one for the project.`)
  if (!project.checkout && (request.commit !== undefined || request.branch !== undefined)) return problem(422, 'checkout-off', 'The project has no checkout', `Project ${slug} runs without a checkout, so it cannot build a commit or branch. Leave both away.`)
  const number = load.lastBuildNumber(event.on, project.id) + 1
  const opened = openBuild({ project, number, class: classFor(event, request.agents), request, url: buildUrl(origin, slug, number) }, event.now)
  event.apply({ kind: 'build.insert', row: opened.build })
  event.apply({ kind: 'job.insert', row: opened.job })
  if (key !== null) load.dedups.insert(event.on, { key, answer: JSON.stringify({ number, asked }), at: event.now })
  event.effects.push({ kind: 'ring-class', class: opened.job.class, count: 1 })
  return { ok: true, value: { project, number } }
}
