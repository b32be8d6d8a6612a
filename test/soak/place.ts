/**
 * The folder that a soak lives in, with a copy of the built programs: a build of the checkout while it lasts would take
 * the pieces away that a restarted agent loads. Everything that was started there is found by the folder's name, also
 * what a killed agent left behind.
 */
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { commandLine, endProcess, pidsOf } from '../support/process-list.ts'

const ROOT = new URL('../..', import.meta.url).pathname
/** What watches over workerd looks once a second whether it is still needed. */
const LEAVE_MS = 3000
const CLEAR_MS = 20_000
const LOOK_EVERY_MS = 50

export interface Place {
  readonly folder: string
  /** Of the built command line. */
  readonly main: string
  /** Living processes that were started for this folder. */
  pids(): readonly number[]
  /** Kills what does not go by itself, and removes the folder; what there was, and whether all of it is gone. */
  clear(): Promise<{ readonly found: readonly string[]; readonly isGone: boolean }>
}

export async function openPlace(): Promise<Place> {
  if (!existsSync(join(ROOT, 'dist/kedge.mjs'))) throw new Error('dist/kedge.mjs is not there, and a soak runs what is published. Build it first: npm run build')
  if (!existsSync('/proc/self/status')) throw new Error('this machine has no /proc, by which a soak finds its processes and their memory. Start it on Linux.')
  const folder = await mkdtemp(join(tmpdir(), 'kedge-soak-'))
  await cp(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules')) // Miniflare is not in the bundle
  const pids = () => pidsOf(folder)
  return {
    folder,
    main: join(folder, 'dist/kedge.mjs'),
    pids,
    clear: async () => {
      const leaves = performance.now() + LEAVE_MS
      while (pids().length > 0 && performance.now() < leaves) await pause(LOOK_EVERY_MS)
      const found = pids().map((pid) => `${commandLine(pid).replaceAll('\0', ' ').trim().slice(0, 200)} (${pid})`)
      const until = performance.now() + CLEAR_MS
      while (pids().length > 0 && performance.now() < until) {
        for (const pid of pids()) endProcess(pid)
        await pause(LOOK_EVERY_MS)
      }
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
      return { found, isGone: pids().length === 0 && !existsSync(folder) }
    },
  }
}
