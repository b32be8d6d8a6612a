/**
 * What is due to be told to others, and is not being told already: one thing at a time of each build, so that states
 * cannot overtake each other, and few at a time of all. Who is under way is forgotten with the object, and so is the
 * request; what is due is in the rows, so it is told again.
 */
import { NOT_YET, type BuildRow, type Notice, type ProjectRow, type StepRow } from '../core/decision.ts'
import { isDue, isReady } from '../core/notify.ts'
import type { StoredSpec } from '../core/plan.ts'
import * as load from '../store/load.ts'
import { buildName, type Memory } from '../store/memory.ts'
import type { Sql } from '../store/sql.ts'

/** One thing that is to be told, with all that a message about it says. */
export interface Delivery {
  readonly build: BuildRow
  readonly project: ProjectRow
  /** Of a notice about a step. */
  readonly step: StepRow | null
  readonly notice: Notice
  /** Which of the build's notices it is. */
  readonly at: number
  /** What `notice` is to say. */
  readonly word: string
  /** The page of the build. */
  readonly url: string
}

/** The platform lets an object have six connections under way. */
const AT_ONCE = 4
/** Longer than any try lasts (`courier.ts`). */
const UNDER_WAY_MS = 30_000

export class Deliveries {
  /** By build: until when a try may be under way. */
  readonly #underWay = new Map<string, number>()

  /** The next instant at which something is to be done, or null. Whoever follows an event tells by itself what is due at its `now`; null: nobody does. */
  next(memory: Memory, now: number | null): number | null {
    let earliest: number | null = null
    const isFull = this.#underWay.size >= AT_ONCE
    for (const [name, { at }] of memory.toTell) {
      if (at === NOT_YET) continue
      const underWay = this.#underWay.get(name)
      if (isFull && underWay === undefined) continue
      const then = underWay ?? (now !== null && isDue(at, now) ? now + UNDER_WAY_MS : at)
      if (earliest === null || then < earliest) earliest = then
    }
    return earliest
  }

  /** These are under way from now on, until `ended`. */
  begin(on: Sql, memory: Memory, now: number): readonly Delivery[] {
    for (const [name, until] of this.#underWay) if (until <= now) this.#underWay.delete(name) // its end was never heard of
    const begun: Delivery[] = []
    for (const [name, { project, number, at }] of memory.toTell) {
      if (this.#underWay.size >= AT_ONCE) break
      if (!isDue(at, now) || this.#underWay.has(name)) continue
      const delivery = deliveryOf(on, memory, { project, number }, now)
      this.#underWay.set(name, now + UNDER_WAY_MS) // also of one that there is nothing to tell of: it must not be looked at for ever
      if (delivery !== null) begun.push(delivery)
    }
    return begun
  }

  ended({ build }: Pick<Delivery, 'build'>): void {
    this.#underWay.delete(buildName(build))
  }
}

function deliveryOf(on: Sql, memory: Memory, key: Pick<BuildRow, 'project' | 'number'>, now: number): Delivery | null {
  const build = load.build(on, key.project, key.number)
  const project = memory.projects.get(key.project)
  const first = load.job(on, { project: key.project, build: key.number, n: 1 })
  const due = [...(build?.notify ?? []).entries()].filter(([, notice]) => build !== null && isReady(notice, build) && isDue(notice.at, now)).sort(([, a], [, b]) => a.at - b.at)[0]
  if (build === null || project === undefined || first === null || due === undefined) return null
  const [at, notice] = due
  const { url } = JSON.parse(first.spec) as StoredSpec // written by `openBuild`
  const step = notice.s === 0 ? null : load.step(on, { project: key.project, build: key.number, s: notice.s })
  return notice.wanted === null ? null : { build, project, step, notice, at, word: notice.wanted, url }
}
