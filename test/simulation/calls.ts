/** What passes between agents and the coordinator: a call, its answer, and the doorbell between them. */
import type { SimMachine, SimProcess } from './machine.ts'

export interface Call {
  readonly machine: SimMachine
  readonly method: string
  readonly path: string
  readonly authorization: string
  readonly body: string | Uint8Array
}

export interface Served {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export interface DoorbellSocket {
  readonly process: SimProcess
  readonly agent: string
  readonly queue: string
  readonly tags: readonly string[]
  isOpen: boolean
  send(text: string): void
  /** The coordinator's side ends. */
  drop(): void
}
