/** The gates of concurrency groups: their limits, and who is let in once an event has done what it came for. */
import type { Concurrency } from '../../schema/pipeline/steps.ts'
import type { JobRow } from '../core/decision.ts'
import { letIn, TURNS } from '../core/gate.ts'
import * as load from '../store/load.ts'
import type { Event } from './event.ts'

/** The gates of groups by their names, made when an upload is the first to name them. The limits are those of this upload from now on, for all jobs: where it names several for one group, the least. */
export function gatesFor(event: Event, named: readonly Concurrency[]): ReadonlyMap<string, number> {
  const most = new Map<string, number>()
  for (const { group, limit } of named) most.set(group, Math.min(limit, most.get(group) ?? limit))
  return new Map([...most].map(([group, limit]) => [group, gateFor(event, group, limit)]))
}

/** A gate stays when nobody stands before it any more: a person may retry a job of it, which comes with no upload and so with no limit. */
function gateFor(event: Event, name: string, most: number): number {
  const known = load.gateNamed(event.on, name)
  const id = known?.id ?? load.lastGate(event.on) + 1
  if (known?.most !== most) event.apply({ kind: 'gate.put', row: { id, name, most } })
  return id
}

/**
 * Lets in whoever may go at the gates that this event concerned. Call it when all rows are as the event leaves them, and
 * before anything looks for jobs in the queue; calling it again costs nothing.
 */
export function openGates(event: Event): void {
  for (const id of event.gates) {
    event.gates.delete(id)
    const gate = load.gate(event.on, id)
    if (gate === null) continue
    let free = gate.most - load.countInside(event.on, id)
    if (free <= 0) continue
    const holder = load.firstBefore(event.on, { gate: id, state: 'waiting', kind: TURNS.ordered }, 1)[0] ?? null
    for (let chosen = choose(event, id, { free, holder }); chosen.length > 0; chosen = choose(event, id, { free, holder })) {
      for (const job of chosen) {
        event.apply({ kind: 'job.set', was: job, set: { state: 'queued' } })
        event.effects.push({ kind: 'ring-class', class: job.class, count: 1 })
      }
      free -= chosen.length
    }
  }
}

function choose({ on }: Event, gate: number, { free, holder }: { readonly free: number; readonly holder: JobRow | null }): readonly JobRow[] {
  if (free <= 0) return []
  const limit = limitFor(free)
  const first = (kind: string) => load.firstBefore(on, { gate, state: 'gated', kind }, limit)
  return letIn({ free: Math.min(free, limit), holder, ordered: first(TURNS.ordered), eager: first(TURNS.eager) })
}

/** Few distinct limits, so that few distinct statements are prepared. */
function limitFor(free: number): number {
  return free === 1 ? 1 : free <= 16 ? 16 : 256
}
