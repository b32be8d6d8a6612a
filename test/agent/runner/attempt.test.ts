/** The life of one attempt, before rooms that do what the test says. */
import { expect, test } from 'vitest'
import { startAttempt, type AttemptLog, type AttemptParts, type RunningAttempt, type RunningCommand, type StopWhy } from '../../../agent/runner/attempt.ts'
import { spoolResult } from '../../../agent/spool/entry.ts'
import type { AttemptResult, JobSpec } from '../../../schema/sync.ts'
import { A, assignmentOf } from '../../support/spool-bench.ts'
import { turnedClock } from '../../support/turned-clock.ts'

const SPEC: JobSpec = { project: 'app', build: 1, job: '1-1-1', fence: 1, command: 'make', env: {}, checkout: null, timeout_s: 60, cancel_grace_s: 5, on_partition: 'continue', url: 'http://ci/1' }

type CommandEnd = Awaited<RunningCommand['ended']>
const PASSED: CommandEnd = { exitStatus: 0, signal: null, stoppedBy: null, leftovers: [], survivors: [] }
/** What a command comes to that is stopped. */
const KILLED: CommandEnd = { ...PASSED, exitStatus: null, signal: 'SIGTERM', stoppedBy: 'canceled' }

function bench(changes: Partial<AttemptParts> & { readonly spec?: JobSpec | null; readonly logWrite?: AttemptLog['write']; readonly logEnd?: AttemptLog['end'] } = {}) {
  const { spec = SPEC, logWrite, logEnd, ...parts } = changes
  const clock = turnedClock()
  const done: string[] = []
  const notes: string[] = []
  const stops: (readonly [string, number | undefined])[] = []
  let text = ''
  let result: AttemptResult | null = null
  const command = Promise.withResolvers<CommandEnd>()
  const step = <T>(name: string, value: T) => async (): Promise<T> => {
    done.push(name)
    return value
  }
  const log: AttemptLog = {
    write: logWrite ?? (async (chunk) => void (text += new TextDecoder().decode(chunk))),
    bytes: () => text.length,
    end: async () => {
      done.push('end of log')
      return logEnd === undefined ? { bytes: text.length, sha256: 'of-the-log' } : await logEnd()
    },
    harden: async () => undefined,
  }
  const life: RunningAttempt = startAttempt({ ...assignmentOf(A), ...(spec === null ? {} : { spec }) }, {
    clock,
    fetchSpec: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(null))),
    journal: step('journal', 'new'),
    markStarted: step('markStarted', undefined),
    finish: async (attempt, given) => {
      done.push('finish')
      result = given
      return spoolResult(attempt, given)
    },
    isTaken: async () => false,
    openLog: step('openLog', log),
    prepare: step('prepare', { folder: '/work', commit: 'c0ffee' }),
    startCommand: async () => {
      done.push('startCommand')
      return { pid: 5, startTime: null, stop: (why, graceMs) => void stops.push([why, graceMs]), ended: command.promise }
    },
    note: (line) => void notes.push(line),
    ...parts,
  })
  /** Until the command runs. */
  const started = async () => {
    while (!done.includes('startCommand')) await Promise.resolve()
    await clock.turn(0)
  }
  return { clock, life, done, notes, stops, started, command, log: () => text, result: () => result }
}

test('the journal is written before anything begins, and the result before anybody hears of it', async () => {
  const { life, done, started, command, result } = bench()
  await started()
  expect([life.phase(), life.commit()]).toEqual(['running', 'c0ffee'])
  command.resolve(PASSED)
  expect((await life.ended).kind).toBe('finished')
  expect(done).toEqual(['journal', 'openLog', 'prepare', 'startCommand', 'markStarted', 'end of log', 'finish'])
  expect(result()).toMatchObject({ outcome: 'passed', exit_status: 0, commit: 'c0ffee', log_sha256: 'of-the-log' })
})

test('what the journal knows, or cannot take, begins nothing', async () => {
  const known = bench({ journal: async () => 'known' })
  expect(await known.life.ended).toEqual({ kind: 'known' })
  const refused = bench({ journal: () => Promise.reject(new Error('EIO')) })
  expect(await refused.life.ended).toEqual({ kind: 'refused', message: 'cannot write its journal: EIO' })
  expect([known.done, refused.done]).toEqual([[], []])
})

