/** Why a job is not running, as a code and a sentence for whoever asks. */
import type { Waiting } from '../../schema/api.ts'
import { canRun, inWords, type Offered } from './matching.ts'

export interface AgentSeen {
  readonly name: string
  readonly offer: Offered
  readonly online: boolean
  readonly slots: number
  readonly held: number
  /** A sentence when it takes no work. */
  readonly unfit: string | null
}

/** `ahead`: queued jobs of the same class before this one. */
export function whyQueued(requirement: Offered, agents: readonly AgentSeen[], ahead: number): Waiting {
  const able = agents.filter((agent) => canRun(agent.offer, requirement))
  if (able.length === 0) return { code: 'no_agent', reason: noneMatches(requirement, agents) }
  const online = able.filter((agent) => agent.online)
  if (online.length === 0) return { code: 'no_agent_online', reason: `${count(able.length, 'agent matches', 'agents match')} (${names(able)}), none online` }
  const fit = online.filter((agent) => agent.unfit === null)
  if (fit.length === 0) {
    const first = online[0]
    return { code: 'agents_held_back', reason: `${count(online.length, 'agent matches', 'agents match')}, none takes work: ${first?.name}: ${first?.unfit}` }
  }
  const free = fit.filter((agent) => agent.held < agent.slots)
  if (free.length === 0) return { code: 'agents_busy', reason: `${count(fit.length, 'agent matches and is busy', 'agents match, all busy')}; ${place(ahead)} in line` }
  return { code: 'next_in_line', reason: `${place(ahead)} in line; ${free[0]?.name} will take it at its next sync` }
}

/** A concurrency group as a job that stands before its gate sees it. */
export interface GateSeen {
  readonly name: string
  readonly most: number
  /** How many jobs are in the queue or in agents' hands. */
  readonly inside: number
  /** Builds of those, such as `web#41`, once each; null: the job's own. */
  readonly builds: readonly (string | null)[]
  /** The first in the line that is not ready, where the job stands behind it, and what it waits for, such as `waits for "Test"`. */
  readonly holder: { readonly build: string | null; readonly why: string } | null
}

/** How many builds a sentence names. */
const NAMED = 3

export function whyGated({ name, most, inside, builds, holder }: GateSeen): Waiting {
  const group = `concurrency group ${name}`
  const after = holder === null ? '' : `its turn comes after ${holder.build ?? 'another job of this build'}, which ${holder.why}`
  if (inside < most && after !== '') return { code: 'concurrency', reason: `${group}: ${after}` }
  const named = builds.slice(0, NAMED).map((build) => build ?? 'this build')
  const more = builds.length - named.length
  return { code: 'concurrency', reason: `${group} is full (${inside} of ${most}): held by ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}${after === '' ? '' : `; ${after}`}` }
}

function noneMatches(requirement: Offered, agents: readonly AgentSeen[]): string {
  if (agents.length === 0) return 'no agent has joined yet; start one with: npx kedge agent'
  const ofQueue = agents.filter((agent) => agent.offer.queue === requirement.queue)
  if (ofQueue.length === 0) return `no agent serves the queue ${requirement.queue}; there are agents for: ${[...new Set(agents.map((agent) => agent.offer.queue))].join(', ')}`
  const missing = requirement.tags.filter((tag) => !ofQueue.some((agent) => agent.offer.tags.includes(tag)))
  return missing.length > 0 ? `no agent of the queue ${requirement.queue} has the tag ${missing.join(' or ')}` : `no single agent offers all of ${inWords(requirement)}`
}

function names(agents: readonly AgentSeen[]): string {
  const few = agents.slice(0, 3).map((agent) => agent.name)
  return agents.length > few.length ? `${few.join(', ')} and ${agents.length - few.length} more` : few.join(', ')
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}

function place(ahead: number): string {
  if (ahead === 0) return 'next'
  const n = ahead + 1
  const ending = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')
  return `${n}${ending}`
}
