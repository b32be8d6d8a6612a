/** Changes to statements. `Memory` folds the very same changes, in the same transaction. */
import type { Change } from '../core/decision.ts'
import { agents, annotations, artifacts, attempts, builds, edges, facts, gates, heartbeats, jobs, metadata, projects, steps, type Seen } from './load.ts'
import type { Sql } from './sql.ts'

export function apply(on: Sql, change: Change): void {
  switch (change.kind) {
    case 'project.insert':
      return projects.insert(on, change.row)
    case 'build.insert':
      return builds.insert(on, change.row)
    case 'build.set':
      return builds.update(on, { project: change.was.project, number: change.was.number }, change.set)
    case 'step.insert':
      return steps.insert(on, change.row)
    case 'step.set':
      return steps.update(on, { project: change.key.project, build: change.key.build, s: change.key.s }, change.set)
    case 'edge.insert':
      return edges.insert(on, change.row)
    case 'metadata.put':
      return metadata.insert(on, change.row, { orReplace: true })
    case 'gate.put':
      return gates.insert(on, change.row, { orReplace: true })
    case 'annotation.put':
      return annotations.insert(on, change.row, { orReplace: true })
    case 'annotation.delete':
      return annotations.remove(on, 'by key', () => annotations.byKey(), { project: change.key.project, build: change.key.build, n: change.key.n, context: change.key.context })
    case 'artifact.put':
      return artifacts.insert(on, change.row, { orReplace: true })
    case 'job.insert':
      return jobs.insert(on, change.row)
    case 'job.set':
      return jobs.update(on, { project: change.was.project, build: change.was.build, n: change.was.n }, change.set)
    case 'attempt.insert':
      // The same attempt may be lost, re-adopted and lost again: its last end is the one that counts.
      return attempts.insert(on, change.row, { orReplace: true })
    case 'agent.insert':
      return agents.insert(on, change.row)
    case 'agent.set':
      return agents.update(on, { id: change.id }, change.set)
    case 'grace':
      return facts.insert(on, { name: 'grace', value: JSON.stringify(change.grace) }, { orReplace: true })
    default:
      change satisfies never
  }
}

/** One row holds every last-seen time [C7.3]. */
export function flush(on: Sql, seen: Seen): void {
  heartbeats.insert(on, { id: 1, seen: JSON.stringify(seen) }, { orReplace: true })
}
