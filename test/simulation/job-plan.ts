/** What one job of a world does, however often it is started. */
export interface JobPlan {
  readonly prepareMs: number
  readonly prepareFails: boolean
  readonly runMs: number
  readonly exitStatus: number
  readonly lines: readonly { readonly atMs: number; readonly text: string; readonly isSecret: boolean }[]
  /** Null: only SIGKILL ends it. */
  readonly heedsTermAfterMs: number | null
  /** It takes the agent with it, as one that uses up all memory does. */
  readonly killsAgentAfterMs: number | null
}
