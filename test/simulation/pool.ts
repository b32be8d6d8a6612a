/** Lets several processes live through seeds, in small portions; one that dies or never ends is told of as a broken seed. */
import { fork, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import type { Mutant } from './mutants.ts'
import type { ProfileName } from './script.ts'
import type { Told } from './seed-process.ts'

const PORTION = 10
/** A world of a second takes no minutes, unless it goes round in a circle. */
const SILENT_AT_MOST_MS = 240_000

export interface PoolOptions {
  /** Asked for more and more; ends when it does. */
  readonly seeds: Iterable<number>
  readonly profile: ProfileName | null
  readonly mutant?: Mutant
  readonly processes?: number
  /** False ends all. */
  tell(told: Told): boolean
  readonly signal?: AbortSignal
}

/** Resolves when all seeds were lived through, or nobody wants more. */
export async function liveThrough({ seeds, profile, mutant, processes = availableParallelism(), tell, signal }: PoolOptions): Promise<void> {
  const more = seeds[Symbol.iterator]()
  const portion = (): number[] => {
    const taken: number[] = []
    for (let next = more.next(); !next.done; next = more.next()) if (taken.push(next.value) >= PORTION) break
    return taken
  }
  let isOver = false
  await Promise.all(Array.from({ length: processes }, async () => {
    while (!isOver && signal?.aborted !== true) {
      const first = portion()
      if (first.length === 0) return
      await liveOn(first)
    }
  }))

  /** One process, until it has no more to do or dies. */
  function liveOn(first: readonly number[]): Promise<void> {
    return new Promise((resolve) => {
      const child = fork(new URL('seed-process.ts', import.meta.url), mutant === undefined ? [] : [JSON.stringify(mutant)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: ['--disable-warning=ExperimentalWarning'] })
      let asked: readonly number[] | null = null
      const told = new Set<number>()
      let said = ''
      let silence = watch(child)
      child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
      const dismiss = (): void => {
        if (child.connected) child.disconnect()
      }
      const ask = (): void => {
        asked = asked === null ? first : portion()
        if (asked.length === 0 || isOver || signal?.aborted === true) return dismiss()
        if (child.connected) child.send({ seeds: asked, profile })
      }
      child.on('message', (message: Told | 'done') => {
        clearTimeout(silence)
        silence = watch(child)
        if (message === 'done') return ask()
        told.add(message.seed)
        if (!isOver && !tell(message)) {
          isOver = true
          dismiss()
        }
      })
      child.on('exit', (code, killed) => {
        clearTimeout(silence)
        const seed = (asked ?? first).find((one) => !told.has(one))
        if (seed !== undefined && !isOver && signal?.aborted !== true && (code !== 0 || killed !== null)) {
          const text = killed === null ? said.trim() : `its world did not end within ${SILENT_AT_MOST_MS / 1000} s: something goes round in a circle`
          if (!tell({ seed, profile: profile ?? 'mixed', report: { violations: [{ rule: 'crash', at: 0, text }], jobs: 0, syncs: 0, steps: 0, lost: 0, lastedMs: 0 } })) isOver = true
        }
        resolve()
      })
      signal?.addEventListener('abort', dismiss, { once: true })
    })
  }
}

function watch(child: ChildProcess): NodeJS.Timeout {
  return setTimeout(() => child.kill('SIGKILL'), SILENT_AT_MOST_MS)
}
