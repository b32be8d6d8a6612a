/** Why jobs stand before the gates of their concurrency groups. Reads only: each gate once, however many jobs of a build stand there. */
import type { Waiting } from '../../schema/api.ts'
import type { JobRow } from '../core/decision.ts'
import { isHeld, TURNS } from '../core/gate.ts'
import { whyGated } from '../core/waiting.ts'
import * as load from './load.ts'
import { readSteps, whyStepWaits, type StepsOfBuild } from './read-steps.ts'
import type { Memory } from './memory.ts'
import type { Sql } from './sql.ts'

/** Of those inside a gate, how many are looked at for their builds. */
const LOOKED_AT = 50

interface Found {
  readonly name: string
  readonly most: number
  readonly inside: number
  readonly some: readonly JobRow[]
  readonly holder: { readonly job: JobRow; readonly why: string } | null
}

/** For one view. */
export class Gates {
  readonly #on: Sql
  readonly #memory: Memory
  readonly #found = new Map<number, Found | null>()
  /** By build: many gates may be held by one. */
  readonly #steps = new Map<string, StepsOfBuild>()

  constructor({ on, memory }: { readonly on: Sql; readonly memory: Memory }) {
    this.#on = on
    this.#memory = memory
  }

  /** `job` stands before a gate. */
  why(job: JobRow): Waiting {
    const found = job.gate === null ? null : this.#of(job.gate)
    if (found === null) throw new Error(`job ${job.n} of build ${job.build} stands before a gate that is not there`)
    const { name, most, inside, some, holder } = found
    const builds = [...new Set(some.map((other) => this.#build(other, job)))]
    return whyGated({ name, most, inside, builds, holder: holder !== null && isHeld(job, holder.job) ? { build: this.#build(holder.job, job), why: holder.why } : null })
  }

  #of(id: number): Found | null {
    const known = this.#found.get(id)
    if (known !== undefined) return known
    const gate = load.gate(this.#on, id)
    const found = gate && { ...gate, inside: load.countInside(this.#on, id), some: load.jobsInside(this.#on, id, LOOKED_AT), holder: this.#holder(id) }
    this.#found.set(id, found)
    return found
  }

  #holder(gate: number): Found['holder'] {
    const [job] = load.firstBefore(this.#on, { gate, state: 'waiting', kind: TURNS.ordered }, 1)
    return job === undefined ? null : { job, why: whyStepWaits(this.#stepsOf(job), job.step).reason }
  }

  #stepsOf({ project, build }: JobRow): StepsOfBuild {
    const id = `${project}-${build}`
    const steps = this.#steps.get(id) ?? readSteps(this.#on, { project, number: build }, this.#memory.projects)
    this.#steps.set(id, steps)
    return steps
  }

  /** Null: it is the job's own. */
  #build(other: JobRow, own: JobRow): string | null {
    if (other.project === own.project && other.build === own.build) return null
    return `${this.#memory.projects.get(other.project)?.slug ?? other.project}#${other.build}`
  }
}
