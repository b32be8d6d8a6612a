/**
 * What may never happen, whatever the world does: the invariants of docs/protocol.md, checked from outside. It sees the
 * rows as SQLite changes them, the messages as they pass, the disks and the processes as they are; it shares no code with
 * what it watches, and changes nothing.
 */
import type { AgentAnswer, Caller } from '../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../coordinator/objects/sync.ts'
import type { SyncReply } from '../../schema/sync.ts'
import type { Onlooker, SimCoordinator } from './coordinator.ts'
import { STATE, type SimMachine, type SimProcess } from './machine.ts'
import type { VirtualTime } from './time.ts'

const SECOND = 1000
const LEASE_MS = 120 * SECOND
const GRACE_MS = 45 * SECOND
const HEARTBEAT_MS = 15 * SECOND
const MOST_LATE_MS = 100 * SECOND
const FINAL = new Set(['passed', 'failed', 'timed_out', 'canceled', 'skipped', 'broken', 'errored'])

interface Job {
  readonly id: string
  readonly build: string
  readonly class: number
  readonly ord: number
  readonly avoidAgent: string | null
  readonly state: string
  readonly fence: number
  readonly agent: string | null
  readonly bootSeq: number | null
  readonly cancel: boolean
  readonly digest: string | null
  readonly spec: string
  readonly result: string | null
  /** When it came into its state. */
  readonly since: number
  readonly canceledAt: number | null
  /** Last sync that named its current attempt. */
  readonly namedAt: number | null
}

/** What is known of one agent process by what it said and heard. */
interface Spoken {
  readonly agent: string
  readonly bootSeq: number
  /** Named in its last message, or given to it since. */
  held: Set<string>
  lastReplyAt: number | null
  lastReply: SyncReply | null
  givenSinceReply: number
  state: ParsedSync['state']
  slots: number
  tags: readonly string[]
  doorbell: boolean
}

export interface Violation {
  readonly rule: string
  readonly at: number
  readonly text: string
}

export class Watch implements Onlooker {
  readonly violations: Violation[] = []
  readonly jobs = new Map<string, Job>()
  readonly pins = new Map<string, string>()
  /** Of each attempt, once it was given: `agent/boot`. */
  readonly owners = new Map<string, string>()
  readonly accepted = new Map<string, { readonly attempt: string; readonly digest: string }>()
  /** Verdicts that left the coordinator. */
  readonly verdicts = new Map<string, string>()
  readonly spawned = new Set<string>()
  /** By build: the first commit that a current attempt named. */
  readonly #reported = new Map<string, string>()
  /** Attempts whose result was sent once. */
  readonly #resultsSent = new Map<string, SimMachine>()
  /** Attempts that a process heard to abandon, and when. */
  readonly #abandoned = new Map<string, { readonly process: SimProcess; readonly at: number }>()
  /** When each attempt's assignment was first heard. */
  readonly #heardAt = new Map<string, number>()
  /** By agent and boot: when each attempt was given to it. */
  readonly #givenAt = new Map<string, readonly number[]>()
  /** In the event that is under way. */
  #newlyGiven: string[] = []
  /** Processes that heard that another is their agent now. */
  readonly #superseded = new Map<SimProcess, number>()
  /** By agent, boot and life of the object: the newest message. */
  readonly #seqs = new Map<string, number>()
  /** The newest boot of each agent that was answered. */
  readonly #boots = new Map<string, number>()
  /** By agent: when it handed attempts back. */
  readonly #handedBack = new Map<string, readonly number[]>()
  readonly #endedAt = new Map<string, number>()
  lost = 0
  redelivered = 0
  readonly #time: VirtualTime
  readonly #machines: () => Iterable<SimMachine>
  readonly #coordinator: () => SimCoordinator
  readonly #processes = new Map<SimProcess, Spoken>()
  readonly #lastSync = new Map<string, { readonly key: string }>()
  #undo: (() => void)[] = []
  #suspected: Violation[] = []
  #isInEvent = false
  /** The event is a sync that was answered. */
  #wasSync = false
  /** When the last fault of it ended: everywhere, at the coordinator, at a machine. */
  readonly #faultyUntil = new Map<string, number>()
  readonly #outages: { readonly from: number; to: number }[] = []
  readonly #formerLogs = new Map<string, readonly Uint8Array[]>()
  readonly #waits = new Map<string, number>()

