/**
 * What no message may say: I1, I2, I5, I7, I12, I13, I14, I19, I23, I27, I29, C1.7, C4.1 and C4.10. The coordinator is heard as
 * it answers (`synced`, within the event), the agents as they send and hear; a reply that has left is not one that was
 * heard.
 */
import type { AgentAnswer } from '../../../coordinator/objects/scheduler-api.ts'
import type { ParsedSync } from '../../../coordinator/objects/sync.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import type { SimMachine, SimProcess } from '../machine.ts'
import { attemptOf, isFinal, namedIn, SECOND, type Spoken, type Truth } from './truth.ts'

export interface Synced {
  readonly machine: SimMachine
  readonly request: ParsedSync
  readonly answer: AgentAnswer<SyncReply>
  readonly rowsWritten: number
}

export class Messages {
  readonly #truth: Truth
  /** By agent, boot and life of the object: the newest message. */
  readonly #seqs = new Map<string, number>()
  /** The newest boot of each agent that was answered. */
  readonly #boots = new Map<string, number>()
  /** Agents of whom another process spoke since: that may have been noted, and is then unsaid [C1.8]. */
  readonly #rivals = new Set<string>()
  /** By agent: what its last sync said of itself. */
  readonly #states = new Map<string, string>()
  /** By build: the first commit that a current attempt named. */
  readonly #reported = new Map<string, string>()
  /** Attempts whose result was sent once. */
  readonly #resultsSent = new Map<string, SimMachine>()

  constructor(truth: Truth) {
    this.#truth = truth
  }

  // At the coordinator.

  synced({ machine, request, answer, rowsWritten }: Synced): void {
    this.#truth.beginEvent()
    const isOvertaken = this.#judgeOrder(machine, request, answer)
    if (!answer.ok) {
      this.#judgeRefused(machine, request, answer.code, rowsWritten)
      this.#rivals.add(request.agent)
      return
    }
    const { value: reply } = answer
    this.#judgeBoot(request)
    if (!isOvertaken) this.#judgeIdle(machine, request, reply, rowsWritten) // what it says of its agent is not heeded
    this.#learnNames(request)
    this.#judgeWork(machine, request)
    this.#judgeDirectives(machine, request, reply)
    this.#judgeVerdicts(request, reply)
    this.#judgeAssignments(request, reply)
    this.#judgeOlderBoots(request)
    this.#rivals.delete(request.agent)
  }

