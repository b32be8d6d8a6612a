import { expect, it } from 'vitest'
import type { BuildRow, EdgeRow, JobRow, StepRow } from '../../../coordinator/core/decision.ts'
import { blankJob } from '../../../coordinator/core/plan.ts'
import { replaceSteps } from '../../../coordinator/core/replace.ts'

const NOW = 1_800_000_000_000
const KEY = { project: 1, build: 1 } as const
const uploader = step(1, { state: 'running', label: 'Look' })

function step(s: number, over: Partial<StepRow> = {}): StepRow {
  return {
    ...KEY, s, place: `000${s}`, kind: 'command', key: null, label: null, groupStep: null, state: 'waiting', outcome: null, needs: 1, isBroken: false, firstJob: 0, jobs: 0, openJobs: 0,
    spec: { softFail: 'none', retry: null, continueOnFailure: false, remembers: false, block: null, unblocked: null, skipped: null }, ...over,
  } // prettier-ignore
}

function job(n: number, of: number, over: Partial<JobRow> = {}): JobRow {
  return { ...blankJob(NOW), ...KEY, n, class: 1, ord: 1, priority: 0, spec: '{}', step: of, ...over }
}

const edge = (from: number, to: number): EdgeRow => ({ ...KEY, from, to, allowFailure: false })

/** Beside these there is the step that uploads, whose job runs. */
function replaced(steps: readonly StepRow[], { jobs = [], edges = [] }: { readonly jobs?: readonly JobRow[]; readonly edges?: readonly EdgeRow[] } = {}) {
  const all = [uploader, ...steps]
  const build = { project: 1, number: 1, openSteps: all.filter(({ state }) => state !== 'done').length, verdict: 4 } as BuildRow // the rest is not looked at
  const after = replaceSteps({ build, uploader, steps: all, edges, jobs: [job(1, 1, { state: 'live', fence: 1 }), ...jobs], now: NOW })
  return { after, outcomes: Object.fromEntries(after.steps.map(({ s, state, outcome }) => [s, outcome ?? state])) }
}

it('what was replaced counts no more, and adds nothing to what the build comes to', () => {
  const { after, outcomes } = replaced([step(2), step(3, { kind: 'wait' }), step(4, { kind: 'block', state: 'blocked' }), step(5, { state: 'done', outcome: 'failed' })])
  expect(outcomes).toEqual({ 1: 'running', 2: 'skipped', 3: 'skipped', 4: 'skipped', 5: 'failed' })
  expect(after.build).toMatchObject({ openSteps: 1, verdict: 4 })
})

it('only jobs that are not final change, and say why', () => {
  const { after } = replaced([step(2, { state: 'running' })], { jobs: [job(2, 2, { state: 'broken' }), job(3, 2), job(4, 2, { state: 'gated' })] })
  const result = JSON.stringify({ reason: { code: 'replaced', message: 'replaced by what "Look" uploaded' } })
  expect(after.changes.flatMap((change) => (change.kind === 'job.set' ? [[change.was.n, change.set]] : []))).toEqual([3, 4].map((n) => [n, { state: 'skipped', finishedAt: NOW, result }]))
})

it('a key is given up, and stays to be read where there is no label', () => {
  const { after } = replaced([step(2, { key: 'a' }), step(3, { key: 'b', label: 'B' })])
  expect(after.steps.slice(1)).toMatchObject([{ key: null, label: 'a' }, { key: null, label: 'B' }])
})

it('a step stays whole as soon as an agent has had one of its jobs', () => {
  expect(replaced([step(2, { state: 'running' })], { jobs: [job(2, 2), job(3, 2, { fence: 1 })] }).after.changes).toEqual([])
})

it('groups within groups go with all that is in them, and else are done with the rest of it', () => {
  const inner = [step(2, { kind: 'group', needs: 1 }), step(3, { kind: 'group', groupStep: 2, needs: 2 }), step(4, { groupStep: 3 }), step(5, { groupStep: 3, needs: 0 })]
  const edges = [edge(3, 2), edge(4, 3), edge(5, 3)]
  expect(replaced(inner, { edges }).outcomes).toMatchObject({ 2: 'skipped', 3: 'skipped', 4: 'skipped', 5: 'skipped' })
  const begun = inner.map((one) => (one.s === 5 ? { ...one, state: 'done' as const, outcome: 'passed' as const } : one.s === 3 ? { ...one, needs: 1 } : one))
  const { after, outcomes } = replaced(begun, { edges })
  expect(outcomes).toMatchObject({ 2: 'passed', 3: 'passed', 4: 'skipped', 5: 'passed' })
  expect(after.build).toMatchObject({ openSteps: 1 })
})
