/** `kedge lock` at work, on the files that `runner/job-locks.ts` keeps. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { changeLock, claimLock, DOING, DONE, lockOf, removeLock, type HeldLock } from '../runner/job-locks.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { present } from './settings.ts'

interface LockFlags {
  readonly lockScope?: string
  readonly lockWaitTimeout?: string
}

/** Between looks at a lock that another holds. */
const LOOK_MS = 100
const KEY_BYTES = 1024

export async function acquireLock(key: string, flags: LockFlags, surroundings: Surroundings): Promise<ExitCode> {
  const { folder, attempt } = placeOf(key, flags, surroundings)
  const mine: HeldLock = { key, attempt, state: `acquired(otp=${randomBytes(16).toString('hex')})` }
  await until(key, flags, surroundings, () => {
    const held = lockOf(folder, key)
    if (held !== null && isOnce(held)) throw new Failure(EXIT.failed, `"${key}" is ${held.state}: it is of work that is done once ("kedge lock do"), and cannot be acquired. Use another key.`)
    return held === null && claimLock(folder, mine)
  })
  surroundings.print(mine.state)
  return EXIT.ok
}

export function releaseLock({ key, token }: { readonly key: string; readonly token: string }, flags: LockFlags, surroundings: Surroundings): ExitCode {
  const { folder } = placeOf(key, flags, surroundings)
  const held = lockOf(folder, key)
  if (held === null) throw new Failure(EXIT.failed, `nobody holds the lock "${key}": it was released before, or its holder's job has ended.`)
  if (isOnce(held) || held.state !== token) throw new Failure(EXIT.failed, `that token does not release the lock "${key}": it is what "kedge lock acquire" printed to the one that holds it now.`)
  removeLock(folder, key)
  return EXIT.ok
}

export async function doOnce(key: string, flags: LockFlags, surroundings: Surroundings): Promise<ExitCode> {
  const { folder, attempt } = placeOf(key, flags, surroundings)
  let isOurs = false
  await until(key, flags, surroundings, () => {
    const held = lockOf(folder, key)
    if (held === null) return (isOurs = claimLock(folder, { key, attempt, state: DOING }))
    if (!isOnce(held)) throw new Failure(EXIT.failed, `"${key}" is a lock that is acquired and released, and somebody holds it: it cannot be one of work that is done once. Use another key.`)
    return held.state === DONE
  })
  surroundings.print(isOurs ? 'do' : 'done')
  return EXIT.ok
}

export function doneOnce(key: string, flags: LockFlags, surroundings: Surroundings): ExitCode {
  const { folder, attempt } = placeOf(key, flags, surroundings)
  const held = lockOf(folder, key)
  if (held?.state === DONE) return EXIT.ok
  if (held?.state !== DOING || held.attempt !== attempt) throw new Failure(EXIT.failed, `this job does not do "${key}"${held?.state === DOING ? `: ${held.attempt} does` : ''}. Only who was told "do" by "kedge lock do" says that it is done.`)
  changeLock(folder, { key, attempt, state: DONE })
  return EXIT.ok
}

export function showLock(key: string, flags: LockFlags, surroundings: Surroundings): ExitCode {
  const { folder } = placeOf(key, flags, surroundings)
  surroundings.print(lockOf(folder, key)?.state ?? '')
  return EXIT.ok
}

function isOnce({ state }: HeldLock): boolean {
  return state === DOING || state === DONE
}

/** Looks until it is so, or the time is over. */
async function until(key: string, flags: LockFlags, { environment }: Surroundings, isSo: () => boolean): Promise<void> {
  const given = flags.lockWaitTimeout ?? present(environment['BUILDKITE_LOCK_WAIT_TIMEOUT'])
  const mostMs = given === undefined ? 0 : durationMs(given)
  const end = performance.now() + (mostMs === 0 ? Number.POSITIVE_INFINITY : mostMs)
  while (!isSo()) {
    // Leaves: it is so, or the time is over.
    if (performance.now() >= end) throw new Failure(EXIT.failed, `gave up after ${given}: another job holds "${key}". Wait longer (--lock-wait-timeout), or look at what holds it.`)
    await pause(LOOK_MS)
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** As Go writes them: `300ms`, `1.5h`, `1h30m`; 0 waits for ever. */
function durationMs(text: string): number {
  if (text === '0') return 0
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) throw new Failure(EXIT.usage, `--lock-wait-timeout must be a time with its unit, such as 30s, 5m or 1h30m, not "${text}".`)
  return [...text.matchAll(/([\d.]+)([a-zµ]+)/g)].reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNIT_MS[unit] ?? 0), 0)
}

function placeOf(key: string, { lockScope }: LockFlags, { environment }: Surroundings): { readonly folder: string; readonly attempt: string } {
  const [folder, attempt] = [present(environment['KEDGE_LOCKS']), present(environment['KEDGE_ATTEMPT'])]
  if (folder === undefined || attempt === undefined) throw new Failure(EXIT.usage, 'this works inside a job only: KEDGE_LOCKS and KEDGE_ATTEMPT, which an agent sets, are not there.')
  const scope = lockScope ?? present(environment['BUILDKITE_LOCK_SCOPE']) ?? 'machine'
  if (scope !== 'machine') throw new Failure(EXIT.usage, `--lock-scope must be machine, not "${scope}": a lock is between the jobs of one agent.`)
  if (key === '' || Buffer.byteLength(key) > KEY_BYTES) throw new Failure(EXIT.usage, `the key of a lock must have 1 to ${KEY_BYTES} bytes.`)
  return { folder, attempt }
}
