/**
 * Concurrency groups: how many of a group's jobs may be in the queue or in agents' hands at once, over all builds of the
 * cluster, and who is next. A job that becomes ready stands before its group's gate (`gated`); one rule lets it in
 * (`letIn`), whoever made room. What a job has by then it keeps: a lost attempt gives no place away, nor does a retry
 * by a rule.
 *
 * Where a job stands is its `turn`, a text that sorts so. Ordered jobs stand by the age of their build and, within it, as
 * their steps do; one that is not ready yet holds those behind it, as the closing of a gate must. That cannot go round in
 * a circle, because only those wait in the line whose every dependency was uploaded with them and stands before them; all
 * others, those behind a question to a person among them, join it when they are ready.
 */
import { isFinal } from '../../schema/job.ts'
import type { Concurrency } from '../../schema/pipeline/steps.ts'
import type { BuildRow, Change, JobRow } from './decision.ts'

/** How turns begin. Those of one kind are one range of the index `job_gate`. */
export const TURNS = {
  /** In the line, ready or not. */
  ordered: 'o',
  /** Ordered, and not in the line before it is ready. */
  aside: 'a',
  /** In no line: any free place is for it. */
  eager: 'e',
} as const

export interface Standing {
  readonly method: Concurrency['method']
  /** It holds those behind it before it is ready. */
  readonly holds: boolean
  readonly build: Pick<BuildRow, 'createdAt' | 'project' | 'number'>
  /** Of its step. */
  readonly place: string
  /** Of the job in the queue. */
  readonly ord: number
}

export function turnOf({ method, holds, build, place, ord }: Standing): string {
  if (method === 'eager') return eagerTurn(ord)
  const key = `${digits(build.createdAt, 14)} ${build.project}-${build.number} ${place}`
  return holds ? `${TURNS.ordered}${key}` : `${TURNS.aside}${key}${LATE}`
}

/** The turn of a job that gets another place in the queue: only eager jobs go by that. */
export function turnAfter(turn: string | null, ord: number): string | null {
  return turn?.startsWith(TURNS.eager) === true ? eagerTurn(ord) : turn
}

function eagerTurn(ord: number): string {
  return `${TURNS.eager}${digits(ord, 16)}`
}

/** How turns end of jobs that are not in the line before they are ready. */
const LATE = ' late'

/** So that text sorts as numbers do. */
function digits(n: number, count: number): string {
  return String(n).padStart(count, '0')
}

/** What becomes of a job that waits for no other any more: it joins the queue, or stands before the gate of its group. */
export function joinQueue({ turn }: Pick<JobRow, 'turn'>): { readonly state: 'queued' } | { readonly state: 'gated'; readonly turn: string } {
  if (turn === null) return { state: 'queued' }
  return { state: 'gated', turn: turn.startsWith(TURNS.aside) ? `${TURNS.ordered}${turn.slice(TURNS.aside.length)}` : turn }
}

/** The same of one that is tried again once others are, and waits for those. */
export function waitAgain({ turn }: Pick<JobRow, 'turn'>): { readonly state: 'waiting'; readonly turn: string | null } {
  return { state: 'waiting', turn: turn?.endsWith(LATE) === true ? `${TURNS.aside}${turn.slice(TURNS.aside.length)}` : turn }
}

/** Before one gate. */
export interface Line {
  readonly free: number
  /** The first ordered job that is not ready: nobody of the line passes it. */
  readonly holder: Pick<JobRow, 'turn'> | null
  /** Ordered jobs that are ready, by their turns: the first ones, as many as are free or all. */
  readonly ordered: readonly JobRow[]
  /** The same of eager ones. */
  readonly eager: readonly JobRow[]
}

/** Who is let in, in this order. Between the two kinds the better place in the queue decides. */
export function letIn({ free, holder, ordered, eager }: Line): readonly JobRow[] {
  const held = ordered.findIndex((job) => isHeld(job, holder))
  const lines = [held === -1 ? [...ordered] : ordered.slice(0, held), [...eager]]
  const chosen: JobRow[] = []
  while (chosen.length < free) {
    const [line] = lines.filter(([head]) => head !== undefined).sort(([a], [b]) => (a?.ord ?? 0) - (b?.ord ?? 0))
    const job = line?.shift()
    if (job === undefined) break
    chosen.push(job)
  }
  return chosen
}

/** Whether an ordered job stands behind one that is not ready. */
export function isHeld({ turn }: Pick<JobRow, 'turn'>, holder: Pick<JobRow, 'turn'> | null): boolean {
  return turn?.startsWith(TURNS.ordered) === true && holder !== null && (holder.turn ?? '') < turn
}

/** The gate at which somebody may be let in after this change: a job of it stands before it, or has left it for good. */
export function concernedGate(change: Change): number | null {
  switch (change.kind) {
    case 'gate.put':
      return change.row.id
    case 'job.insert':
      return change.row.state === 'gated' ? change.row.gate : null
    case 'job.set':
      return change.set.state === 'gated' || (change.set.state !== undefined && isFinal(change.set.state)) ? change.was.gate : null
    default:
      return null
  }
}
