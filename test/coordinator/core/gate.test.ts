import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JobRow } from '../../../coordinator/core/decision.ts'
import { concernedGate, isHeld, joinQueue, letIn, TURNS, turnOf, waitAgain } from '../../../coordinator/core/gate.ts'
import { blankJob, order } from '../../../coordinator/core/plan.ts'
import { whyGated } from '../../../coordinator/core/waiting.ts'

const NOW = 1_800_000_000_000
const standing = { method: 'ordered', holds: true, build: { createdAt: NOW, project: 1, number: 41 }, place: '0001/9999.0003', ord: order(0, NOW) } as const

function job(over: Partial<JobRow>): JobRow {
  return { ...blankJob(NOW), project: 1, build: 1, n: 1, class: 1, ord: order(0, NOW), priority: 0, spec: '{}', state: 'gated', gate: 1, turn: turnOf(standing), ...over }
}

describe('a turn', () => {
  it('is earlier of an older build, and within a build of the step that stands before', () => {
    const turns = [
      turnOf({ ...standing, build: { createdAt: 999, project: 9, number: 9 } }),
      turnOf({ ...standing, build: { ...standing.build, createdAt: NOW - 1 }, place: '0001/9999.0900' }),
      turnOf({ ...standing, place: '0001/9999.0003' }),
      turnOf({ ...standing, place: '0001/9999.0003/9999.0001' }), // uploaded by that one
      turnOf({ ...standing, place: '0001/9999.0004' }),
      turnOf({ ...standing, place: '0001/9999.0010.0002' }), // in a group of steps
      turnOf({ ...standing, build: { ...standing.build, createdAt: NOW + 1 }, place: '0001' }),
    ]
    expect(turns.toSorted()).toEqual(turns)
    expect(new Set(turns).size).toBe(turns.length)
  })

  it('of an eager job is earlier with a greater priority, then with age', () => {
    const turns = [order(1000, NOW), order(1, NOW + 5), order(0, NOW - 1), order(0, NOW), order(-1000, 0)].map((ord) => turnOf({ ...standing, method: 'eager', ord }))
    expect(turns.toSorted()).toEqual(turns)
  })

  it('of a job that may not hold others is in the line from when it is ready', () => {
    const aside = turnOf({ ...standing, holds: false })
    expect(aside.startsWith(TURNS.aside)).toBe(true)
    const late = joinQueue({ turn: aside })
    const [before, behind] = [turnOf(standing), turnOf({ ...standing, place: `${standing.place}/9999.0001` })]
    expect(late.state === 'gated' && [late.turn, behind, before].toSorted()).toEqual([before, late.state === 'gated' && late.turn, behind])
    expect(joinQueue({ turn: turnOf(standing) })).toEqual({ state: 'gated', turn: turnOf(standing) })
  })
})

it('a job that waits again for others that are tried again stands as it did at first', () => {
  for (const holds of [true, false]) {
    const turn = turnOf({ ...standing, holds })
    expect(waitAgain({ ...job({}), ...joinQueue({ turn }) })).toEqual({ state: 'waiting', turn })
    expect(waitAgain({ turn })).toEqual({ state: 'waiting', turn })
  }
  const eager = turnOf({ ...standing, method: 'eager' })
  expect(waitAgain({ turn: eager })).toEqual({ state: 'waiting', turn: eager })
  expect(waitAgain({ turn: null })).toEqual({ state: 'waiting', turn: null })
})

it('a job without a group joins the queue at once', () => {
  expect(joinQueue({ turn: null })).toEqual({ state: 'queued' })
})

const places = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 20 })
const lines = fc.record({
  free: fc.integer({ min: 0, max: 12 }),
  holder: fc.option(fc.integer({ min: 1, max: 60 })),
  ordered: places,
  eager: fc.uniqueArray(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: 1, max: 60 })), { maxLength: 20 }),
})

/** Of a build that is so many ms younger than the first. */
const ordered = (age: number): JobRow => job({ build: age, ord: order(0, NOW + age), turn: turnOf({ ...standing, build: { createdAt: NOW + age, project: 1, number: age } }) })
const eager = (priority: number, age: number): JobRow => job({ build: 100 + age, ord: order(priority, NOW + age), turn: turnOf({ ...standing, method: 'eager', ord: order(priority, NOW + age) }) })
const byTurn = (jobs: readonly JobRow[]) => jobs.toSorted((a, b) => ((a.turn ?? '') < (b.turn ?? '') ? -1 : 1))
const lineOf = ({ free, holder, ordered: ages, eager: ones }: { free: number; holder: number | null; ordered: number[]; eager: [number, number][] }) => ({
  free,
  holder: holder === null ? null : ordered(holder),
  ordered: byTurn(ages.filter((age) => age !== holder).map(ordered)),
  eager: byTurn(ones.map(([priority, age]) => eager(priority, age))),
})

