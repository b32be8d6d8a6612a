/**
 * How the command line speaks: results on stdout, everything else on stderr behind `kedge: `; and what its exit codes
 * mean. Scripts read stdout and the code, people read the sentence. With --json a script finds on stdout also why there
 * is no result, in the place of the answer.
 */

/** `absent` is what scripts that were written for `buildkite-agent meta-data exists` ask for. */
export const EXIT = { ok: 0, failed: 1, usage: 2, canceled: 3, unreachable: 4, notAllowed: 5, absent: 100 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The command has done its work. Not `process.exit`: what is written still goes out. */
export function end(code: ExitCode): void {
  process.exitCode = code
}

/** Ends the command; the message is one sentence or two for a person: what happened, and the way out. */
export class Failure extends Error {
  readonly exitCode: ExitCode
  /** By which the coordinator names its refusal; null: it is not the coordinator's. */
  readonly code: string | null
  /** What the coordinator refused, by its own names; empty where it was not about parts of a request. */
  readonly places: readonly { readonly path: string; readonly message: string }[]

  constructor(exitCode: ExitCode, message: string, { places = [], code = null, ...options }: ErrorOptions & { readonly places?: Failure['places']; readonly code?: Failure['code'] } = {}) {
    super(message, options)
    this.exitCode = exitCode
    this.places = places
    this.code = code
  }
}

/** What a command may know and touch of the process around it; only `main.ts` makes one. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Where relative paths begin. */
  readonly folder: string
  readonly home: string
  readonly os: string
  /** How this very command line is started: the program, and its first arguments. */
  readonly self: readonly [string, ...string[]]
  /** Standard input, for commands that read it. */
  readonly input: { isPiped(): boolean; read(): Uint8Array }
  /** A line of the result. */
  print(line: string): void
  /** The result as it is, without a line's end. */
  write(text: string): void
  /** A line about it; `kedge: ` is put in front. */
  note(line: string): void
  /** Lines of something that is shown as it stands, beside what is noted. */
  excerpt(text: string): void
  /** Each SIGTERM and SIGINT. */
  onStop(call: () => void): void
  /** Messages of a `kedge dev` that started this process; `gone` when it ended without a word. */
  onParent(call: (message: 'stop' | 'gone') => void): void
  exit(code: ExitCode): void
}

/** What stands on stdout instead of the answer of a command that was asked for JSON. */
export function errorLine(exitCode: ExitCode, message: string): string {
  return JSON.stringify({ error: { exit_code: exitCode, message: oneLine(message) } })
}

/** A control character in a sentence could move the cursor or colour the terminal. */
export function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replace(/\p{Cc}/gu, '').trim()
}
