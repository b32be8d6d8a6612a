import { expect, test } from 'vitest'
import { createHoldings, type Holdings, type LostWhy } from '../../../agent/loop/holdings.ts'
import type { AttemptEnd, StopWhy } from '../../../agent/runner/attempt.ts'
import { spoolResult, type SpooledResult } from '../../../agent/spool/entry.ts'
import type { AttemptId } from '../../../schema/job.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { A, assignmentOf, id, resultOf } from '../../support/spool-bench.ts'

const B = id(2)
const NOTHING: SyncReply = { proto: 1, session: 's', server_time: 0, verdicts: [], directives: [], assignments: [], next_sync_ms: 0, hb_ms: 0, log_ms: 0, watched: [], self_fence_ms: 0, drain: false, held_back: null, need: [] }

interface Life {
  readonly attempt: AttemptId
  readonly slot: number
  readonly stops: (readonly [StopWhy, number | undefined])[]
  end(how: AttemptEnd): Promise<void>
}

/** Holdings over a spool in memory, in which attempts end when the test says so. */
function bench({ lostAtStart = [] as readonly { readonly attempt: AttemptId; readonly why: LostWhy }[], spooled = [] as readonly AttemptId[] } = {}) {
  const pending = new Map<AttemptId, SpooledResult>(spooled.map((attempt) => [attempt, spoolResult(attempt, resultOf())]))
  const lives: Life[] = []
  const settled: (readonly [AttemptId, string])[] = []
  const seen = { givenUp: [] as AttemptId[], watched: [] as AttemptId[], kicks: 0, suspicions: [] as string[], notes: [] as string[] }
  let writing: Promise<void> = Promise.resolve()
  const holdings: Holdings = createHoldings({
    pending: () => [...pending.values()],
    settle: async (attempt, verdict) => {
      await writing
      settled.push([attempt, verdict])
      pending.delete(attempt)
    },
    giveUp: async (attempt) => void seen.givenUp.push(attempt),
    start: ({ attempt }, slot) => {
      const over = Promise.withResolvers<AttemptEnd>()
      const stops: Life['stops'][number][] = []
      const end = async (how: AttemptEnd) => {
        if (how.kind === 'finished') pending.set(attempt, how.result)
        over.resolve(how)
        await over.promise
        await Promise.resolve()
      }
      lives.push({ attempt, slot, stops, end })
      return { attempt, phase: () => 'running', commit: () => null, logBytes: () => 0, onPartition: () => null, stop: (why, graceMs) => void stops.push([why, graceMs]), ended: over.promise }
    },
    watch: (attempt) => void seen.watched.push(attempt),
    kick: () => void (seen.kicks += 1),
    suspect: (why) => void seen.suspicions.push(why),
    note: (text) => void seen.notes.push(text),
  }, lostAtStart)
  const hear = (reply: Partial<SyncReply>, lost: ReturnType<Holdings['lost']> = []) => holdings.heard({ reply: { ...NOTHING, ...reply }, lost })
  const give = (...attempts: readonly AttemptId[]): readonly Life[] => {
    const before = lives.length
    hear({ assignments: attempts.map(assignmentOf) })
    return lives.slice(before)
  }
  const holdDisk = () => {
    const disk = Promise.withResolvers<void>()
    writing = disk.promise
    return disk
  }
  return { holdings, hear, give, seen, settled, holdDisk }
}

const finished = (attempt: AttemptId): AttemptEnd => ({ kind: 'finished', result: spoolResult(attempt, resultOf()) })
const running = (holdings: Holdings) => holdings.running().map(({ attempt }) => attempt)

test('what is given runs in the lowest free slot, and is reported until it ends', async () => {
  const { holdings, give, seen } = bench()
  const [a, b] = give(A, B)
  expect([a?.slot, b?.slot, running(holdings)]).toEqual([0, 1, [A, B]])
  await a?.end(finished(A))
  expect([running(holdings), holdings.pending().map(({ attempt }) => attempt), seen.kicks]).toEqual([[B], [A], 1])
  expect(give(id(3))[0]?.slot).toBe(0)
})

test('what is delivered again is not begun again, be it in hand, ended, judged or lost [C4.8]', async () => {
  const { hear, give, holdDisk } = bench({ lostAtStart: [{ attempt: id(9), why: 'process_restart' }], spooled: [id(8)] })
  const [a] = give(A)
  expect(give(A, id(8), id(9))).toEqual([])
  await a?.end(finished(A))
  expect(give(A)).toEqual([])
  holdDisk()
  hear({ verdicts: [{ attempt: A, verdict: 'accepted' }] })
  expect(give(A)).toEqual([])
})

test('what could not be begun is handed back once, and the machine is in doubt until it has shown better', async () => {
  const { holdings, hear, give, seen } = bench()
  await give(A)[0]?.end({ kind: 'refused', message: 'cannot write its journal: EIO' })
  expect(holdings.lost()).toEqual([{ attempt: A, why: 'handed_back' }])
  expect(seen).toMatchObject({ givenUp: [A], kicks: 1, suspicions: ['cannot write its journal: EIO'], notes: [expect.stringContaining('cannot write its journal: EIO')] })
  hear({}, holdings.lost())
  expect(holdings.lost()).toEqual([])
})

test('what was begun by an earlier boot is lost, and not begun again', async () => {
  const { holdings, give } = bench()
  await give(A)[0]?.end({ kind: 'known' })
  expect([running(holdings), holdings.lost()]).toEqual([[], [{ attempt: A, why: 'process_restart' }]])
})

