/**
 * What must hold when it is over: every job final, every spool empty and nothing running [I8], each log what its command
 * printed and nothing of another [I16, I17], no secret in any of them [I22], and one build for each that was asked for.
 */
import { parseJson } from '../../../schema/parse-json.ts'
import { STATE } from '../machine.ts'
import type { People } from '../people.ts'
import type { Steps } from './steps.ts'
import { isFinal, type Truth } from './truth.ts'

const SECRET = /kdg_(sec|att)_[\w.-]+/
const SECRETS = new RegExp(SECRET, 'g')

export class End {
  readonly #truth: Truth
  readonly #people: () => People
  /** By attempt. */
  readonly #printed = new Map<string, string>()
  readonly #forgotten = new Set<string>()

  readonly #steps: Steps

  constructor(truth: Truth, people: () => People, steps: Steps) {
    this.#truth = truth
    this.#people = people
    this.#steps = steps
  }

  /** The agent took these bytes of the attempt's output. */
  printed(attempt: string, text: string): void {
    this.#printed.set(attempt, (this.#printed.get(attempt) ?? '') + text)
  }

  /** A disk that was rolled back or taken away holds less of the attempt than it did: not the agent's doing. */
  forgets(attempt: string): void {
    this.#forgotten.add(attempt)
  }

  /** The first thing that has not ended; nothing: ''. */
  whatIsLeft(): string {
    for (const { plan, numbers } of this.#people().builds.values()) if (numbers.size === 0) return `build ${plan.key} was never answered`
    for (const job of this.#truth.jobs.values()) if (!isFinal(job)) return `${job.id} is ${job.state} for ever, with fence ${job.fence} at ${job.agent}`
    for (const [build, state] of this.#truth.builds) if (state === null) return `build ${build} is not over for ever, and each of its jobs is`
    for (const { plan, disk, table, isWanted } of this.#truth.machines()) {
      if (!isWanted) continue
      const left = disk.below(`${STATE}/spool`)
      if (left.length > 0) return `${plan.name} keeps ${left.join(', ')} for ever`
      if (table.size > 0) return `${[...table].map(({ attempt }) => attempt).join(', ')} runs for ever on ${plan.name}`
    }
    return this.#whatIsUntold()
  }

  /** A build whose webhook has not heard what has become of it. */
  #whatIsUntold(): string {
    const coordinator = this.#truth.coordinator()
    for (const { name, state } of coordinator.tellingBuilds()) {
      const heard = coordinator.webhooks.heard.get(name)?.word
      if (heard !== state) return `${name} is ${state ?? 'not over'}, and its webhook heard last that it is ${heard ?? 'there'}`
    }
    return ''
  }

  /** There was time for everything. */
  judge(): void {
    const truth = this.#truth
    const left = this.whatIsLeft()
    if (left !== '') return truth.violate('I8', left)
    this.#steps.judge()
    for (const { plan, numbers } of this.#people().builds.values()) if (numbers.size > 1) truth.violate('once', `${plan.key} was asked for once and is builds ${[...numbers].join(' and ')}`)
    for (const [id, { attempt }] of truth.accepted) this.#judgeLog(id, attempt)
    for (const { plan, disk } of truth.machines()) {
      for (const path of disk.below(STATE)) {
        if (!path.endsWith('/log')) continue
        const leak = SECRET.exec(new TextDecoder().decode(disk.contents(path) ?? new Uint8Array()))
        if (leak !== null) truth.violate('I22', `${path} on ${plan.name} holds ${leak[0].slice(0, 20)}…`)
      }
    }
  }

  #isOnRevokedMachine(attempt: string): boolean {
    return [...this.#truth.machines()].some(({ isWanted, disk }) => !isWanted && disk.below(`${STATE}/spool/${attempt}`).length > 0)
  }

  /** Of an accepted attempt. */
  #judgeLog(id: string, attempt: string): void {
    const truth = this.#truth
    const { logs } = truth.coordinator()
    const job = truth.jobs.get(id)
    const result = job?.result === null || job === undefined ? null : (parseJson(job.result) as { log_bytes: number; log_sha256: string; reason: { code: string; message: string } | null }) // as the agent made it
    const stored = logs.bytes(attempt)
    if (this.#forgotten.has(attempt)) return
    if (result?.reason?.code === 'agent_disk' || result?.reason?.message.includes('its log is not whole') === true) return
    if (this.#isOnRevokedMachine(attempt)) return // nobody takes anything from there any more
    if (result === null || result.log_bytes === 0) {
      if (stored !== null && stored.byteLength > 0) truth.violate('I16', `${attempt} says that it has no log, and ${stored.byteLength} bytes are stored`)
      return
    }
    const isSealed = logs.isSealed(attempt)
    if (stored === null || stored.byteLength !== result.log_bytes || !isSealed) return truth.violate('I16', `the log of ${attempt} has ${stored?.byteLength ?? 0} bytes${isSealed ? '' : ', not sealed'}; its result says ${result.log_bytes}`)
    const text = new TextDecoder().decode(stored)
    if (/kdg_(sec|att)_/.test(text)) truth.violate('I22', `the log of ${attempt} holds a secret`)
    const own = text.split('\n').filter((line) => !line.startsWith('kedge: ')).join('\n')
    const printed = (this.#printed.get(attempt) ?? '').replace(SECRETS, '***')
    if (own !== printed) truth.violate('I16', `the log of ${attempt} is not what was printed:\n${own}\ninstead of\n${printed}`)
  }
}
