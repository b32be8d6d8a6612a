/**
 * What lies in the folder of one attempt, and how it is read back at a start:
 *
 *     spec.json     the assignment, durable before anything is done for it: the journal
 *     started       the command's process, durable before it may matter
 *     log           what the command printed, masked; `log.sent` beside it says how far the coordinator has it
 *     result.json   the result and its digest, durable before it is ever sent
 *     log.sealed    the coordinator has the whole log, or wants no more of it
 *     verdict       what the coordinator said of the result, durable before anything is deleted [I5]
 *
 * Reading never throws for what it finds: a damaged file costs no more than that file can tell. A result that is whole
 * is delivered even when everything around it is broken. It throws when the disk does not let it look.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import type { AttemptId } from '../../schema/job.ts'
import { parseJson } from '../../schema/parse-json.ts'
import { assignment, attemptId, attemptResult, VERDICTS, type Assignment, type AttemptResult, type Verdict } from '../../schema/sync.ts'
import type { Disk } from '../platform.ts'

/** Rises when an older agent could no longer read an entry; it then moves the entry to `corrupt/` [D34]. */
const FORMAT = 1

export interface SpooledResult {
  readonly attempt: AttemptId
  /** `sha256:` and 64 hex digits, of `text`'s bytes. */
  readonly digest: string
  /** The JSON that is sent, byte for byte the same each time [I2]. */
  readonly text: string
  readonly result: AttemptResult
}

/** The process that leads an attempt's process group; the start time tells it from a stranger with the same pid [D40]. */
export interface StartedProcess {
  readonly pid: number
  readonly startTime: string | number | null
}

export interface VerdictRecord {
  readonly verdict: Verdict
  /** The agent's wall clock. */
  readonly at: number
}

export type Entry =
  /** The folder was made, the journal not: nothing was ever done for it. */
  | { readonly state: 'blank' }
  | { readonly state: 'corrupt'; readonly why: string }
  | { readonly state: 'unfinished'; readonly token: string; readonly process: StartedProcess | null; readonly logBytes: number; readonly isLogSealed: boolean }
  | { readonly state: 'finished'; readonly token: string | null; readonly spooled: SpooledResult; readonly verdict: VerdictRecord | null; readonly logBytes: number; readonly isLogSealed: boolean }

const specFile = z.object({ format: z.literal(FORMAT), assignment })
const startedFile = z.object({ format: z.literal(FORMAT), process: z.object({ pid: z.number().int(), startTime: z.union([z.string(), z.number()]).nullable() }).nullable() })
const resultFile = z.object({ format: z.literal(FORMAT), attempt: attemptId, digest: z.string(), result: z.string() })
const verdictFile = z.object({ format: z.literal(FORMAT), verdict: z.enum(VERDICTS), at: z.number() })

export function encodeSpec(value: Assignment): Uint8Array {
  return encode({ format: FORMAT, assignment: value })
}

export function encodeStarted(process: StartedProcess | null): Uint8Array {
  return encode({ format: FORMAT, process })
}

export function encodeResult({ attempt, digest, text }: SpooledResult): Uint8Array {
  return encode({ format: FORMAT, attempt, digest, result: text })
}

export function encodeVerdict(record: VerdictRecord): Uint8Array {
  return encode({ format: FORMAT, ...record })
}

/** Fixes a result's bytes: from here on only `text` is sent, never the result serialised anew. */
export function spoolResult(attempt: AttemptId, result: AttemptResult): SpooledResult {
  const text = JSON.stringify(result)
  return { attempt, digest: digestOf(text), text, result }
}

export async function readEntry(disk: Disk, folder: string, attempt: AttemptId): Promise<Entry> {
  const names = new Set(await disk.list(folder))
  const read = <T>(name: string, schema: z.ZodType<T>): Promise<Found<T>> => (names.has(name) ? readFile(disk, join(folder, name), schema) : Promise.resolve(ABSENT))
  const logBytes = names.has('log') ? ((await disk.size(join(folder, 'log'))) ?? 0) : 0

  const result = await read('result.json', resultFile)
  if (result.state === 'found') {
    const spooled = checkResult(attempt, result.value)
    if (typeof spooled === 'string') return { state: 'corrupt', why: spooled }
    // The token opens the log, and the journal is read only for it: ten thousand results without logs are read once each.
    const sealed = names.has('log.sealed') || spooled.result.log_bytes === 0 // what the disk has lost of it, the coordinator may have
    const spec = sealed ? ABSENT : await read('spec.json', specFile)
    const token = spec.state === 'found' ? spec.value.assignment.token : null
    const verdict = await read('verdict', verdictFile)
    return { state: 'finished', token, spooled, verdict: verdict.state === 'found' ? verdict.value : null, logBytes, isLogSealed: sealed || token === null }
  }
  if (result.state === 'damaged') return { state: 'corrupt', why: result.why }

  const spec = await read('spec.json', specFile)
  if (spec.state === 'damaged') return { state: 'corrupt', why: spec.why }
  if (spec.state === 'absent') return names.has('started') || names.has('log') ? { state: 'corrupt', why: 'spec.json is missing' } : { state: 'blank' }
  if (spec.value.assignment.attempt !== attempt) return { state: 'corrupt', why: `spec.json is of ${spec.value.assignment.attempt}` }
  const started = await read('started', startedFile)
  return { state: 'unfinished', token: spec.value.assignment.token, process: started.state === 'found' ? started.value.process : null, logBytes, isLogSealed: names.has('log.sealed') || logBytes === 0 }
}

function checkResult(attempt: AttemptId, file: z.infer<typeof resultFile>): SpooledResult | string {
  if (file.attempt !== attempt) return `result.json is of ${file.attempt}`
  if (digestOf(file.result) !== file.digest) return 'result.json does not have the digest that it names'
  const parsed = attemptResult.safeParse(parseJson(file.result))
  if (!parsed.success) return 'result.json does not hold a result'
  return { attempt, digest: file.digest, text: file.result, result: parsed.data }
}

type Found<T> = { readonly state: 'found'; readonly value: T } | { readonly state: 'damaged'; readonly why: string } | { readonly state: 'absent' }
const ABSENT = { state: 'absent' } as const

async function readFile<T>(disk: Disk, path: string, schema: z.ZodType<T>): Promise<Found<T>> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  let bytes: Uint8Array | null
  try {
    bytes = await disk.read(path)
  } catch (error) {
    if (isOfTheDisk(error)) throw error
    return { state: 'damaged', why: `${name} cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
  if (bytes === null) return ABSENT
  const json = parseJson(new TextDecoder().decode(bytes))
  const parsed = schema.safeParse(json)
  if (parsed.success) return { state: 'found', value: parsed.data }
  const format = z.object({ format: z.number() }).safeParse(json)
  if (format.success && format.data.format > FORMAT) return { state: 'damaged', why: `${name} was written by a newer kedge (format ${format.data.format})` }
  return { state: 'damaged', why: `${name} is damaged` }
}

/** What is there may be whole, and be read at another time or by another user: it must not pass for damage. */
export function isOfTheDisk(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(EIO|EMFILE|ENFILE|ENOMEM|EAGAIN|EACCES|EPERM|ESTALE|ETIMEDOUT)$/.test(String(error.code))
}

/** Undefined for what is no JSON; every schema here refuses that. */
function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