describe('whom a gate lets in', () => {
  const check = (holds: (line: ReturnType<typeof lineOf>, chosen: readonly JobRow[]) => void) => fc.assert(fc.property(lines, (drawn) => {
    const line = lineOf(drawn)
    holds(line, letIn(line))
  }))

  it('is never more than are free, and nobody twice', () => check(({ free }, chosen) => {
    expect(chosen.length).toBeLessThanOrEqual(free)
    expect(new Set(chosen).size).toBe(chosen.length)
  }))

  it('leaves no place free that somebody may have', () => check(({ free, holder, ordered: all, eager: others }, chosen) => {
    const may = [...all.filter((one) => !isHeld(one, holder)), ...others]
    expect(chosen).toHaveLength(Math.min(free, may.length))
  }))

  it('is of the ordered ones who stands first, and nobody behind one that is not ready', () => check(({ holder, ordered: all }, chosen) => {
    const admitted = chosen.filter(({ turn }) => turn?.startsWith(TURNS.ordered))
    expect(admitted).toEqual(all.slice(0, admitted.length))
    for (const { turn } of admitted) expect(holder === null || (turn ?? '') < (holder.turn ?? '')).toBe(true)
  }))

  it('is of the eager ones who stands first, whoever is held', () => check((line, chosen) => {
    const admitted = chosen.filter(({ turn }) => turn?.startsWith(TURNS.eager))
    expect(admitted).toEqual(line.eager.slice(0, admitted.length))
    if (line.ordered.every((one) => isHeld(one, line.holder))) expect(admitted).toHaveLength(Math.min(line.free, line.eager.length))
  }))

  it('is between the kinds whoever is before the other in the queue', () => {
    expect(letIn({ free: 1, holder: null, ordered: [ordered(30)], eager: [eager(0, 10)] })).toEqual([eager(0, 10)])
    expect(letIn({ free: 1, holder: null, ordered: [ordered(30)], eager: [eager(0, 40)] })).toEqual([ordered(30)])
    expect(letIn({ free: 1, holder: null, ordered: [ordered(30)], eager: [eager(1, 40)] })).toEqual([eager(1, 40)])
  })
})

describe('a gate is concerned', () => {
  const was = job({ state: 'live', gate: 7 })
  it.each(['passed', 'failed', 'timed_out', 'canceled', 'skipped', 'broken', 'errored'] as const)('when a job of its group is %s', (state) => {
    expect(concernedGate({ kind: 'job.set', was, set: { state } })).toBe(7)
  })

  it('when a job stands before it, also a new one, and when its limit changes', () => {
    expect(concernedGate({ kind: 'job.set', was: job({ state: 'waiting', gate: 7 }), set: { state: 'gated' } })).toBe(7)
    expect(concernedGate({ kind: 'job.insert', row: job({ gate: 7 }) })).toBe(7)
    expect(concernedGate({ kind: 'gate.put', row: { id: 7, name: 'g', most: 2 } })).toBe(7)
  })

  it('by nothing else', () => {
    expect(concernedGate({ kind: 'job.set', was, set: { state: 'queued' } })).toBeNull()
    expect(concernedGate({ kind: 'job.set', was, set: { cancel: true } })).toBeNull()
    expect(concernedGate({ kind: 'job.set', was: job({ gate: null }), set: { state: 'passed' } })).toBeNull()
    expect(concernedGate({ kind: 'job.insert', row: job({ state: 'waiting', gate: 7 }) })).toBeNull()
  })
})

describe('why a job stands before a gate', () => {
  const seen = { name: 'deploy/prod', most: 1, inside: 1, builds: ['web#41'], holder: null } as const

  it.each([
    [seen, 'concurrency group deploy/prod is full (1 of 1): held by web#41'],
    [{ ...seen, builds: [null] }, 'concurrency group deploy/prod is full (1 of 1): held by this build'],
    [{ ...seen, most: 2, inside: 5, builds: ['web#1', 'web#2', 'api#9', null, 'web#5'] }, 'concurrency group deploy/prod is full (5 of 2): held by web#1, web#2, api#9 and 2 more'],
    [{ ...seen, inside: 0, builds: [], holder: { build: 'web#40', why: 'waits until somebody lets "Ship?" pass' } }, 'concurrency group deploy/prod: its turn comes after web#40, which waits until somebody lets "Ship?" pass'],
    [{ ...seen, inside: 0, builds: [], holder: { build: null, why: 'waits for "Test"' } }, 'concurrency group deploy/prod: its turn comes after another job of this build, which waits for "Test"'],
    [{ ...seen, holder: { build: 'web#40', why: 'waits for "Test"' } }, 'concurrency group deploy/prod is full (1 of 1): held by web#41; its turn comes after web#40, which waits for "Test"'],
  ])('%#', (gate, reason) => {
    expect(whyGated(gate)).toEqual({ code: 'concurrency', reason })
  })
})
