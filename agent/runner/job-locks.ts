/**
 * Locks between the jobs of one agent (`kedge lock`): a file each in a folder of the agent's state, which names the
 * attempt that holds it. The agent takes away what an attempt held when that has ended, however it ended, and all of them
 * when it starts: nothing of an earlier process of it runs any more then. So no lock outlives its holder, and nobody need
 * look whether a process is alive.
 *
 * What one would get wrong: a lock must be there whole or not at all, so it is written aside and linked to its place,
 * which fails where another is. Work that was done once (`done`) is remembered until the agent stops.
 */
import { createHash, randomBytes } from 'node:crypto'
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../../schema/parse-json.ts'

/** `state`: `acquired(…)` with what its holder knows, `doing`, or `done`. */
const held = z.object({ key: z.string(), state: z.string(), attempt: z.string() })
export type HeldLock = z.infer<typeof held>

/** Null: nobody holds it. Throws what the disk says. */
export function lockOf(folder: string, key: string): HeldLock | null {
  return readLock(pathOf(folder, key))
}

/** Makes the lock unless there is one; false then. */
export function claimLock(folder: string, lock: HeldLock): boolean {
  const aside = writeAside(folder, lock)
  try {
    linkSync(aside, pathOf(folder, lock.key))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    unlinkSync(aside)
  }
}

/** In the place of the one that its holder has. */
export function changeLock(folder: string, lock: HeldLock): void {
  renameSync(writeAside(folder, lock), pathOf(folder, lock.key))
}

export function removeLock(folder: string, key: string): void {
  rmSync(pathOf(folder, key), { force: true })
}

/** Takes away what the attempt holds. Never throws: it is done again when the agent starts. */
export function releaseLocksOf(folder: string, attempt: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      const lock = isReadable(path) ? readLock(path) : null
      if (lock === null && name.startsWith(ASIDE)) continue // it may be of another job, which just writes it
      if (lock === null || (lock.attempt === attempt && lock.state !== DONE)) rmSync(path, { recursive: true, force: true })
    }
  } catch {
    // No folder: no job has run here. A disk that fails keeps what the next start takes away.
  }
}

/** At the start of an agent, when nothing of its jobs runs any more. */
export function forgetLocks(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

export const DOING = 'doing'
export const DONE = 'done'

/** How the name begins of what is not in its place yet. */
const ASIDE = '.'

function pathOf(folder: string, key: string): string {
  return join(folder, createHash('sha256').update(key).digest('hex'))
}

function writeAside(folder: string, lock: HeldLock): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${ASIDE}${randomBytes(8).toString('hex')}`)
  writeFileSync(path, JSON.stringify(lock), { mode: 0o600 })
  return path
}

/** A job may have put anything there, and the agent must not wait for it. */
function isReadable(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.isFile() && found.size <= LARGEST
}

/** Of a lock with a key of the greatest length. */
const LARGEST = 16 * 1024

function readLock(path: string): HeldLock | null {
  try {
    return held.safeParse(parseJson(readFileSync(path, 'utf8'))).data ?? null
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
