/** The leases of all live attempts, by job and by agent: each sync asks what its agent holds, and must not look at all of them. */
import { jobId, type AgentId, type JobId } from '../../schema/job.ts'
import type { Lease } from '../core/lease.ts'

export class Leases {
  readonly #byJob = new Map<JobId, Lease>()
  readonly #byAgent = new Map<AgentId, Map<JobId, Lease>>()

  get size(): number {
    return this.#byJob.size
  }

  get(job: JobId): Lease | undefined {
    return this.#byJob.get(job)
  }

  values(): Iterable<Lease> {
    return this.#byJob.values()
  }

  /** Those that the agent holds. */
  of(agent: AgentId): readonly Lease[] {
    return [...(this.#byAgent.get(agent)?.values() ?? [])]
  }

  set(lease: Lease): void {
    const id = jobId(lease)
    this.delete(id) // it may have been another agent's
    this.#byJob.set(id, lease)
    const own = this.#byAgent.get(lease.agent)
    if (own) own.set(id, lease)
    else this.#byAgent.set(lease.agent, new Map([[id, lease]]))
  }

  delete(job: JobId): void {
    const lease = this.#byJob.get(job)
    if (!lease) return
    this.#byJob.delete(job)
    const own = this.#byAgent.get(lease.agent)
    own?.delete(job)
    if (own?.size === 0) this.#byAgent.delete(lease.agent)
  }
}