  constructor(time: VirtualTime, machines: () => Iterable<SimMachine>, coordinator: () => SimCoordinator) {
    this.#time = time
    this.#machines = machines
    this.#coordinator = coordinator
  }

  // What the world says of itself.

  /** `who` is a machine or "coordinator"; it goes on for so long. */
  fault(who: string, forMs = 0): void {
    this.#faultyUntil.set(who, Math.max(this.#faultyUntil.get(who) ?? -Infinity, this.#time.now + forMs))
  }

  outage(forMs: number): void {
    this.#outages.push({ from: this.#time.now, to: this.#time.now + forMs })
  }

  /** For how long nothing has been wrong with all of these. */
  quietFor(...whos: readonly string[]): number {
    return this.#time.now - Math.max(...whos.map((who) => this.#faultyUntil.get(who) ?? -Infinity))
  }

  violate(rule: string, text: string): void {
    const violation = { rule, at: this.#time.now, text }
    if (this.#isInEvent) this.#suspected.push(violation)
    else this.violations.push(violation)
  }

  // Rows.

  jobChanged(before: readonly unknown[] | null, row: readonly unknown[]): void {
    this.#isInEvent = true
    const [project, build, n, state, fence, agent, bootSeq, cancel, , digest, jobClass, ord, avoidAgent, spec, result] = row as [number, number, number, string, number, string | null, number | null, number, number, string | null, number, number, string | null, string, string | null]
    const id = `J${project}-${build}-${n}`
    const was = this.jobs.get(id)
    const now = this.#time.now
    const isNewState = was === undefined || was.state !== state || was.fence !== fence
    const job: Job = {
      id, build: `${project}-${build}`, class: jobClass, ord, avoidAgent, state, fence, agent, bootSeq, cancel: cancel === 1, digest, spec, result,
      since: isNewState ? now : was.since,
      canceledAt: cancel === 1 ? (was?.canceledAt ?? now) : null,
      namedAt: was !== undefined && was.fence === fence ? was.namedAt : null,
    }
    this.jobs.set(id, job)
    this.#undo.push(() => (was === undefined ? this.jobs.delete(id) : this.jobs.set(id, was)))
    if (before === null || was === undefined) return
    if (FINAL.has(was.state) && (state !== was.state || digest !== was.digest || fence !== was.fence || result !== was.result)) this.violate('I4', `${id} was ${was.state} with fence ${was.fence} and became ${state} with fence ${fence}`)
    if (fence < was.fence) this.violate('I1', `the fence of ${id} went from ${was.fence} to ${fence}`)
    if (state === 'live' && fence > was.fence) this.#given(job)
    else if (fence !== was.fence) this.violate('I1', `the fence of ${id} rose from ${was.fence} to ${fence} without an assignment`)
    if (was.state === 'queued' && state === 'live' && fence === was.fence && `${agent}/` !== `${this.owners.get(`${id}.${fence}`)?.split('/')[0]}/`) this.violate('I1', `${id}.${fence} was taken back by ${agent}, whose it never was`)
    if (was.state === 'live' && state === 'queued') {
      if (was.cancel) this.violate('I18', `${id} was cancelled and went back to the queue`)
    }
    if (state === 'queued' && cancel === 1) this.violate('I18', `${id} is cancelled and in the queue`)
    if (digest !== null && was.digest === null) {
      const attempt = `${id}.${fence}`
      const before2 = this.accepted.get(id)
      if (before2 !== undefined && (before2.attempt !== attempt || before2.digest !== digest)) this.violate('I2', `${id} accepted ${before2.attempt} and then ${attempt}`)
      this.accepted.set(id, { attempt, digest })
      this.#undo.push(() => (before2 === undefined ? this.accepted.delete(id) : this.accepted.set(id, before2)))
    } else if (digest !== was.digest) this.violate('I2', `the accepted result of ${id} was replaced`)
  }

  #given(job: Job): void {
    const attempt = `${job.id}.${job.fence}`
    const holder = `${job.agent}/${job.bootSeq}`
    const before = this.owners.get(attempt)
    if (before !== undefined) this.violate('I1', `${attempt} was given to ${before} and to ${holder}`)
    this.owners.set(attempt, holder)
    this.#undo.push(() => this.owners.delete(attempt))
    this.#givenAt.set(holder, [...(this.#givenAt.get(holder) ?? []), this.#time.now])
    this.#newlyGiven.push(attempt)
    for (const other of this.jobs.values()) {
      if (other.state === 'queued' && other.class === job.class && other.ord < job.ord && other.avoidAgent !== job.agent) this.violate('I28', `${job.agent} was given ${job.id}, and ${other.id} waits before it`)
    }
    const held = [...this.jobs.values()].filter((other) => other.state === 'live' && other.agent === job.agent).length
    const most = this.#spokenOf(job.agent, job.bootSeq)?.slots ?? Infinity
    if (held > most) this.violate('I15', `${job.agent} has ${most} slots and holds ${held} attempts`)
  }

  buildChanged(before: readonly unknown[], after: readonly unknown[]): void {
    const [project, number, was] = before as [number, number, string | null]
    const is = after[2] as string | null
    if (was !== null && is !== was) this.violate('I29', `build ${project}-${number} was of ${was} and is of ${is}`)
    if (is === null) return
    const build = `${project}-${number}`
    const old = this.pins.get(build)
    this.pins.set(build, is)
    this.#undo.push(() => (old === undefined ? this.pins.delete(build) : this.pins.set(build, old)))
  }

  attemptLost(row: readonly unknown[]): void {
    const [project, build, n, fence, agent, bootSeq, detail] = row as [number, number, number, number, string, number, string]
    this.lost += 1
    const why = (JSON.parse(detail) as { code: string }).code
    if (why === 'handed_back') this.#handBack(agent)
    if (why !== 'silent' && why !== 'restarted') return
    const job = this.jobs.get(`J${project}-${build}-${n}`)
    const machine = this.#machineOf(agent, bootSeq)
    if (job === undefined || machine === null) return
    const attempt = `${job.id}.${fence}`
    const [process, spoken] = machine
    if (!process.isAlive || !spoken.held.has(attempt)) return
    const quiet = this.quietFor('coordinator', process.machine.plan.name)
    if (quiet > LEASE_MS) this.violate('I9', `${attempt} was taken from ${process.machine.plan.name} (${why}), which holds it, and nothing has been wrong for ${Math.round(quiet / SECOND)} s`)
    if (why === 'restarted' && [...this.#machines()].some((other) => other.isCloneOf === (process.machine.isCloneOf ?? process.machine))) return // a copy of its identity is a boot of it
    if (why === 'restarted') return this.violate('I12', `${attempt} was taken from the very boot that holds it`)
    // One outage of any length, and GRACE after it: a holder that stayed up keeps its attempt.
    const since = job.namedAt ?? job.since
    const outages = this.#outages.filter(({ to }) => to > since)
    const other = this.quietFor(process.machine.plan.name)
    if (outages.length === 1 && other > this.#time.now - since && this.quietFor('object') > this.#time.now - since) this.violate('I10', `${attempt} was taken from ${process.machine.plan.name}, which holds it, for an outage of ${Math.round(((outages[0]?.to ?? 0) - (outages[0]?.from ?? 0)) / SECOND)} s`)
  }

  #handBack(agent: string): void {
    const lately = [...(this.#handedBack.get(agent) ?? []).filter((at) => at > this.#time.now - 10 * SECOND), this.#time.now]
    this.#handedBack.set(agent, lately)
    if (lately.length > 12) this.violate('C15', `${agent} was given work ${lately.length} times within 10 s and handed it back each time`)
  }

  eventEnded(how: 'committed' | 'undone'): void {
    this.#isInEvent = false
    if (how === 'undone') for (const undo of this.#undo.reverse()) undo()
    else this.violations.push(...this.#suspected)
    this.#undo = []
    this.#suspected = []
    this.#newlyGiven = []
    if (how === 'undone') return
    const { alarmAt } = this.#coordinator()
    const deadline = this.#coordinator().peek((cluster) => cluster.peek().deadline) ?? null
    if (deadline !== null && (alarmAt === null || alarmAt > deadline)) this.violate('I20', `the next deadline is at ${deadline}, and the alarm is ${alarmAt === null ? 'not armed' : `${alarmAt - deadline} ms later`}`)
    if (this.#wasSync && deadline !== null && deadline <= this.#coordinator().now()) this.violate('C4.11', 'a sync has passed, and a lease that had ended before it is still live')
    this.#wasSync = false
    const live = [...this.jobs.values()].some(({ state }) => state === 'live')
    if (live && alarmAt === null) this.violate('I20', 'attempts are live and no alarm is armed')
  }

  // Messages.

  synced({ machine, request, answer, rowsWritten }: { readonly machine: SimMachine; readonly request: ParsedSync; readonly caller: Caller; readonly answer: AgentAnswer<SyncReply>; readonly rowsWritten: number }): void {
    this.#isInEvent = this.#wasSync = true
    const seen = `${request.agent}/${request.boot_seq}/${this.#coordinator().lives}`
    const before = this.#seqs.get(seen) ?? 0
    if (request.seq > before) this.#seqs.set(seen, request.seq)
    else if (answer.ok && answer.value.assignments.length > 0) this.violate('C1.7', `message ${request.seq} of ${machine.plan.name} came after message ${before}, and was given ${answer.value.assignments.map(({ attempt }) => attempt).join(', ')}`)
    const key = JSON.stringify([request.boot_id, request.state, request.reason, request.slots, request.offer_rev])
    if (!answer.ok) return
    const { value: reply } = answer
    const newest = this.#boots.get(request.agent) ?? 0
    if (request.boot_seq < newest) this.violate('I12', `boot ${request.boot_seq} of ${request.agent} was answered after boot ${newest} had spoken`)
    else this.#boots.set(request.agent, request.boot_seq)
    const last = this.#lastSync.get(request.agent)
    this.#lastSync.set(request.agent, { key })
    const isIdle = request.running.length + request.finished.length + request.spooled.length + request.lost.length + reply.assignments.length === 0
    const anyLive = [...this.jobs.values()].some(({ state }) => state === 'live')
    if (isIdle && !anyLive && last?.key === key && rowsWritten > 0 && !this.#undo.length && request.offer === undefined) this.violate('I19', `an idle sync of ${machine.plan.name} wrote ${rowsWritten} rows`)

    const named = new Set<string>([...request.running.map(({ attempt }) => attempt), ...request.finished.map(({ attempt }) => attempt), ...request.spooled])
    for (const { attempt, commit } of [...request.running, ...request.finished.map(({ attempt: of, result }) => ({ attempt: of, commit: result.commit }))]) {
      const job = this.#jobOf(attempt)
      const isCurrent = job !== null && `${job.id}.${job.fence}` === attempt && job.agent === request.agent
      if (isCurrent && commit !== null && !this.#reported.has(job.build)) this.#reported.set(job.build, commit)
    }
    for (const attempt of named) {
      const job = this.#jobOf(attempt)
      if (job !== null && job.state === 'live' && `${job.id}.${job.fence}` === attempt && job.agent === request.agent) this.jobs.set(job.id, { ...job, namedAt: this.#time.now })
    }
    if (request.state !== 'ready' && this.#newlyGiven.length > 0) this.violate('C4.10', `${machine.plan.name} says that it is ${request.state}, and was given ${this.#newlyGiven.join(', ')}`)
    for (const { attempt, directive } of reply.directives) {
      const job = this.#jobOf(attempt)
      if (directive === 'abandon' && (job?.state === 'live' || job?.state === 'queued') && `${job.id}.${job.fence}` === attempt && job.agent === request.agent && !job.cancel) this.violate('I13', `${machine.plan.name} was told to abandon ${attempt}, which is its own`)
    }
    for (const { attempt, verdict } of reply.verdicts) {
      const job = this.#jobOf(attempt)
      const digest = request.finished.find((one) => one.attempt === attempt)?.digest
      if (verdict === 'accepted') {
        const recorded = job === null ? undefined : this.accepted.get(job.id)
        if (recorded?.attempt !== attempt || recorded.digest !== digest) this.violate('I2', `${attempt} was told "accepted", and that is not what is recorded`)
      } else if (job !== null && this.accepted.get(job.id)?.attempt === attempt && this.accepted.get(job.id)?.digest === digest) this.violate('I2', `the accepted result of ${attempt} was told "${verdict}" when it came again`)
      else if (job !== null && !FINAL.has(job.state) && `${job.id}.${job.fence}` === attempt) this.violate('I5', `the current result of ${attempt} was refused: ${verdict}`)
      this.verdicts.set(attempt, verdict)
    }
    for (const { attempt, spec } of reply.assignments) {
      const job = this.#jobOf(attempt)
      const pin = job === null ? undefined : (this.#reported.get(job.build) ?? this.pins.get(job.build))
      if (pin !== undefined && spec?.checkout && spec.checkout.commit !== pin) this.violate('I29', `${attempt} is to check out ${spec.checkout.commit}, and its build is of ${pin}`)
      if (this.owners.get(attempt) !== `${request.agent}/${request.boot_seq}`) this.violate('I1', `${attempt} was sent to ${request.agent}/${request.boot_seq}, and was given to ${this.owners.get(attempt)}`)
    }
    for (const job of this.jobs.values()) {
      if (job.state !== 'live' || job.agent !== request.agent || job.bootSeq === null || job.bootSeq >= request.boot_seq) continue
      if (!named.has(`${job.id}.${job.fence}`)) this.violate('I14', `${job.id}.${job.fence} of boot ${job.bootSeq} is still live after boot ${request.boot_seq} spoke`)
    }
  }

  /** A process of an agent sends a sync: what it names is what it holds. */
  sends(process: SimProcess, request: ParsedSync): void {
    const named = new Set<string>([...request.running.map(({ attempt }) => attempt), ...request.finished.map(({ attempt }) => attempt), ...request.spooled])
    const before = this.#processes.get(process)
    if (before !== undefined && before.bootSeq === request.boot_seq) {
      Object.assign(before, { held: named, state: request.state, slots: request.slots, doorbell: request.doorbell })
      return
    }
    this.#processes.set(process, { agent: request.agent, bootSeq: request.boot_seq, held: named, lastReplyAt: null, lastReply: null, givenSinceReply: 0, state: request.state, slots: request.slots, tags: process.machine.plan.tags, doorbell: request.doorbell })
    // It speaks of what its earlier boots left: nothing of that may run any more.
    for (const { attempt } of process.machine.table) if (!named.has(attempt)) this.violate('I23', `${process.machine.plan.name} begins to speak, and the command of ${attempt} still runs there`)
    for (const { attempt } of request.lost) {
      const machine = this.#resultsSent.get(attempt)
      if (machine === process.machine && !machine.isRolledBack && !this.verdicts.has(attempt)) this.violate('I5', `${machine.plan.name} had a result of ${attempt}, and now says that it is lost`)
    }
  }

  /** It finished: nothing of it may run, and whoever waits for the slot waits for no more than this message. */
  sendsResult(process: SimProcess, attempt: string): void {
    const { table, plan } = process.machine
    if ([...table].some((command) => command.attempt === attempt)) this.violate('I23', `${plan.name} delivers ${attempt}, and its command runs`)
    if (this.#resultsSent.has(attempt)) return
    this.#resultsSent.set(attempt, process.machine)
    const endedAt = this.#endedAt.get(attempt)
    const late = endedAt === undefined ? 0 : Math.min(this.#time.now - endedAt, this.quietFor('coordinator', plan.name) - 60 * SECOND)
    if (late > 12 * SECOND) this.violate('I7', `${plan.name} tells that ${attempt} ended ${Math.round(late / SECOND)} s after it did, and nothing is wrong`)
  }

  commandEnds(attempt: string): void {
    this.#endedAt.set(attempt, this.#time.now)
  }

  hears(process: SimProcess, reply: SyncReply): void {
    const spoken = this.#processes.get(process)
    if (spoken === undefined) return
    this.#superseded.delete(process)
    spoken.lastReply = reply
    spoken.lastReplyAt = this.#time.now
    spoken.givenSinceReply = 0
    for (const { attempt } of reply.assignments) {
      spoken.held.add(attempt)
      if (!this.#heardAt.has(attempt)) this.#heardAt.set(attempt, this.#time.now)
    }
    for (const { attempt, directive } of reply.directives) if (directive === 'abandon' && !this.#abandoned.has(attempt)) this.#abandoned.set(attempt, { process, at: this.#time.now })
  }

  /** The coordinator's refusal has arrived. */
  hearsRefusal(process: SimProcess, code: string): void {
    if ((code === 'session_superseded' || code === 'identity_conflict') && !this.#superseded.has(process)) this.#superseded.set(process, this.#time.now)
  }

  /** The reply is on its way, heard or not. */
  replied(process: SimProcess, reply: SyncReply): void {
    const spoken = this.#processes.get(process)
    if (spoken === undefined) return
    spoken.givenSinceReply += reply.assignments.filter(({ attempt }) => !spoken.held.has(attempt)).length
    // Redelivery counts each time it is sent: a batch is at most its slots.
    if (this.#assignedUnheard(spoken) > 2 * spoken.slots) this.violate('I27', `${process.machine.plan.name} hears nothing and was given ${this.#assignedUnheard(spoken)} attempts`)
  }

  #assignedUnheard(spoken: Spoken): number {
    const since = spoken.lastReplyAt ?? 0
    let count = 0
    for (const at of this.#givenAt.get(`${spoken.agent}/${spoken.bootSeq}`) ?? []) if (at > since) count += 1
    return count
  }

  // Disks and processes.

  starts(machine: SimMachine, attempt: string): void {
    if (this.spawned.has(attempt)) this.violate('I1', `${attempt} was started twice, the second time on ${machine.plan.name}`)
    this.spawned.add(attempt)
    const stoppedAt = machine.process?.stoppedAt ?? null
    const heardAt = this.#heardAt.get(attempt) ?? 0
    if (stoppedAt !== null && heardAt > stoppedAt) this.violate('C14', `${machine.plan.name} was told to stop, was given ${attempt} after that, and starts it`)
    const job = this.#jobOf(attempt)
    if (job === null || !job.spec.includes('"onPartition":"stop"')) return
    // A machine that slept goes on where it was, and fences itself within a second of waking: no lease can stop what is paused.
    if (Math.max(machine.process?.frozenUntil ?? 0, machine.thawedAt) + 5 * SECOND > this.#time.now) return
    const copied = new Set([...this.#machines()].flatMap((one) => (one.isCloneOf === null ? [] : [one, one.isCloneOf])))
    for (const other of this.#machines()) {
      // Where an identity was copied or rolled back, one boot ends what another still runs until it hears of it.
      if (copied.has(other) || other.isRolledBack) continue
      // What stands still cannot end anything, and neither can a dead agent; everybody else had the time.
      const canAct = other.process !== null && other.process.isAlive && Math.max(other.process.frozenUntil, other.thawedAt) + 60 * SECOND < this.#time.now
      for (const command of other.table) if (canAct && command.attempt !== attempt && command.attempt.startsWith(`${job.id}.`)) this.violate('D16', `${attempt} starts on ${machine.plan.name} while ${command.attempt} runs on ${other.plan.name}, and it may not run in two places`)
    }
  }

  going(machine: SimMachine, path: string): void {
    const attempt = path.startsWith(`${STATE}/spool/`) ? path.slice(`${STATE}/spool/`.length) : ''
    if (attempt === '' || attempt.includes('/')) return
    const result = machine.disk.contents(`${path}/result.json`)
    if (result !== null && !this.verdicts.has(attempt) && isWhole(result)) this.violate('I5', `the result of ${attempt} goes from ${machine.plan.name} without a verdict`)
  }

  stored(machine: SimMachine, attempt: string): void {
    const spooled = machine.disk.contents(`${STATE}/spool/${attempt}/log`)
    const log = this.#coordinator().logs.bytes(attempt)
    if (spooled === null || log === null || machine.torn.has(attempt)) return // what was torn, its seal puts right
    // A disk that was rolled back, or lost what was not synced, may hold less than was sent.
    if (![spooled, ...(this.#formerLogs.get(attempt) ?? [])].some((file) => isPrefix(log, file))) this.violate('I16', `the log of ${attempt} has ${log.byteLength} bytes that are not the first of the ${spooled.byteLength} that ${machine.plan.name} spooled`)
  }

  /** What is spooled now is about to be sent; it may arrive when the disk has lost it. */
  sendsLog(process: SimProcess, attempt: string): void {
    const spooled = process.machine.disk.contents(`${STATE}/spool/${attempt}/log`)
    if (spooled === null) return
    const former = this.#formerLogs.get(attempt) ?? []
    if (!former.some((file) => isPrefix(spooled, file))) this.#formerLogs.set(attempt, [...former.filter((file) => !isPrefix(file, spooled)), spooled])
  }

  /** The coordinator says that it has the log whole. */
  sealed(machine: SimMachine, attempt: string): void {
    const spooled = machine.disk.contents(`${STATE}/spool/${attempt}/log`)
    const log = this.#coordinator().logs.bytes(attempt)
    if (spooled === null || log === null || machine.isRolledBack) return
    if (Buffer.compare(log, spooled) !== 0) this.violate('I16', `the log of ${attempt} is sealed with ${log.byteLength} bytes, and ${machine.plan.name} has spooled ${spooled.byteLength} others`)
  }

  // Bounds of time, looked at now and then.

  look(): void {
    const now = this.#time.now
    const coordinator = this.#coordinator()
    if (!coordinator.isUp) return
    const live = [...this.jobs.values()].filter(({ state }) => state === 'live')
    for (const job of live) {
      const attempt = `${job.id}.${job.fence}`
      if (job.namedAt === null) this.#bound(`untaken ${attempt}`, Math.min(now - job.since, this.quietFor('coordinator')), LEASE_MS + 2 * GRACE_MS + 15 * SECOND, 'C4.8', `nobody ever named ${attempt}, and it is still live`)
      const found = this.#machineOf(job.agent, job.bootSeq)
      const holder = found?.[0].isAlive === true ? found : null
      const coordinatorQuiet = this.quietFor('coordinator')
      if (holder === null) {
        // I6: it goes back to the queue within L, with late messages and a grace for each silence.
        const since = this.#waits.get(`gone ${attempt}`) ?? now
        this.#waits.set(`gone ${attempt}`, since)
        this.#bound(`gone ${attempt}`, Math.min(now - since, coordinatorQuiet), LEASE_MS + MOST_LATE_MS + 2 * GRACE_MS + 15 * SECOND, 'I6', `${attempt} has no holder, and is still live`)
        continue
      }
      const [process, spoken] = holder
      const quiet = this.quietFor('coordinator', process.machine.plan.name)
      if (!spoken.held.has(attempt)) this.#bound(`unheard ${attempt}`, Math.min(now - job.since, quiet), 30 * SECOND, 'I11', `${process.machine.plan.name} was given ${attempt}, nothing is wrong, and it does not have it`)
      if (job.canceledAt !== null) this.#bound(`cancel ${attempt}`, Math.min(now - job.canceledAt, quiet), HEARTBEAT_MS + 40 * SECOND, 'I18', `${job.id} was cancelled, nothing is wrong, and it is still live`)
    }
    for (const [process, at] of this.#superseded) {
      if (!process.isAlive || process.frozenUntil > now - 60 * SECOND) continue
      for (const { attempt, startedBy } of process.machine.table) if (startedBy === process) this.#bound(`superseded ${attempt}`, now - at, 20 * SECOND, 'I23', `${process.machine.plan.name} was superseded, and its command of ${attempt} still runs`)
    }
    for (const [attempt, { process, at }] of this.#abandoned) {
      if (!process.isAlive || process.frozenUntil > now - 60 * SECOND) this.#abandoned.delete(attempt)
      else if ([...process.machine.table].some((command) => command.attempt === attempt)) this.#bound(`abandoned ${attempt}`, now - at, 20 * SECOND, 'I23', `${process.machine.plan.name} was told to abandon ${attempt}, and its command still runs`)
      else this.#abandoned.delete(attempt)
    }
    for (const [process, spoken] of this.#processes) {
      if (!process.isAlive) {
        this.#processes.delete(process)
        continue
      }
      if (process.frozenUntil > now) continue
      this.#lookForIdle(process, spoken, live)
    }
  }

  /** I7: an agent with room does not stay idle beyond its own pace while a job that it can run waits. */
  #lookForIdle(process: SimProcess, spoken: Spoken, live: readonly Job[]): void {
    const { name, tags } = process.machine.plan
    const reply = spoken.lastReply
    const mine = live.filter(({ agent }) => agent === spoken.agent).length
    const isFit = reply !== null && spoken.state === 'ready' && !reply.drain && reply.held_back === null && mine + [...spoken.held].filter((attempt) => this.#jobOf(attempt)?.state !== 'live').length < spoken.slots
    const waiting = isFit ? [...this.jobs.values()].find((job) => job.state === 'queued' && job.avoidAgent !== spoken.agent && (!needsLinux(job.class, this.classTags) || tags.includes('os=linux'))) : undefined
    const key = `idle ${name}`
    if (waiting === undefined || reply === null) return void this.#waits.delete(key)
    const since = this.#waits.get(key) ?? this.#time.now
    this.#waits.set(key, since)
    const idleFor = Math.min(this.#time.now - since, this.#time.now - waiting.since, this.quietFor('coordinator', name))
    // A ring that was lost costs no more than the pace [C9].
    const areRingsHeard = spoken.doorbell && this.quietFor('coordinator', 'object', `rings ${name}`) > Math.max(LEASE_MS, reply.next_sync_ms)
    const bound = (areRingsHeard ? 20 * SECOND : reply.next_sync_ms) + 15 * SECOND
    if (idleFor > bound) this.violate('I7', `${name} has been idle for ${Math.round(idleFor / SECOND)} s, its pace is ${Math.round(reply.next_sync_ms / SECOND)} s, and ${waiting.id} waits`)
  }

  /** Tags of a class, by its number, as the cluster has them. */
  classTags: (jobClass: number) => readonly string[] = () => []

  #bound(key: string, lasted: number, most: number, rule: string, text: string): void {
    if (lasted <= most || this.#waits.has(`said ${key}`)) return
    this.#waits.set(`said ${key}`, this.#time.now)
    this.violate(rule, `${text} after ${Math.round(lasted / SECOND)} s`)
  }

  #jobOf(attempt: string): Job | null {
    return this.jobs.get(attempt.slice(0, attempt.lastIndexOf('.'))) ?? null
  }

  #spokenOf(agent: string | null, bootSeq: number | null): Spoken | null {
    for (const spoken of this.#processes.values()) if (spoken.agent === agent && spoken.bootSeq === bootSeq) return spoken
    return null
  }

  #machineOf(agent: string | null, bootSeq: number | null): readonly [SimProcess, Spoken] | null {
    for (const [process, spoken] of this.#processes) if (spoken.agent === agent && spoken.bootSeq === bootSeq) return [process, spoken]
    return null
  }

  isFinal(job: { readonly state: string }): boolean {
    return FINAL.has(job.state)
  }
}

function needsLinux(jobClass: number, tagsOf: (jobClass: number) => readonly string[]): boolean {
  return tagsOf(jobClass).length > 0
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