test.each(['agent_stopping', 'self_fence', 'superseded', 'abandoned'] as const)('a build that is taken away (%s) has no result, be it prepared or run, and its log ends', async (why) => {
  const preparing = bench({ prepare: (_, __, ___, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))) })
  await preparing.clock.turn(0)
  preparing.life.stop(why, 10)
  expect(await preparing.life.ended).toEqual({ kind: 'dropped', why })
  const running = bench()
  await running.started()
  running.life.stop(why, 10)
  running.life.stop(why, 10)
  expect(running.stops).toEqual([[why === 'agent_stopping' ? why : 'abandoned', 10]])
  running.command.resolve({ ...KILLED, stoppedBy: 'abandoned' })
  expect(await running.life.ended).toEqual({ kind: 'dropped', why })
  expect([preparing.result(), running.result(), preparing.done.at(-1), running.done.at(-1)]).toEqual([null, null, 'end of log', 'end of log'])
})

test('a command that ended by itself just before it was to be stopped has a true result, but not one that is abandoned', async () => {
  for (const [why, kind] of [['agent_stopping', 'finished'], ['self_fence', 'finished'], ['abandoned', 'dropped']] as const) {
    const { life, started, command } = bench()
    await started()
    life.stop(why)
    command.resolve(PASSED)
    expect((await life.ended).kind).toBe(kind)
  }
})

test('a build whose folder was taken by force has no result, however it ended [D3]', async () => {
  const { life, started, command, result, notes, done } = bench({ isTaken: async () => true })
  await started()
  command.resolve(PASSED)
  expect([await life.ended, result(), notes]).toEqual([{ kind: 'dropped', why: 'superseded' }, null, [expect.stringContaining('taken by another process')]])
  expect(done.at(-1)).toBe('end of log')
})

test('a cancel is a result, may become a taking away, and a taking away becomes nothing else', async () => {
  const ends: unknown[] = []
  for (const words of [['canceled'], ['canceled', 'abandoned'], ['abandoned', 'canceled'], ['agent_stopping', 'self_fence']] as const satisfies readonly (readonly StopWhy[])[]) {
    const { life, started, command } = bench()
    await started()
    for (const why of words) life.stop(why)
    command.resolve(KILLED)
    const end = await life.ended
    ends.push(end.kind === 'finished' ? end.result.result.outcome : end.kind === 'dropped' ? end.why : end.kind)
  }
  expect(ends).toEqual(['canceled', 'abandoned', 'abandoned', 'agent_stopping'])
})

test('whether a build may outlive a silence of the coordinator is said once it is known [C16.2]', async () => {
  const { life, started } = bench({ spec: { ...SPEC, on_partition: 'stop' } })
  expect([bench({ spec: null }).life.onPartition(), life.onPartition()]).toEqual([null, 'stop'])
  await started()
  expect(life.onPartition()).toBe('stop')
})

test('a stop is told to the command again only to shorten its time', async () => {
  const { life, started, stops } = bench()
  await started()
  for (const graceMs of [5000, 5000, 0]) life.stop('agent_stopping', graceMs)
  expect([stops, life.phase()]).toEqual([[['agent_stopping', 5000], ['agent_stopping', 0]], 'stopping'])
})

test('a stop that comes before the command is there reaches it', async () => {
  const starting = Promise.withResolvers<void>()
  const stops: unknown[] = []
  const { life, clock } = bench({
    startCommand: async () => {
      await starting.promise
      return { pid: 5, startTime: null, stop: (...words) => void stops.push(words), ended: Promise.resolve(KILLED) }
    },
  })
  await clock.turn(0)
  life.stop('canceled', 3000)
  starting.resolve()
  expect((await life.ended).kind).toBe('finished')
  expect(stops).toEqual([['canceled', 3000]])
})

test('cancelled before it is known what to run: a result says so; taken away: none', async () => {
  const canceled = bench({ spec: null })
  canceled.life.stop('canceled')
  expect((await canceled.life.ended).kind).toBe('finished')
  expect([canceled.done, canceled.result()?.outcome, canceled.result()?.started_at]).toEqual([['journal', 'finish'], 'canceled', null])
  const stopping = bench({ spec: null })
  stopping.life.stop('agent_stopping')
  expect(await stopping.life.ended).toEqual({ kind: 'dropped', why: 'agent_stopping' })
  const gone = bench({ spec: null, fetchSpec: async () => null })
  expect(await gone.life.ended).toEqual({ kind: 'dropped', why: 'abandoned' })
  expect([stopping.done, gone.done]).toEqual([[], []])
})