  /** Nothing comes of it; that one stands by may be noted [C1.8], and so may that the clock was set back [C16.1]. */
  #judgeRefused({ plan }: SimMachine, { state }: ParsedSync, code: string, rowsWritten: number): void {
    const truth = this.#truth
    if (truth.hasLearnt() || (rowsWritten > 0 && state !== 'standby' && truth.quietFor('object') > 0)) truth.violate('C4.1', `a sync of ${plan.name} was refused (${code}), and wrote ${rowsWritten} rows`)
  }

  /** Whether a newer one of the same process came before. */
  #judgeOrder({ plan }: SimMachine, request: ParsedSync, answer: AgentAnswer<SyncReply>): boolean {
    if (!answer.ok) return false // a copy counts its own messages
    const of = `${request.agent}/${request.boot_seq}/${request.boot_id}/${this.#truth.coordinator().lives}`
    const before = this.#seqs.get(of) ?? 0
    if (request.seq > before) {
      this.#seqs.set(of, request.seq)
      return false
    }
    if (answer.value.assignments.length > 0) this.#truth.violate('C1.7', `message ${request.seq} of ${plan.name} came after message ${before}, and was given ${answer.value.assignments.map(({ attempt }) => attempt).join(', ')}`)
    return true
  }

  #judgeBoot({ agent, boot_seq: boot }: ParsedSync): void {
    const newest = this.#boots.get(agent) ?? 0
    if (boot < newest) this.#truth.violate('I12', `boot ${boot} of ${agent} was answered after boot ${newest} had spoken`)
    else this.#boots.set(agent, boot)
  }

  #judgeIdle({ plan }: SimMachine, request: ParsedSync, reply: SyncReply, rowsWritten: number): void {
    const truth = this.#truth
    const state = JSON.stringify([request.boot_id, request.state, request.reason, request.slots, request.offer_rev])
    const isSame = this.#states.get(request.agent) === state
    this.#states.set(request.agent, state)
    const isIdle = request.running.length + request.finished.length + request.spooled.length + request.lost.length + reply.assignments.length === 0
    if (isIdle && truth.live().length === 0 && isSame && rowsWritten > 0 && !truth.hasLearnt() && !this.#rivals.has(request.agent) && request.offer === undefined) truth.violate('I19', `an idle sync of ${plan.name} wrote ${rowsWritten} rows`)
  }

  #learnNames(request: ParsedSync): void {
    const truth = this.#truth
    for (const { attempt, commit } of [...request.running, ...request.finished.map(({ attempt: of, result }) => ({ attempt: of, commit: result.commit }))]) {
      const job = truth.currentOf(attempt, request.agent)
      if (job !== null && commit !== null && !this.#reported.has(job.build)) this.#reported.set(job.build, commit)
    }
    for (const attempt of namedIn(request)) {
      const job = truth.currentOf(attempt, request.agent)
      if (job?.state === 'live') truth.jobs.set(job.id, { ...job, namedAt: truth.now })
    }
  }

  #judgeWork({ plan }: SimMachine, { state }: ParsedSync): void {
    const { newlyGiven } = this.#truth
    if (state !== 'ready' && newlyGiven.length > 0) this.#truth.violate('C4.10', `${plan.name} says that it is ${state}, and was given ${newlyGiven.join(', ')}`)
  }

  #judgeDirectives({ plan }: SimMachine, request: ParsedSync, reply: SyncReply): void {
    for (const { attempt, directive } of reply.directives) {
      const job = this.#truth.currentOf(attempt, request.agent)
      if (directive === 'abandon' && (job?.state === 'live' || job?.state === 'queued') && !job.cancel) this.#truth.violate('I13', `${plan.name} was told to abandon ${attempt}, which is its own`)
    }
  }

  #judgeVerdicts(request: ParsedSync, reply: SyncReply): void {
    const truth = this.#truth
    for (const { attempt, verdict } of reply.verdicts) {
      const job = truth.jobOf(attempt)
      const digest = request.finished.find((one) => one.attempt === attempt)?.digest
      const recorded = job === null ? undefined : truth.accepted.get(job.id)
      const isRecorded = recorded?.attempt === attempt && recorded.digest === digest
      if (verdict === 'accepted') {
        if (!isRecorded) truth.violate('I2', `${attempt} was told "accepted", and that is not what is recorded`)
      } else if (isRecorded) truth.violate('I2', `the accepted result of ${attempt} was told "${verdict}" when it came again`)
      else if (job !== null && !isFinal(job) && attemptOf(job) === attempt) truth.violate('I5', `the current result of ${attempt} was refused: ${verdict}`)
      truth.verdicts.set(attempt, verdict)
    }
  }

  #judgeAssignments({ agent, boot_seq: boot }: ParsedSync, reply: SyncReply): void {
    const truth = this.#truth
    for (const { attempt, spec } of reply.assignments) {
      const job = truth.jobOf(attempt)
      const pin = job === null ? undefined : (this.#reported.get(job.build) ?? truth.pins.get(job.build))
      if (pin !== undefined && spec?.checkout && spec.checkout.commit !== pin) truth.violate('I29', `${attempt} is to check out ${spec.checkout.commit}, and its build is of ${pin}`)
      if (truth.owners.get(attempt) !== `${agent}/${boot}`) truth.violate('I1', `${attempt} was sent to ${agent}/${boot}, and was given to ${truth.owners.get(attempt)}`)
    }
  }

  #judgeOlderBoots(request: ParsedSync): void {
    for (const job of this.#truth.live()) {
      if (job.agent !== request.agent || job.bootSeq === null || job.bootSeq >= request.boot_seq) continue
      if (!namedIn(request).has(attemptOf(job))) this.#truth.violate('I14', `${attemptOf(job)} of boot ${job.bootSeq} is still live after boot ${request.boot_seq} spoke`)
    }
  }

  // At the agents.

  /** A process sends a sync: what it names is what it holds. */
  sends(process: SimProcess, request: ParsedSync): void {
    const truth = this.#truth
    const { machine } = process
    const { state, slots, doorbell } = request
    const held = namedIn(request)
    const before = truth.processes.get(process)
    if (before !== undefined && before.bootSeq === request.boot_seq) {
      Object.assign(before, { held, state, slots, doorbell })
      return
    }
    truth.processes.set(process, { agent: request.agent, bootSeq: request.boot_seq, held, lastReplyAt: null, lastReply: null, state, slots, doorbell })
    // It speaks of what its earlier boots left: nothing of that may run any more.
    for (const { attempt } of machine.table) if (!held.has(attempt)) truth.violate('I23', `${machine.plan.name} begins to speak, and the command of ${attempt} still runs there`)
    for (const { attempt } of request.lost) {
      if (this.#resultsSent.get(attempt) === machine && !machine.isRolledBack && !truth.verdicts.has(attempt)) truth.violate('I5', `${machine.plan.name} had a result of ${attempt}, and now says that it is lost`)
    }
  }

  /** It finished: nothing of it may run, and whoever waits for the slot waits for no more than this message. */
  sendsResult({ machine }: SimProcess, attempt: string): void {
    const truth = this.#truth
    const { table, plan } = machine
    if ([...table].some((command) => command.attempt === attempt)) truth.violate('I23', `${plan.name} delivers ${attempt}, and its command runs`)
    if (this.#resultsSent.has(attempt)) return
    this.#resultsSent.set(attempt, machine)
    const endedAt = truth.endedAt.get(attempt)
    const lateMs = endedAt === undefined ? 0 : Math.min(truth.now - endedAt, truth.quietFor('coordinator', plan.name) - 60 * SECOND)
    if (lateMs > 12 * SECOND) truth.violate('I7', `${plan.name} tells that ${attempt} ended ${Math.round(lateMs / SECOND)} s after it did, and nothing is wrong`)
  }

  hears(process: SimProcess, reply: SyncReply): void {
    const truth = this.#truth
    const spoken = truth.processes.get(process)
    if (spoken === undefined) return
    truth.superseded.delete(process)
    spoken.lastReply = reply
    spoken.lastReplyAt = truth.now
    for (const { attempt } of reply.assignments) {
      spoken.held.add(attempt)
      if (!truth.heardAt.has(attempt)) truth.heardAt.set(attempt, truth.now)
    }
    for (const { attempt, directive } of reply.directives) if (directive === 'abandon' && !truth.abandoned.has(attempt)) truth.abandoned.set(attempt, { process, at: truth.now })
  }

  /** The coordinator's refusal has arrived. */
  hearsRefusal(process: SimProcess, code: string): void {
    const { superseded, now } = this.#truth
    if ((code === 'session_superseded' || code === 'identity_conflict') && !superseded.has(process)) superseded.set(process, now)
  }

  /** The reply is on its way, heard or not. */
  replied(process: SimProcess): void {
    const spoken = this.#truth.processes.get(process)
    if (spoken === undefined) return
    const unheard = this.#givenUnheard(spoken)
    // A batch is at most its slots.
    if (unheard > 2 * spoken.slots) this.#truth.violate('I27', `${process.machine.plan.name} hears nothing and was given ${unheard} attempts`)
  }

  #givenUnheard({ agent, bootSeq, lastReplyAt }: Spoken): number {
    const since = lastReplyAt ?? 0
    return (this.#truth.givenAt.get(`${agent}/${bootSeq}`) ?? []).filter((at) => at > since).length
  }
}
