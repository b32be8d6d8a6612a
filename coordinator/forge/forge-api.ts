/** What every kind of forge is asked for, and what is particular to one. */
import type { Forge } from '../../schema/forges.ts'
import type { Status } from '../core/notify.ts'

/** One status, in words that every forge knows. */
export interface CommitStatus {
  /** `team/app`. */
  readonly path: string
  readonly sha: string
  readonly branch: string | null
  readonly state: Status
  /** Tells it apart from others of the commit; the same for all the life of a build. */
  readonly context: string
  /** At most `DESCRIPTION_CHARACTERS`. */
  readonly description: string
  /** Where people see more. */
  readonly url: string
}

/** GitHub takes no longer ones. */
export const DESCRIPTION_CHARACTERS = 140

export interface ForgeRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body: Readonly<Record<string, string>>
}

/** What is particular to one kind of forge. */
export interface ForgeApi {
  request(forge: Forge, status: CommitStatus): ForgeRequest
  /** How many names a path has at least and at most. */
  readonly names: readonly [least: number, most: number]
  /** What the token may do. */
  readonly scope: string
  /** Whether a refusal says that the status is there already. */
  isThere?(status: number, body: string): boolean
}
