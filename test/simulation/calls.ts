/** What passes between agents and the coordinator: a call, its answer, and the doorbell between them. */
import type { Attached } from '../../coordinator/objects/doorbell.ts'
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

export interface DoorbellSocket extends Attached {
  readonly process: SimProcess
  isOpen: boolean
  /** The coordinator's side ends. */
  drop(): void
}
