import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Notice } from '../../../coordinator/core/decision.ts'
import { NOT_YET } from '../../../coordinator/core/decision.ts'
import { afterTry, dueAt, holds, NO_COMMIT, NO_REPOSITORY, standingOfBuild, standingOfStep, want, withoutCommit, wordFor, type Standing, type Told } from '../../../coordinator/core/notify.ts'
import { VERDICT } from '../../../coordinator/core/step.ts'

const notice = (over: Partial<Notice> = {}): Notice => ({ s: 0, to: { kind: 'commit_status', context: 'ci' }, if: null, env: {}, heldNot: null, blockedAsPending: false, told: null, wanted: null, nth: 0, since: null, at: 0, tries: 0, gaveUp: null, problem: null, ...over })
const clock = (now: number) => ({ now, scale: 1 })
const HOUR = 3_600_000

describe('how a build stands', () => {
  const open = { blocks: 0, isRunning: false }
  it('is its state once it is over', () => {
    for (const state of ['passed', 'failed', 'canceled', 'skipped'] as const) expect(standingOfBuild({ state, verdict: 7 }, open)).toBe(state)
  })

  it('is failing as soon as something failed, also while it waits for a person', () => {
    expect(standingOfBuild({ state: null, verdict: VERDICT.failed | VERDICT.ran }, { blocks: 1, isRunning: false })).toBe('failing')
  })

  it('is blocked when it waits for a person and nothing goes on', () => {
    expect(standingOfBuild({ state: null, verdict: VERDICT.ran }, { blocks: 1, isRunning: false })).toBe('blocked')
    expect(standingOfBuild({ state: null, verdict: VERDICT.ran }, { blocks: 1, isRunning: true })).toBe('running')
    expect(standingOfBuild({ state: null, verdict: 0 }, open)).toBe('running')
  })

  it('is that of a step by its outcome, and failing once one of its jobs failed', () => {
    expect(standingOfStep({ state: 'waiting', outcome: null })).toBe('running')
    expect(standingOfStep({ state: 'running', outcome: 'passed' })).toBe('running')
    expect(standingOfStep({ state: 'running', outcome: 'failed' })).toBe('failing')
    expect(standingOfStep({ state: 'done', outcome: 'soft_failed' })).toBe('soft_failed')
  })
})

describe('what is said of it', () => {
  it.each([
    ['running', 'pending'],
    ['failing', 'failure'],
    ['blocked', 'success'],
    ['passed', 'success'],
    ['soft_failed', 'success'],
    ['skipped', 'success'],
    ['failed', 'failure'],
    ['canceled', 'error'],
    ['broken', 'error'],
  ] as const)('of %s, a status says %s, and a webhook so much', (standing, status) => {
    expect(wordFor(notice(), standing)).toBe(status)
    expect(wordFor(notice({ to: { kind: 'webhook', url: 'https://example.com' } }), standing)).toBe(standing)
  })

  it('of a build that waits for a person, a status says what was asked for, else what the block says', () => {
    expect(wordFor(notice({ blockedAsPending: true }), 'blocked')).toBe('pending')
    expect(wordFor(notice(), 'blocked', 'running')).toBe('pending')
    expect(wordFor(notice(), 'blocked', 'failed')).toBe('failure')
  })
})

describe('a condition', () => {
  const context = (state: string) => ({ build: { state, branch: 'main' }, env: () => null })
  it('is decided by how the build stands then', () => {
    const failed = notice({ if: 'build.state == "failed"' })
    expect(holds(failed, context('failed'))).toBe(true)
    expect(holds(failed, context('running'))).toBe(false)
    expect(holds(notice(), context('running'))).toBe(true)
  })

  it('that cannot be decided does not hold', () => {
    expect(holds(notice({ if: 'build.branch' }), context('failed'))).toBe(false)
    expect(holds(notice({ if: 'step.outcome == "passed"' }), context('failed'))).toBe(false)
  })
})

