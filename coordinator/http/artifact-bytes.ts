/** What every answer with an artifact's bytes has in common: which of them, and what is said when they are gone. */
import type { Environment } from '../environment.ts'
import { artifactDays } from '../environment.ts'
import { problem, type ProblemError } from './problem.ts'

export interface ByteRange {
  /** `from` inclusive, `to` exclusive. */
  readonly range: { readonly from: number; readonly to: number }
  readonly headers: Readonly<Record<string, string>>
  readonly status: 200 | 206
}

/** One range, as RFC 9110 has it; anything else than one is ignored, as it says, and the whole is sent. Throws a problem for one that begins behind the end. */
export function byteRange(header: string | undefined, bytes: number): ByteRange {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? []
  const whole: ByteRange = { range: { from: 0, to: bytes }, headers: { 'accept-ranges': 'bytes', 'content-length': String(bytes) }, status: 200 }
  if (first === undefined || last === undefined || (first === '' && last === '')) return whole
  const from = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const to = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < from) return whole
  if (from >= bytes) throw problem(416, { code: 'range-invalid', detail: `The artifact has ${bytes} bytes; the range begins at ${from}.`, headers: { 'content-range': `bytes */${bytes}` } })
  return { range: { from, to }, headers: { 'accept-ranges': 'bytes', 'content-length': String(to - from), 'content-range': `bytes ${from}-${to - 1}/${bytes}` }, status: 206 }
}

export function artifactGone(called: string, env: Environment): ProblemError {
  return problem(410, { code: 'artifact-gone', detail: `The bytes of "${called.slice(0, 300)}" are not there any more: this coordinator keeps artifacts for ${artifactDays(env)} days. Run the job that made it again.` })
}