test.each([['agent_stopping', true], ['self_fence', true], ['abandoned', false], ['superseded', false]] as const)('an attempt that was dropped (%s) leaves nothing in the spool, and is told of where the coordinator does not know', async (why, isTold) => {
  const { holdings, give, seen } = bench()
  await give(A)[0]?.end({ kind: 'dropped', why })
  expect(holdings.lost()).toEqual(isTold ? [{ attempt: A, why: 'agent_stopping' }] : [])
  expect(seen.givenUp).toEqual([A])
})

test('a loss that was not told yet stays to be told', async () => {
  const { holdings, hear, give } = bench({ lostAtStart: [{ attempt: A, why: 'process_restart' }] })
  const told = holdings.lost()
  await give(B)[0]?.end({ kind: 'known' }) // while the sync is on its way
  hear({}, told)
  expect(holdings.lost()).toEqual([{ attempt: B, why: 'process_restart' }])
})

test('a cancel is obeyed once, however often it is said, and told of at once [C13.1]', async () => {
  const { hear, give, seen } = bench()
  const [a, b] = give(A, B)
  const cancel = { directives: [{ attempt: A, directive: 'cancel', grace_ms: 3000 }, { attempt: id(9), directive: 'cancel' }] }
  hear(cancel)
  hear(cancel)
  expect([a?.stops, b?.stops, seen.kicks]).toEqual([[['canceled', 3000]], [], 1])
})

test('what is abandoned ends, and what is not here is nobody\'s error', () => {
  const { hear, give } = bench()
  const [a, b] = give(A, B)
  hear({ directives: [{ attempt: A, directive: 'abandon', grace_ms: 10 }, { attempt: id(9), directive: 'abandon' }] })
  expect([a?.stops, b?.stops]).toEqual([[['abandoned', 10]], []])
})

test('a directive of a later version is passed over, and a person is told [I25]', () => {
  const { hear, give, seen } = bench()
  const [a] = give(A)
  hear({ directives: [{ attempt: A, directive: 'dance', why: 'it is Friday' }] })
  expect([a?.stops, seen.notes]).toEqual([[], [expect.stringMatching(/"dance".*it is Friday/)]])
})

test('a result is sent no more from its verdict on, and again when that could not be written [I5]', async () => {
  const { holdings, hear, holdDisk, settled, seen } = bench({ spooled: [A, B] })
  const first = holdDisk()
  hear({ verdicts: [{ attempt: A, verdict: 'accepted' }] })
  expect(holdings.pending().map(({ attempt }) => attempt)).toEqual([B])
  first.reject(new Error('EIO'))
  await holdings.settled()
  expect(holdings.pending().map(({ attempt }) => attempt)).toEqual([A, B])
  expect(seen.notes).toEqual([expect.stringMatching(/verdict of J1-82-1\.1: EIO/)])
  holdDisk().resolve()
  hear({ verdicts: [{ attempt: A, verdict: 'accepted' }] })
  await holdings.settled()
  expect([holdings.pending().map(({ attempt }) => attempt), settled]).toEqual([[B], [[A, 'accepted']]])
})

test('a verdict of what waits for none changes nothing', async () => {
  const { holdings, hear, give, holdDisk, settled } = bench({ spooled: [B] })
  give(A)
  const disk = holdDisk()
  for (let each = 0; each < 2; each += 1) hear({ verdicts: [{ attempt: A, verdict: 'accepted' }, { attempt: id(9), verdict: 'final' }, { attempt: B, verdict: 'final' }] })
  disk.resolve()
  await holdings.settled()
  expect([running(holdings), settled]).toEqual([[A], [[B, 'final']]])
})

test('a person is told of a conflict alone', async () => {
  const { hear, seen } = bench({ spooled: [A, B] })
  hear({ verdicts: [{ attempt: A, verdict: 'conflict' }, { attempt: B, verdict: 'superseded' }] })
  expect(seen.notes).toEqual([expect.stringContaining(`another result of ${A}`)])
})

test('the logs of what runs here are watched, and no others', () => {
  const { hear, give, seen } = bench()
  give(A)
  hear({ watched: [A, id(9)] })
  expect(seen.watched).toEqual([A])
})

test('behind the closed door nothing begins, and what comes is handed back at once [C14]', () => {
  const { holdings, give, seen } = bench()
  holdings.closeDoor()
  expect([give(A), holdings.lost(), seen.kicks]).toEqual([[], [{ attempt: A, why: 'handed_back' }], 1])
})

test('it is idle when the last build has ended, not the first', async () => {
  const { holdings, give } = bench()
  await holdings.idle()
  const [a, b] = give(A, B)
  let isIdle = false
  const idle = holdings.idle().then(() => (isIdle = true))
  await a?.end(finished(A))
  await new Promise((resolve) => setImmediate(resolve))
  expect([isIdle, holdings.isIdle()]).toEqual([false, false])
  await b?.end(finished(B))
  await idle
  expect(holdings.isIdle()).toBe(true)
})

test('all are ended, or those that are asked for', () => {
  const { holdings, give } = bench()
  const [a, b] = give(A, B)
  holdings.stop('self_fence', { graceMs: 5, only: ({ attempt }) => attempt === B })
  holdings.stop('superseded')
  expect([a?.stops, b?.stops]).toEqual([[['superseded', undefined]], [['self_fence', 5], ['superseded', undefined]]])
})
