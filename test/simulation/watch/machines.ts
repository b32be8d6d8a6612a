/**
 * What no machine may do, on its disk or with its processes: I1 (started twice), I5, I16, C14 and C16.2. A machine that
 * stands still, or whose disk or identity is a copy, can know nothing of it; for those only what must hold even so is asked.
 */
import { STATE, type SimMachine, type SimProcess } from '../machine.ts'
import { SECOND, type Truth } from './truth.ts'

export class Machines {
  readonly #truth: Truth
  readonly #started = new Set<string>()
  /** By attempt: spooled logs that were sent, each the longest of its kind. */
  readonly #formerLogs = new Map<string, readonly Uint8Array[]>()

  constructor(truth: Truth) {
    this.#truth = truth
  }

  // Processes.

  starts(machine: SimMachine, attempt: string): void {
    const truth = this.#truth
    if (this.#started.has(attempt)) truth.violate('I1', `${attempt} was started twice, the second time on ${machine.plan.name}`)
    this.#started.add(attempt)
    const stoppedAt = machine.process?.stoppedAt ?? null
    const heardAt = truth.heardAt.get(attempt) ?? 0
    if (stoppedAt !== null && heardAt > stoppedAt) truth.violate('C14', `${machine.plan.name} was told to stop, was given ${attempt} after that, and starts it`)
    const job = truth.jobOf(attempt)
    if (job?.spec.includes('"onPartition":"stop"') === true) this.#judgeTwoPlaces(machine, attempt, job.id)
  }

  /** D16 of docs/faults.md: what is for one place only does not run in two [C16.2]. */
  #judgeTwoPlaces(machine: SimMachine, attempt: string, job: string): void {
    const truth = this.#truth
    // A machine that slept goes on where it was, and fences itself within a second of waking: no lease can stop what is paused.
    if (Math.max(machine.process?.frozenUntil ?? 0, machine.thawedAt) + 5 * SECOND > truth.now) return
    const copied = new Set([...truth.machines()].flatMap((one) => (one.isCloneOf === null ? [] : [one, one.isCloneOf])))
    for (const other of truth.machines()) {
      // Where an identity was copied or rolled back, one boot ends what another still runs until it hears of it.
      if (copied.has(other) || other.isRolledBack) continue
      // What stands still cannot end anything, nor can a dead agent, nor one that has just begun; everybody else had the time.
      const canAct = other.process !== null && other.process.isAlive && Math.max(other.process.startedAt, other.process.frozenUntil, other.thawedAt) + 60 * SECOND < truth.now
      for (const command of other.table) if (canAct && command.attempt !== attempt && command.attempt.startsWith(`${job}.`)) truth.violate('D16', `${attempt} starts on ${machine.plan.name} while ${command.attempt} runs on ${other.plan.name}, and it may not run in two places`)
    }
  }

  commandEnds(attempt: string): void {
    this.#truth.endedAt.set(attempt, this.#truth.now)
  }

  /** A second agent on the folder of another must give way: D3 of docs/faults.md. */
  secondEnded({ plan }: SimMachine, code: number): void {
    if (code !== 2) this.#truth.violate('D3', `a second agent on the state folder of ${plan.name} ended with ${code}`)
  }

  crashed({ plan }: SimMachine, error: unknown): void {
    this.#truth.violate('crash', `the agent on ${plan.name} crashed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }

  // Disks.

  /** A name is about to go from its disk. */
  going({ disk, plan }: SimMachine, path: string): void {
    const attempt = path.startsWith(`${STATE}/spool/`) ? path.slice(`${STATE}/spool/`.length) : ''
    if (attempt === '' || attempt.includes('/')) return
    const result = disk.contents(`${path}/result.json`)
    if (result !== null && !this.#truth.verdicts.has(attempt) && isWhole(result)) this.#truth.violate('I5', `the result of ${attempt} goes from ${plan.name} without a verdict`)
  }

  /** What is spooled now is about to be sent; it may arrive when the disk has lost it. */
  sendsLog({ machine }: SimProcess, attempt: string): void {
    const spooled = spooledLog(machine, attempt)
    if (spooled === null) return
    const former = this.#formerLogs.get(attempt) ?? []
    if (!former.some((file) => isPrefix(spooled, file))) this.#formerLogs.set(attempt, [...former.filter((file) => !isPrefix(file, spooled)), spooled])
  }

  /** The coordinator has taken a part of the log. */
  stored(machine: SimMachine, attempt: string): void {
    const spooled = spooledLog(machine, attempt)
    const log = this.#truth.coordinator().logs.bytes(attempt)
    if (spooled === null || log === null || machine.torn.has(attempt)) return // what was torn, its seal puts right
    // A disk that was rolled back, or lost what was not synced, may hold less than was sent.
    if (![spooled, ...(this.#formerLogs.get(attempt) ?? [])].some((file) => isPrefix(log, file))) this.#truth.violate('I16', `the log of ${attempt} has ${log.byteLength} bytes that are not the first of the ${spooled.byteLength} that ${machine.plan.name} spooled`)
  }

  /** The coordinator says that it has the log whole. */
  sealed(machine: SimMachine, attempt: string): void {
    const spooled = spooledLog(machine, attempt)
    const log = this.#truth.coordinator().logs.bytes(attempt)
    if (spooled === null || log === null || machine.isRolledBack) return
    // What was sent before the power failed may be more than the disk has kept.
    const had = machine.torn.has(attempt) ? [spooled, ...(this.#formerLogs.get(attempt) ?? [])] : [spooled]
    if (!had.some((file) => Buffer.compare(log, file) === 0)) this.#truth.violate('I16', `the log of ${attempt} is sealed with ${log.byteLength} bytes, and ${machine.plan.name} has spooled ${spooled.byteLength} others`)
  }

  /** Whether another machine, of which it is a copy or which is a copy of it, has the attempt too. */
  hasCopyOf(attempt: string, machine: SimMachine): boolean {
    return [...this.#truth.machines()].some((other) => other !== machine && (other.isCloneOf ?? other) === (machine.isCloneOf ?? machine) && other.disk.below(`${STATE}/spool/${attempt}`).length > 0)
  }
}

function spooledLog({ disk }: SimMachine, attempt: string): Uint8Array | null {
  return disk.contents(`${STATE}/spool/${attempt}/log`)
}

function isPrefix(part: Uint8Array, whole: Uint8Array): boolean {
  return part.byteLength <= whole.byteLength && Buffer.compare(part, whole.subarray(0, part.byteLength)) === 0
}

/** A torn file is no result. */
function isWhole(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes))
    return true
  } catch {
    return false
  }
}
