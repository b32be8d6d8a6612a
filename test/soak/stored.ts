/** What the coordinator has on its disk in the end, read past it: rows are what counts, whatever anybody heard. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

const jobRow = z.object({ project: z.string(), build: z.number(), n: z.number(), id: z.string(), state: z.string(), fence: z.number(), hasResult: z.number(), spec: z.string() })
const lostRow = z.object({ job: z.string(), fence: z.number(), agent: z.string(), assignedAt: z.number(), endedAt: z.number(), detail: z.string() })

export interface StoredJob {
  readonly queue: string
  readonly build: number
  readonly id: string
  readonly state: string
  readonly fence: number
  /** Its state is that of an accepted result. */
  readonly hasResult: boolean
  readonly command: string
}

export interface LostAttempt {
  readonly job: string
  readonly fence: number
  readonly agent: string
  /** Milliseconds since 1970. */
  readonly assignedAt: number
  readonly endedAt: number
  readonly why: string
}

export interface Stored {
  readonly jobs: readonly StoredJob[]
  readonly lost: readonly LostAttempt[]
}

/** `state`: the folder of a coordinator that has stopped. */
export function readStored(state: string): Stored {
  const folder = join(state, 'coordinator/do/kedge-Scheduler')
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.sqlite') && name !== 'metadata.sqlite') : []
  const [name] = names
  if (name === undefined || names.length > 1) throw new Error(`expected one database of a Scheduler in ${folder}, and there are ${names.length}`)
  const database = new DatabaseSync(join(folder, name))
  try {
    const jobs = z.array(jobRow).parse(database.prepare(`select p.slug as project, j.build, j.n, 'J' || j.project || '-' || j.build || '-' || j.n as id, j.state, j.fence, j.digest is not null as hasResult, j.spec from job j join project p on p.id = j.project`).all())
    const lost = z.array(lostRow).parse(database.prepare(`select 'J' || project || '-' || build || '-' || n as job, fence, agent, assigned_at as assignedAt, ended_at as endedAt, detail from attempt`).all())
    return {
      jobs: jobs.map(({ project, spec, hasResult, ...job }) => ({ ...job, queue: project, hasResult: hasResult === 1, command: (JSON.parse(spec) as { command: string }).command })), // written by `openBuild`
      lost: lost.map(({ detail, ...attempt }) => ({ ...attempt, why: (JSON.parse(detail) as { code: string }).code })), // written by `lose`
    }
  } finally {
    database.close()
  }
}
