/**
 * The border for what people send: bodies, query strings and headers become values that are true to their schema, or a
 * problem that names every mistake at once. Unknown names are mistakes: a typo must not be silently ignored.
 *
 * A body is read and counted here, never by a validator library, so that no more than the limit is ever held.
 */
import type { z } from 'zod'
import { LIMITS } from '../../schema/api.ts'
import { jsonMistake } from '../../schema/json-mistake.ts'
import type { HttpContext } from './context.ts'
import { problem } from './problem.ts'
import { mistakes } from './mistakes.ts'

/** The JSON body, checked. An absent body is taken as `{}` where the schema accepts that. */
export async function readBody<T>(c: HttpContext, schema: z.ZodType<T>, limitBytes: number = LIMITS.bodyBytes): Promise<T> {
  const text = await readText(c.req.raw, limitBytes)
  if (text !== '') requireJson(c.req.header('content-type'))
  const input = text === '' ? {} : parseJson(text)
  const checked = schema.safeParse(input)
  if (checked.success) return checked.data
  const errors = mistakes(checked.error, schema, input)
  throw problem(422, { code: 'body-invalid', detail: text === '' ? `This needs a JSON body. ${summary(errors)}` : summary(errors), errors })
}

/** The query string, checked; each parameter may stand once. */
export function readQuery<T>(c: HttpContext, schema: z.ZodType<T>): T {
  const given = c.req.queries()
  const twice = Object.entries(given).filter(([, values]) => values.length > 1)
  if (twice.length > 0) {
    const errors = twice.map(([path]) => ({ path, message: 'is given more than once' }))
    throw problem(400, { code: 'query-invalid', detail: summary(errors), errors })
  }
  const input = Object.fromEntries(Object.entries(given).map(([name, values]) => [name, values[0] ?? '']))
  const checked = schema.safeParse(input)
  if (checked.success) return checked.data
  const errors = mistakes(checked.error, schema, input)
  throw problem(400, { code: 'query-invalid', detail: `Query: ${summary(errors)}`, errors })
}

/** The fields of an urlencoded form. */
export async function readForm(c: HttpContext, limitBytes = 64 * 1024): Promise<URLSearchParams> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    throw problem(415, { code: 'form-expected', detail: `This takes a form (application/x-www-form-urlencoded), not ${type ?? 'a body without a content type'}.` })
  }
  return new URLSearchParams(await readText(c.req.raw, limitBytes))
}

/** `Idempotency-Key`, or null when there is none. */
export function idempotencyKey(c: HttpContext): string | null {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return null
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw problem(400, { code: 'idempotency-key-invalid', detail: 'Idempotency-Key must be 1 to 255 printable ASCII characters without spaces; a UUID is a good one.' })
  }
  return key
}

/** The same of what must not count twice; `what` begins the sentence that refuses it without a key. */
export function neededIdempotencyKey(c: HttpContext, what: string): string {
  const key = idempotencyKey(c)
  if (key === null) throw problem(400, { code: 'idempotency-key-missing', detail: `${what} needs an Idempotency-Key, so that it counts once even when its answer is lost; a UUID is a good one.` })
  return key
}

/** Never holds more than `limitBytes`, whatever Content-Length says. */
async function readText(request: Request, limitBytes: number): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > limitBytes) throw tooLarge(limitBytes)
  if (!request.body) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader()
  let text = ''
  let bytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decode(decoder)
    bytes += value.byteLength
    if (bytes > limitBytes) {
      await reader.cancel()
      throw tooLarge(limitBytes)
    }
    text += decode(decoder, value)
  }
}

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode()
  } catch {
    throw problem(400, { code: 'body-malformed', detail: 'The body is not UTF-8.' })
  }
}

function tooLarge(limitBytes: number) {
  return problem(413, { code: 'body-too-large', detail: `The body is larger than ${limitBytes / 1024} KiB, the most that is taken here.` })
}

function requireJson(contentType: string | undefined): void {
  const [type, ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase())
  if (type !== 'application/json') {
    throw problem(415, { code: 'json-expected', detail: `The body must be JSON under "content-type: application/json"; this one came ${type ? `as "${type}"` : 'without a content type'}.` })
  }
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))
  if (charset && !/^charset="?utf-?8"?$/.test(charset)) throw problem(415, { code: 'json-expected', detail: `JSON is UTF-8; this body says ${charset}.` })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const { line, column, message } = jsonMistake(text)
    throw problem(400, { code: 'body-malformed', detail: `The body is not JSON: line ${line}, column ${column}: ${message}.` })
  }
}

function summary(errors: readonly { readonly path: string; readonly message: string }[]): string {
  const sentence = (error: { readonly path: string; readonly message: string }) => (error.path === '' ? `The body ${error.message}` : `"${error.path}" ${error.message}`)
  const shown = errors.slice(0, 3).map(sentence).join('; ')
  const more = errors.length > 3 ? `; and ${errors.length - 3} more` : ''
  return `${shown}${more}`.replace(/[.?]?$/, (end) => end || '.')
}
