/** A soak that finds nothing proves nothing unless it would find something: each way to lose or double a job is named. */
import { expect, it } from 'vitest'
import type { AttemptId } from '../../schema/job.ts'
import { judge, type Seen } from './judge.ts'
import { commandOf } from './script.ts'
import type { LostAttempt, StoredJob } from './stored.ts'

const AGENT = 'a_00000000000000000000'
const id = (fence: number) => `J1-7-1.${fence}` as AttemptId // built to the form
const job = (change: Partial<StoredJob> = {}): StoredJob => ({ queue: 'deep', build: 7, id: 'J1-7-1', state: 'passed', fence: 1, hasResult: true, command: commandOf({ seconds: 1, lines: 0, exitStatus: 0 }), ...change })
const lossOf = (fence: number, change: Partial<LostAttempt> = {}): LostAttempt => ({ job: 'J1-7-1', fence, agent: AGENT, assignedAt: 100_000, endedAt: 200_000, why: 'restarted', ...change })

interface Case {
  readonly jobs?: readonly StoredJob[]
  readonly lost?: readonly LostAttempt[]
  readonly asked?: readonly number[]
  readonly starts?: readonly (readonly [AttemptId, number])[]
  readonly accepted?: readonly AttemptId[]
  readonly ends?: readonly number[]
  readonly wasCut?: boolean
}

function judged({ jobs = [job()], lost = [], asked = [7], starts = [[id(1), 1]], accepted = [id(1)], ends = [], wasCut = false }: Case) {
  const seen: Seen = { asked: { deep: new Set(asked), short: new Set() }, starts: new Map(starts), accepted: new Set(accepted), ends: new Map([[AGENT, [...ends]]]) }
  return judge({ jobs, lost }, seen, { wasCut })
}

it.each<readonly [string, Case]>([
  ['a job with its one result', {}],
  ['one that waits', { jobs: [job({ state: 'queued', fence: 0, hasResult: false })], starts: [], accepted: [] }],
  ['one that failed, as its command does', { jobs: [job({ state: 'failed', command: commandOf({ seconds: 0, lines: 0, exitStatus: 3 }) })] }],
  ['one that lost its first attempt with its agent', { jobs: [job({ fence: 2 })], lost: [lossOf(1)], starts: [[id(1), 1], [id(2), 1]], accepted: [id(2)], ends: [150_000] }],
  ['one that was given to an agent killed a moment before', { jobs: [job({ fence: 2 })], lost: [lossOf(1, { why: 'never_taken' })], starts: [[id(2), 1]], accepted: [id(2)], ends: [95_000] }],
  ['one that ended three agents', { jobs: [job({ state: 'errored', fence: 3, hasResult: false })], lost: [lossOf(1), lossOf(2), lossOf(3)], starts: [], accepted: [], ends: [150_000] }],
  ['one in hand when all was cut short', { jobs: [job({ state: 'live', hasResult: false })], accepted: [], wasCut: true }],
])('%s is as it should be', (_, seen) => {
  expect(judged(seen)).toMatchObject({ lost: [], doubled: [], wrong: [] })
})

it.each<readonly [string, 'lost' | 'doubled' | 'wrong', Case]>([
  ['a build that was acknowledged and is not there', 'lost', { jobs: [], starts: [], accepted: [] }],
  ['a result that was accepted, and its job waits', 'lost', { jobs: [job({ state: 'queued', hasResult: false })], lost: [lossOf(1)], ends: [150_000] }],
  ['a job that nobody holds and nobody gets', 'lost', { jobs: [job({ state: 'live', hasResult: false })], accepted: [] }],
  ['a job given up after two lost attempts', 'lost', { jobs: [job({ state: 'errored', fence: 2, hasResult: false })], lost: [lossOf(1), lossOf(2)], starts: [], accepted: [], ends: [150_000] }],
  ['two results accepted', 'doubled', { jobs: [job({ fence: 2 })], lost: [lossOf(1)], starts: [[id(1), 1], [id(2), 1]], accepted: [id(1), id(2)], ends: [150_000] }],
  ['a result accepted that is not the one stored', 'doubled', { jobs: [job({ fence: 2 })], lost: [lossOf(1)], starts: [[id(1), 1], [id(2), 1]], ends: [150_000] }],
  ['an attempt whose command was started twice', 'doubled', { starts: [[id(1), 2]] }],
  ['a build that nobody was told of', 'doubled', { asked: [] }],
  ['a result that no command came to', 'wrong', { starts: [] }],
  ['a result that is not its command\'s', 'wrong', { jobs: [job({ state: 'failed' })] }],
  ['a start that was given to nobody', 'wrong', { starts: [[id(1), 1], [id(2), 1]] }],
  ['a start whose loss is not on record', 'wrong', { jobs: [job({ fence: 2 })], starts: [[id(1), 1], [id(2), 1]], accepted: [id(2)] }],
  ['an attempt taken from an agent that nobody had ended', 'wrong', { jobs: [job({ fence: 2 })], lost: [lossOf(1)], starts: [[id(1), 1], [id(2), 1]], accepted: [id(2)], ends: [20_000, 250_000] }],
])('%s is found, and no more is', (_, kind, seen) => {
  const judgement = judged(seen)
  for (const other of ['lost', 'doubled', 'wrong'] as const) expect(judgement[other], other).toHaveLength(other === kind ? 1 : 0)
})
