/**
 * BUILDKITE_JOB_ID: scripts written for Buildkite take it for a UUID, such as in names that must be in lower case. This
 * one spells the job's own id, so that what is given it finds the job without asking; its version says that its digits
 * are of our own making (RFC 9562, 5.8).
 */
import { jobId, type JobId, type JobKey } from './job.ts'

/** Hex digits of each part, in their order; the first tells coordinators apart. */
const DIGITS = { coordinator: 9, project: 8, build: 8, n: 5 } as const
const SPELLED = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/

/** `hex`: digits of the SHA-256 of the coordinator's address. */
export function jobUuid({ project, build, n }: JobKey, hex: string): string {
  const own = (number: number, digits: number) => number.toString(16).padStart(digits, '0')
  const text = `${hex.slice(0, DIGITS.coordinator)}${own(project, DIGITS.project)}${own(build, DIGITS.build)}${own(n, DIGITS.n)}`
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-8${text.slice(12, 15)}-a${text.slice(15, 18)}-${text.slice(18)}`
}

/** The job's id, where the text is such a UUID; anything else as it is. */
export function jobIdOfUuid(text: string): JobId | string {
  if (!SPELLED.test(text)) return text
  const digits = `${text.slice(0, 8)}${text.slice(9, 13)}${text.slice(15, 18)}${text.slice(20, 23)}${text.slice(24)}`.slice(DIGITS.coordinator)
  const [project, build, n] = [digits.slice(0, 8), digits.slice(8, 16), digits.slice(16)].map((part) => Number.parseInt(part, 16)) as [number, number, number] // of hex digits
  return jobId({ project, build, n })
}
