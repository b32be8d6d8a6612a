/**
 * One process at a place: a state folder, as two agents with one identity would take each other's results for their own
 * [D3], or a mirror while it changes. The lock names pid and start time, as a pid alone may belong to a stranger by now;
 * a lock whose holder is gone is taken over without asking, because after `kill -9` nobody is there to clean up.
 */
import { z } from 'zod'
import { parseJson } from '../schema/parse-json.ts'
import type { Disk } from './platform.ts'

/** What the lock needs to know of the processes on this machine. */
export interface Processes {
  readonly pid: number
  readonly host: string
  /** When the process began, in any form that never comes again for the same pid; null when there is no such process. */
  startTime(pid: number): Promise<string | null>
  /** Creates the file with this text, whole, unless it exists; false when it does. */
  claim(path: string, text: string): Promise<boolean>
}

export interface LockHolder {
  readonly pid: number
  readonly host: string
}

const lockText = z.object({ pid: z.number().int(), start: z.string().nullable(), host: z.string(), nonce: z.string() })
type LockText = z.infer<typeof lockText>

export interface Lock {
  /** Never rejects. */
  readonly release: () => Promise<void>
  /** Another process has taken the place, which takes somebody who removed the lock, or a holder that looked gone from another host. */
  readonly isTaken: () => Promise<boolean>
}

export type Locked = ({ readonly ok: true } & Lock) | { readonly ok: false; readonly holder: LockHolder }

/** Takes the lock at `path`, or says who holds it. `nonce` is random text. */
export async function takeLock(path: string, { disk, processes, nonce }: { readonly disk: Disk; readonly processes: Processes; readonly nonce: string }): Promise<Locked> {
  const own: LockText = { pid: processes.pid, start: await processes.startTime(processes.pid), host: processes.host, nonce }
  const release = async (): Promise<void> => {
    try {
      if ((await readLock(disk, path))?.nonce === nonce) await disk.remove(path)
    } catch {
      // A disk that fails: as after a `kill -9`, whoever comes next finds the lock of a dead one.
    }
  }
  const isTaken = async (): Promise<boolean> => {
    const found = await readLock(disk, path).catch(() => null) // who cannot be read has taken nothing
    return found !== null && found.nonce !== nonce
  }
  for (;;) {
    // Leaves: it is ours, or somebody alive holds it. Each further round has put one dead holder's file away.
    if (await processes.claim(path, JSON.stringify(own))) return { ok: true, release, isTaken }
    const found = await readLock(disk, path)
    if (found && (await isAlive(found, own, processes))) return { ok: false, holder: found }
    const aside = `${path}.${nonce}`
    if (!(await moveAside(disk, path, aside))) continue
    const moved = await readLock(disk, aside)
    await disk.remove(aside)
    if (moved && moved.nonce !== found?.nonce && (await isAlive(moved, own, processes))) {
      // Another starter was faster and it was its lock that went aside: give it back, and give way.
      await processes.claim(path, JSON.stringify(moved))
      return { ok: false, holder: moved }
    }
  }
}

/** A holder on another host (a container's name, a moved disk) cannot be looked at: it is taken for gone, and the coordinator's boot numbers settle the rare mistake [C1.6]. */
async function isAlive(found: LockText, own: LockText, processes: Processes): Promise<boolean> {
  if (found.host !== own.host) return false
  if (found.pid === own.pid) return found.start === own.start
  const start = await processes.startTime(found.pid)
  return start !== null && (found.start === null || found.start === start)
}

/** Null also for what cannot be understood: it is nobody's. */
async function readLock(disk: Disk, path: string): Promise<LockText | null> {
  const bytes = await disk.read(path)
  return bytes === null ? null : (lockText.safeParse(parseJson(new TextDecoder().decode(bytes))).data ?? null)
}

async function moveAside(disk: Disk, from: string, to: string): Promise<boolean> {
  try {
    await disk.rename(from, to)
    return true
  } catch {
    return false // somebody else moved it first: look again
  }
}
