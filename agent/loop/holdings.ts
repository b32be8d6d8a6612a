/**
 * What this agent holds, and how a reply changes it: attempts in slots, results that wait for their verdict, attempts to
 * say are lost. The sync reports it; the reply's verdicts, directives and assignments come back here.
 *
 * Nothing here waits: an assignment starts its life and a verdict its write, and the loop goes on. And only a verdict (or
 * `abandon`, which says as much) ends a result's stay [I5].
 */
import type { AttemptId } from '../../schema/job.ts'
import type { Assignment, SyncReply, SyncRequest, Verdict } from '../../schema/sync.ts'
import type { AttemptEnd, RunningAttempt, StopWhy } from '../runner/attempt.ts'
import type { SpooledResult } from '../spool/results.ts'

export type LostWhy = SyncRequest['lost'][number]['why']

export interface HoldingsParts {
  /** The results without a durable verdict, oldest first. */
  pending(): readonly SpooledResult[]
  settle(attempt: AttemptId, verdict: Verdict): Promise<void>
  /** There will be no result of it. */
  giveUp(attempt: AttemptId): Promise<void>
  /** Begins an attempt's life in a slot. */
  start(assignment: Assignment, slot: number): RunningAttempt
  /** Somebody watches this attempt's log. */
  watch(attempt: AttemptId): void
  /** Something to tell the coordinator at once. */
  kick(): void
  /** An attempt could not be begun for a reason that the next one would meet too. */
  suspect(why: string): void
  /** A build begins or ends, or something odd happens: for the terminal. */
  note(text: string): void
}

export interface Holdings {
  running(): SyncRequest['running']
  pending(): readonly SpooledResult[]
  lost(): SyncRequest['lost']
  heard(heard: { readonly reply: SyncReply; readonly lost: SyncRequest['lost'] }): void
  /** From now on assignments are handed back [C14]. */
  closeDoor(): void
  /** Ends what runs; `only` leaves others alone. */
  stop(why: Exclude<StopWhy, 'canceled' | 'abandoned'>, options?: { readonly graceMs?: number; readonly only?: (attempt: RunningAttempt) => boolean }): void
  isIdle(): boolean
  /** Resolves when nothing runs any more. */
  idle(): Promise<void>
  /** Resolves when every verdict that was heard is on the disk. */
  settled(): Promise<void>
}

export function createHoldings(parts: HoldingsParts, lostAtStart: readonly { readonly attempt: AttemptId; readonly why: LostWhy }[]): Holdings {
  const attempts = new Map<AttemptId, { readonly life: RunningAttempt; readonly slot: number }>()
  const lost = new Map<AttemptId, LostWhy>(lostAtStart.map(({ attempt, why }) => [attempt, why]))
  /** Heard, and on their way to the disk. */
  const judged = new Map<AttemptId, Promise<void>>()
  const waiting: (() => void)[] = []
  const canceled = new Set<AttemptId>()
  let isClosed = false

  const pending = () => (judged.size === 0 ? parts.pending() : parts.pending().filter(({ attempt }) => !judged.has(attempt)))

  function take(assignment: Assignment): void {
    const { attempt } = assignment
    // A redelivery of what is in hand [C4.8], or of what the next sync will say is lost.
    if (attempts.has(attempt) || lost.has(attempt) || judged.has(attempt) || parts.pending().some((result) => result.attempt === attempt)) return
    if (isClosed) {
      lost.set(attempt, 'handed_back')
      return parts.kick()
    }
    const slot = freeSlot()
    const life = parts.start(assignment, slot)
    attempts.set(attempt, { life, slot })
    void life.ended.then((end) => leave(attempt, end))
  }

  /** The lowest free number. It may exceed the slots while an abandoned build is still being killed in its own. */
  function freeSlot(): number {
    const taken = new Set([...attempts.values()].map(({ slot }) => slot))
    for (let slot = 0; ; slot += 1) if (!taken.has(slot)) return slot
  }

  function leave(attempt: AttemptId, end: AttemptEnd): void {
    attempts.delete(attempt)
    canceled.delete(attempt)
    switch (end.kind) {
      case 'finished':
        break // the spool has it: `pending` names it from here on
      case 'known':
        lost.set(attempt, 'process_restart')
        break
      case 'refused':
        parts.note(`hands ${attempt} back: ${end.message}`)
        parts.suspect(end.message) // or it would be given the same job again at once, and hand it back, for ever
        lost.set(attempt, 'handed_back')
        void parts.giveUp(attempt)
        break
      case 'dropped':
        // Abandoned: the coordinator knows already. Superseded: it is the other process's to tell.
        if (end.why === 'agent_stopping' || end.why === 'self_fence') lost.set(attempt, 'agent_stopping')
        void parts.giveUp(attempt)
        break
      default:
        end satisfies never
    }
    parts.kick()
    if (attempts.size === 0) for (const resolve of waiting.splice(0)) resolve()
  }

  function settle(attempt: AttemptId, verdict: Verdict): void {
    const write = parts.settle(attempt, verdict).then(
      () => void judged.delete(attempt),
      (error: unknown) => {
        judged.delete(attempt) // it is sent again, and accepted again [I2]
        parts.note(`cannot write the verdict of ${attempt}: ${error instanceof Error ? error.message : String(error)}`)
      },
    )
    judged.set(attempt, write)
  }

  function direct({ attempt, directive, grace_ms: graceMs, why }: SyncReply['directives'][number]): void {
    const held = attempts.get(attempt)
    if (directive === 'cancel') {
      if (held === undefined || canceled.has(attempt)) return // repeated until it is finished [C13.1]
      canceled.add(attempt)
      held.life.stop('canceled', graceMs)
      parts.kick()
    } else if (directive === 'abandon') held?.life.stop('abandoned', graceMs)
    else parts.note(`ignores "${directive}" for ${attempt}${why === undefined ? '' : ` (${why})`}: this version does not know it`) // [I25]
  }

  return {
    running: () => [...attempts.values()].map(({ life }) => ({ attempt: life.attempt, phase: life.phase(), commit: life.commit(), log_bytes: life.logBytes() })),
    pending,
    lost: () => [...lost].map(([attempt, why]) => ({ attempt, why })),
    heard: ({ reply, lost: told }) => {
      for (const { attempt } of told) lost.delete(attempt)
      // Assignments first: between a finish and the next start there is nothing but the journal [C15].
      for (const assignment of reply.assignments) take(assignment)
      for (const { attempt, verdict } of reply.verdicts) {
        if (!pending().some((result) => result.attempt === attempt)) continue
        if (verdict === 'conflict') parts.note(`the coordinator has another result of ${attempt}; this one is kept under rejected/. Please report it`)
        settle(attempt, verdict)
      }
      for (const directive of reply.directives) direct(directive)
      for (const attempt of reply.watched) if (attempts.has(attempt)) parts.watch(attempt)
    },
    closeDoor: () => {
      isClosed = true
    },
    stop: (why, { graceMs, only = () => true } = {}) => {
      for (const { life } of attempts.values()) if (only(life)) life.stop(why, graceMs)
    },
    isIdle: () => attempts.size === 0,
    idle: () => (attempts.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    settled: async () => {
      await Promise.all(judged.values())
    },
  }
}
