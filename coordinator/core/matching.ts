/**
 * Which agents can run which jobs. Jobs with the same requirement share a class, so an agent is matched against a few
 * classes instead of against every job.
 */
import type { ClassRow } from './decision.ts'

export interface Offered {
  readonly queue: string
  readonly tags: readonly string[]
}

/** An agent can run a class when it serves its queue and offers each of its tags. */
export function canRun(offer: Offered, requirement: Offered): boolean {
  return offer.queue === requirement.queue && requirement.tags.every((tag) => offer.tags.includes(tag))
}

export function classesOf(offer: Offered, classes: Iterable<ClassRow>): readonly number[] {
  const served: number[] = []
  for (const row of classes) if (canRun(offer, row)) served.push(row.id)
  return served
}

/** One spelling for one requirement: queue as written, tags sorted and once each. */
export function normalised(requirement: Offered): Offered {
  return { queue: requirement.queue, tags: [...new Set(requirement.tags)].sort() }
}

/** Equal for agents that can run exactly the same jobs. */
export function offerKey(offer: Offered): string {
  return JSON.stringify([offer.queue, [...offer.tags].sort()])
}

/** The requirement in words: `queue default, tags os=mac, gpu=a100`. */
export function inWords(requirement: Offered): string {
  const tags = requirement.tags.length === 0 ? '' : `, tag${requirement.tags.length > 1 ? 's' : ''} ${requirement.tags.join(', ')}`
  return `queue ${requirement.queue}${tags}`
}
