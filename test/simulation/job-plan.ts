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

/** What a job is called here: its command and, of several of one step or trigger, its number. A matrix has that in its command. */
export function jobName({ command, env, parallel }: { readonly command: string; readonly env: Readonly<Record<string, string>>; readonly parallel?: { readonly index: number } | null | undefined }): string {
  const number = parallel?.index ?? env.BUILDKITE_PARALLEL_JOB
  return number === undefined ? command : `${command}:${number}`
}
