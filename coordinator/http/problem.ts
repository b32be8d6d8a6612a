/**
 * Refusals to people and scripts, as RFC 9457: thrown anywhere below the one `onError`, which writes them. A refusal to
 * an agent is not this but `schema/refusal.ts`: a problem carries no protocol header, so no agent ever obeys one [C2.1].
 */
import type { Problem } from '../../schema/api.ts'
import type { Answer } from '../objects/scheduler-api.ts'

const TITLES = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported content type',
  416: 'Range not satisfiable',
  422: 'Invalid request',
  500: 'Internal error',
  503: 'Not available',
} as const
export type ProblemStatus = keyof typeof TITLES

export type ProblemHeaders = Readonly<Record<string, string>>

/** A problem on its way to `onError`. */
export class ProblemError extends Error {
  readonly problem: Problem
  readonly headers: ProblemHeaders

  constructor(problem: Problem, headers: ProblemHeaders = {}) {
    super(problem.detail)
    this.name = 'ProblemError'
    this.problem = problem
    this.headers = headers
  }
}

interface ProblemParts {
  /** Stable name for scripts, such as `project-unknown`. */
  readonly code: string
  /** What happened, to what, why, what to do. */
  readonly detail: string
  readonly errors?: Problem['errors'] & {}
  readonly headers?: ProblemHeaders
}

/** An error to throw; its title follows from the status. */
export function problem(status: ProblemStatus, { code, detail, errors, headers }: ProblemParts): ProblemError {
  return new ProblemError({ title: TITLES[status], status, code, detail, ...(errors ? { errors } : {}) }, headers)
}

/** The value of the Scheduler's answer; its problem is thrown. */
export function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new ProblemError(answer.problem)
  return answer.value
}

/** The response of a problem. */
export function problemResponse({ problem, headers }: ProblemError): Response {
  return new Response(`${JSON.stringify(problem)}\n`, { status: problem.status, headers: { ...headers, 'content-type': 'application/problem+json' } })
}