describe('a notice', () => {
  it('is to be told what is news, once', () => {
    const wanting = want(notice(), 'pending', 1000)
    expect(wanting).toMatchObject({ wanted: 'pending', nth: 1, at: 1000, since: 1000 })
    expect(want(wanting, 'pending', 2000)).toBe(wanting)
    const told = afterTry(wanting, { word: 'pending', nth: 1 }, { kind: 'told' }, clock(3000))
    expect(told).toMatchObject({ told: 'pending', wanted: null })
    expect(want(told, 'pending', 4000)).toBe(told)
  })

  it('forgets a state that passed before it was told, and says the one that stays', () => {
    const twice = want(want(notice(), 'pending', 0), 'success', 10)
    const late = afterTry(twice, { word: 'pending', nth: 1 }, { kind: 'told' }, clock(20))
    expect(late).toMatchObject({ told: 'pending', wanted: 'success', nth: 2 })
    expect(afterTry(late, { word: 'success', nth: 2 }, { kind: 'told' }, clock(30))).toMatchObject({ told: 'success', wanted: null })
  })

  it('is tried again later and later, for a day', () => {
    const again: Told = { kind: 'again', why: 'it answered 500', afterMs: null }
    let now = 0
    let one = want(notice(), 'success', now)
    const waits: number[] = []
    for (; one.wanted !== null; now = one.at) {
      one = afterTry(one, { word: 'success', nth: 1 }, again, clock(now))
      if (one.wanted !== null) waits.push(one.at - now)
    }
    expect(waits.slice(0, 4)).toEqual([5000, 10_000, 20_000, 40_000])
    expect(Math.max(...waits)).toBe(HOUR / 4)
    expect(now).toBeLessThanOrEqual(24 * HOUR)
    expect(now).toBeGreaterThan(23 * HOUR)
    expect(one).toMatchObject({ gaveUp: 'success', problem: 'it answered 500' })
  })

  it('waits as long as the other side asks for, at most an hour', () => {
    const wanting = want(notice(), 'success', 0)
    const after = (afterMs: number) => afterTry(wanting, { word: 'success', nth: 1 }, { kind: 'again', why: 'busy', afterMs }, clock(0)).at
    expect(after(90_000)).toBe(90_000)
    expect(after(99 * HOUR)).toBe(HOUR)
  })

  it('news do not hurry one that waits for its next try', () => {
    const waiting = afterTry(want(notice(), 'pending', 0), { word: 'pending', nth: 1 }, { kind: 'again', why: 'busy', afterMs: 60_000 }, clock(0))
    expect(want(waiting, 'success', 10)).toMatchObject({ wanted: 'success', at: 60_000, tries: 1 })
  })

  it('that is refused is not told the same again, but the next state', () => {
    const refused = afterTry(want(notice(), 'pending', 0), { word: 'pending', nth: 1 }, { kind: 'refused', why: 'it answered 401' }, clock(0))
    expect(refused).toMatchObject({ told: null, wanted: null, problem: 'it answered 401' })
    expect(want(refused, 'pending', 1)).toBe(refused)
    expect(want(refused, 'success', 1)).toMatchObject({ wanted: 'success' })
  })

  it('about a commit waits until the build knows it, and says so when that never happens', () => {
    const wanting = want(notice(), 'pending', 5)
    expect(dueAt([wanting], { commit: null, state: null })).toBe(NOT_YET)
    expect(dueAt([wanting], { commit: 'c0ffee', state: null })).toBe(5)
    expect(dueAt([notice()], { commit: null, state: 'passed' })).toBe(null)
    const project = { repository: 'https://example.com/app.git' }
    expect(withoutCommit(wanting, { commit: null, state: 'failed' }, project)).toMatchObject({ wanted: null, problem: NO_COMMIT })
    expect(withoutCommit(wanting, { commit: null, state: null }, project)).toBe(wanting)
    expect(withoutCommit(wanting, { commit: null, state: null }, { repository: null })).toMatchObject({ wanted: null, problem: NO_REPOSITORY })
  })

  it('ends with the state that stays, whatever is lost, late or told twice', () => {
    const standings: readonly Standing[] = ['running', 'failing', 'blocked', 'passed', 'failed', 'canceled']
    const outcome = fc.constantFrom<Told>({ kind: 'told' }, { kind: 'again', why: 'x', afterMs: null })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...standings), fc.boolean(), outcome), { minLength: 1, maxLength: 30 }), (steps) => {
        let now = 0
        let one = notice()
        let underWay: { readonly word: string; readonly nth: number } | null = null
        const heard: string[] = []
        const end = (told: Told) => {
          if (underWay === null) return
          if (told.kind === 'told') heard.push(underWay.word)
          one = afterTry(one, underWay, told, clock(now))
          underWay = null
        }
        for (const [standing, isEnded, told] of steps) {
          now += 1000
          one = want(one, wordFor(one, standing), now)
          if (isEnded) end(told)
          if (one.wanted !== null && underWay === null) underWay = { word: one.wanted, nth: one.nth }
        }
        for (let left = 5; left > 0; left -= 1) {
          end({ kind: 'told' })
          if (one.wanted !== null) underWay = { word: one.wanted, nth: one.nth }
        }
        const last = steps.at(-1)?.[0] ?? 'running'
        expect(heard.at(-1)).toBe(wordFor(one, last))
        expect(one).toMatchObject({ told: wordFor(one, last), wanted: null })
      }),
    )
  })
})
