/**
 * Whether this machine is fit to claim work [C15]: room on the disk, a spool that is being delivered, and a shell and
 * git that start. An unfit agent goes on syncing, says why, and is given nothing, instead of failing every build.
 *
 * The answer is taken from the last look, so that a sync never waits for a disk or a process.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { diskTrouble } from '../disk-trouble.ts'
import type { Clock, Disk } from '../platform.ts'

export interface HealthLimits {
  /** Floor of free disk: the larger of the two. */
  readonly freeBytes: number
  readonly freeShare: number
  readonly spoolBytes: number
  readonly freeInodes: number
}

const GIB = 1024 ** 3
export const HEALTH_LIMITS: HealthLimits = { freeBytes: 5 * GIB, freeShare: 0.05, spoolBytes: 2 * GIB, freeInodes: 1000 }

export interface HealthOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly folder: string
  readonly limits: HealthLimits
  readonly everyMs: number
  spoolBytes(): number
  /** Why shell or git cannot be used; null when they can. */
  selfTest(): Promise<string | null>
  /** The answer has changed. */
  changed(reason: string | null): void
}

export interface Health {
  /** Null: fit. */
  reason(): string | null
  /** What must be durable could not be written: not fit until the next look has written something itself. */
  suspect(why: string): void
  /** The first look is over. */
  readonly looked: Promise<void>
  stop(): void
}

/** Looks at once and then every `everyMs`; not fit until the first look is over. */
export function startHealth({ disk, clock, folder, limits, everyMs, spoolBytes, selfTest, changed }: HealthOptions): Health {
  let reason: string | null = 'starting: disk, shell and git have not been looked at yet'
  let tools: string | null = 'untested'
  let takeBack: (() => void) | null = null
  let isOver = false
  /** Rises with each suspicion: a look that began before one does not end it. */
  let suspicions = 0
  let isSuspect = false

  async function look(): Promise<void> {
    const before = suspicions
    if (tools !== null) tools = await selfTest() // repeated only until it passes
    const found = tools ?? (await diskProblem(disk, folder, limits)) ?? spoolProblem(spoolBytes(), limits) ?? (isSuspect ? await writingProblem(disk, folder) : null)
    if (isOver || suspicions > before) return
    isSuspect = found !== null && isSuspect
    become(found)
  }
  function become(found: string | null): void {
    if (found === reason) return
    reason = found
    changed(found)
  }
  async function again(): Promise<void> {
    await look()
    if (!isOver) takeBack = clock.after(everyMs, () => void again())
  }
  return {
    reason: () => reason,
    suspect: (why) => {
      suspicions += 1
      isSuspect = true
      become(why)
    },
    looked: again(),
    stop: () => {
      isOver = true
      takeBack?.()
    },
  }
}

async function diskProblem(disk: Disk, folder: string, limits: HealthLimits): Promise<string | null> {
  try {
    const { bytes, totalBytes, inodes } = await disk.free(folder)
    const floor = Math.max(limits.freeBytes, limits.freeShare * totalBytes)
    if (bytes < floor) return `disk of ${folder}: ${gib(bytes)} free, ${gib(floor)} needed`
    if (inodes < limits.freeInodes) return `disk of ${folder}: only ${inodes} more files fit (inodes), ${limits.freeInodes} needed`
    return null
  } catch (error) {
    return `disk of ${folder} cannot be used: ${diskTrouble(error).why}`
  }
}

async function writingProblem(disk: Disk, folder: string): Promise<string | null> {
  const path = join(folder, 'probe')
  try {
    await disk.writeDurably(path, new Uint8Array(1))
    await disk.remove(path)
    return null
  } catch (error) {
    return `cannot write to ${folder}: ${diskTrouble(error).why}`
  }
}

function spoolProblem(bytes: number, limits: HealthLimits): string | null {
  return bytes < limits.spoolBytes ? null : `the spool holds ${gib(bytes)} of logs and results that the coordinator has not taken yet; ${gib(limits.spoolBytes)} is the limit`
}

function gib(bytes: number): string {
  return bytes < 0.1 * GIB ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`
}

/** Starts the shell and git once each. `environment` is what builds will find their programs by. */
export async function testTools(environment: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  const shell = await starts('/bin/sh', ['-c', 'exit 0'], environment)
  if (shell !== null) return `the shell /bin/sh does not start: ${shell}`
  const git = await starts('git', ['--version'], environment)
  return git === null ? null : `git does not start: ${git}. Install git, or put it on the agent's PATH`
}

function starts(program: string, words: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(program, [...words], { env: environment, stdio: 'ignore', timeout: 10_000 })
    child.once('error', (error) => resolve('code' in error && error.code === 'ENOENT' ? 'it is not there' : error.message))
    child.once('exit', (status, signal) => resolve(status === 0 ? null : signal === null ? `it ended with status ${status}` : `it was ended by ${signal}`))
  })
}
