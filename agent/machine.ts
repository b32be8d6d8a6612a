/**
 * What an agent does to the machine it runs on, beyond disk and network: it prepares folders, starts commands and ends
 * whole trees of processes. Handed in like the platform, so that the agent's own rules can be tested without a shell.
 */
import type { AgentId, AttemptId } from '../schema/job.ts'
import type { JobSpec, Offer } from '../schema/sync.ts'
import type { Processes } from './lock.ts'
import type { RunningCommand } from './runner/attempt.ts'
import type { StartedProcess } from './spool/results.ts'

export interface PrepareRequest {
  readonly spec: JobSpec
  readonly attempt: AttemptId
  /** The slot's number: one work tree each, never shared by two attempts at a time. */
  readonly slot: number
  log(text: string): void
  readonly signal: AbortSignal
}

/** What jobs are told of the agent that runs them. */
export interface AgentIdentity {
  readonly id: AgentId
  readonly name: string
  readonly queue: string
  /** KEY=VALUE each. */
  readonly tags: readonly string[]
}

export interface CommandRequest {
  readonly spec: JobSpec
  readonly attempt: AttemptId
  /** The attempt's. */
  readonly token: string
  readonly slot: number
  readonly agent: AgentIdentity
  readonly folder: string
  readonly commit: string | null
  readonly timeoutMs: number
  readonly graceMs: number
  output(chunk: Uint8Array): Promise<void>
}

export interface Machine {
  readonly host: Omit<Offer['host'], 'version'>
  readonly processes: Processes
  /** Why builds cannot run here at all; null when they can. */
  selfTest(): Promise<string | null>
  /** Ends what attempts of an earlier boot left running. Resolves with what could not be ended: `sleep (pid 4711)`. */
  killLeftovers(agent: AgentId, attempts: readonly { readonly attempt: AttemptId; readonly process: StartedProcess | null }[]): Promise<readonly { readonly attempt: AttemptId; readonly survivors: readonly string[] }[]>
  /** The folder to run in, as clean as a fresh one. Throws an error with a `code` and a sentence. */
  prepare(request: PrepareRequest): Promise<{ readonly folder: string; readonly commit: string | null }>
  /** At the begin of an attempt: what it will want to be hidden in its log. Asked before any byte of that is let go, it answers with what is new; absent: jobs here cannot say. */
  redactions?(slot: number): () => readonly string[]
  startCommand(request: CommandRequest): RunningCommand | Promise<RunningCommand>
}