test('the time limit counts the preparation, and what is left of it is the command\'s', async () => {
  const slow = bench({ prepare: (_, __, ___, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))) })
  await slow.clock.turn(59_000)
  expect(slow.life.phase()).toBe('preparing')
  await slow.clock.turn(1000)
  expect(await slow.life.ended).toMatchObject({ kind: 'finished', result: { result: { outcome: 'timed_out', reason: { message: 'stopped at its time limit of 60 s' } } } })
  const preparing = Promise.withResolvers<{ readonly folder: string; readonly commit: null }>()
  let left = 0
  const late = bench({
    prepare: () => preparing.promise,
    startCommand: ({ timeoutMs }) => {
      left = timeoutMs
      return { pid: 5, startTime: null, stop: () => undefined, ended: Promise.resolve({ ...KILLED, stoppedBy: 'timed_out' }) }
    },
  })
  await late.clock.turn(45_000)
  preparing.resolve({ folder: '/work', commit: null })
  expect(await late.life.ended).toMatchObject({ result: { result: { outcome: 'timed_out', signal: 'SIGTERM' } } })
  expect([left, late.clock.waiting()]).toEqual([15_000, 0])
})

test.each([['ENOSPC', 'agent_disk'], ['EMFILE', 'agent_disk'], ['ENOENT', 'agent_cannot_start'], [undefined, 'agent_cannot_start'], ['commit_missing', 'commit_missing']])('a build that cannot begin for %s is errored with the code %s, and its log says why', async (code, reason) => {
  const { life, log } = bench({ prepare: () => Promise.reject(Object.assign(new Error('no such thing'), code === undefined ? {} : { code })) })
  expect(await life.ended).toMatchObject({ result: { result: { outcome: 'errored', exit_status: null, reason: { code: reason, message: 'no such thing' } } } })
  expect(log()).toBe('kedge: no such thing\n')
})

test('a build whose output cannot be kept is ended, and is a failure of this machine', async () => {
  let print: (chunk: Uint8Array) => Promise<void> = async () => undefined
  const stops: unknown[] = []
  const command = Promise.withResolvers<CommandEnd>()
  const { life, clock } = bench({
    logWrite: () => Promise.reject(new Error('ENOSPC')),
    startCommand: ({ output }) => {
      print = output
      return { pid: 5, startTime: null, stop: (why) => void stops.push(why), ended: command.promise }
    },
  })
  await clock.turn(0)
  await print(new Uint8Array(1))
  await print(new Uint8Array(1)) // is read on, and goes nowhere
  expect(stops).toEqual(['canceled'])
  command.resolve(KILLED)
  expect(await life.ended).toMatchObject({ result: { result: { outcome: 'errored', reason: { code: 'agent_disk', message: 'its log cannot be written: ENOSPC' } } } })
})

test('nor does one run to its end of which the preparation\'s output could not be kept', async () => {
  const { life, started, stops, command } = bench({
    logWrite: () => Promise.reject(new Error('ENOSPC')),
    prepare: async (_, __, log) => {
      log('fetching\n')
      return { folder: '/work', commit: null }
    },
  })
  await started()
  expect(stops).toEqual([['canceled', undefined]])
  command.resolve(KILLED)
  expect(await life.ended).toMatchObject({ result: { result: { outcome: 'errored', reason: { code: 'agent_disk' } } } })
})

test('a build that was cancelled stays so although its log is not whole, and says that', async () => {
  const { life, started, command } = bench({ logEnd: () => Promise.reject(new Error('EIO')) })
  await started()
  life.stop('canceled')
  command.resolve(KILLED)
  expect(await life.ended).toMatchObject({ result: { result: { outcome: 'canceled', log_bytes: 0, reason: { message: 'cancelled; its log is not whole: EIO' } } } })
})

test('what a command leaves behind is said in its log, and what nobody could end at the terminal too', async () => {
  const { life, started, command, log, notes } = bench()
  await started()
  command.resolve({ ...PASSED, leftovers: ['sleep (7)'], survivors: ['dd (8)'] })
  await life.ended
  expect(log()).toContain('ended what the command had left running: sleep (7)\n')
  for (const text of [log(), notes.join()]) expect(text).toContain(`could not end dd (8), which ${A} had started`)
})

test('a process that cannot be noted is nobody\'s error', async () => {
  const { life, started, command, notes } = bench({ markStarted: () => Promise.reject(new Error('ENOSPC')) })
  await started()
  command.resolve(PASSED)
  expect([(await life.ended).kind, notes]).toEqual(['finished', [`cannot note the process of ${A}: ENOSPC`]])
})
