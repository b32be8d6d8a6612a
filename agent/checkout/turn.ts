/**
 * One at a time at a mirror: in this process by a chain of promises, and against other processes by a lock file with
 * pid and start time beside it. Only what changes a mirror takes a turn; reading is safe at any time, as git writes.
 * A turn is not taken twice by one caller: it would wait for itself.
 */
import { takeLock, type Processes } from '../lock.ts'
import type { Chance, Clock, Disk } from '../platform.ts'
import { CheckoutError } from './failure.ts'

export interface Machine {
  readonly clock: Clock
  readonly chance: Chance
  readonly disk: Disk
  readonly processes: Processes
}

export interface Turn {
  readonly signal: AbortSignal
  /** Called once when another process is waited for. */
  readonly waiting?: (pid: number) => void
}

/** How often a lock of another process is looked at again. */
const LOOK_AGAIN_MS = 50

/** By path, over all agents of this process. */
const chains = new Map<string, Promise<unknown>>()

/** Does the work when it is its turn at `path`. Whoever is stopped while it waits is gone at once; its turn then passes by. */
export function inTurn<T>(path: string, machine: Machine, { signal, waiting }: Turn, work: () => Promise<T>): Promise<T> {
  const before = chains.get(path) ?? Promise.resolve()
  let hasBegun = false
  const turn = before.then(async () => {
    hasBegun = true
    const release = await takeAcross(`${path}.lock`, machine, { signal, ...(waiting === undefined ? {} : { waiting }) })
    try {
      return await work()
    } finally {
      await release()
    }
  })
  const settled = turn.then(
    () => undefined,
    () => undefined, // the caller hears of it
  )
  chains.set(path, settled)
  void settled.then(() => {
    if (chains.get(path) === settled) chains.delete(path)
  })
  return new Promise((resolve, reject) => {
    const leave = (): void => (hasBegun ? undefined : reject(canceled()))
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    void turn.then(resolve, reject).then(() => signal.removeEventListener('abort', leave))
  })
}

function canceled(): CheckoutError {
  return new CheckoutError('canceled', 'the checkout was stopped')
}

async function takeAcross(path: string, { clock, chance, disk, processes }: Machine, { signal, waiting }: Turn): Promise<() => Promise<void>> {
  const nonce = Buffer.from(chance.bytes(8)).toString('hex')
  for (let looks = 0; ; looks += 1) {
    // Leaves: the lock is ours, or nobody wants it any more.
    if (signal.aborted) throw canceled()
    const taken = await takeLock(path, { disk, processes, nonce })
    if (taken.ok) return taken.release
    if (looks === 0) waiting?.(taken.holder.pid)
    await new Promise<void>((resolve) => clock.after(LOOK_AGAIN_MS, resolve))
  }
}
