/**
 * The JobLog object by itself, in the real runtime: what it stores, what survives, what moves to R2 [C12]. What agents
 * and people see of it by HTTP is tested beside `http/`. Alarms are fired
 * by the tests, and it makes no difference when the platform was first.
 */
import { createHash } from 'node:crypto'
import { env } from 'cloudflare:workers'
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { attemptId } from '../../../schema/job.ts'
import type { Environment } from '../../../coordinator/environment.ts'
import type { JobLog } from '../../../coordinator/objects/job-log.ts'

const MIB = 1024 * 1024
const bindings = env as unknown as Environment // `env` is declared by nobody; wrangler.toml holds what Environment says
let attempts = 0

/** The object of an attempt of its own, spoken to as the Worker does. */
function newLog() {
  const id = attemptId({ project: 9, build: ++attempts, n: 1, fence: 1 })
  const stub = bindings.JOB_LOG.get(bindings.JOB_LOG.idFromName(id)) as unknown as DurableObjectStub<JobLog> // the runtime's own stub
  const call = async (path: string, init: RequestInit = {}) => {
    const response = await stub.fetch(`https://log/${path}`, init)
    return { status: response.status, ...((await response.json()) as Record<string, unknown>) }
  }
  return {
    id,
    stub,
    put: (offset: number, bytes: string | Uint8Array<ArrayBuffer>, epoch = 1) => call(`log?attempt=${id}&offset=${offset}&epoch=${epoch}`, { method: 'PUT', body: bytes }),
    seal: (bytes: string | Uint8Array, { epoch = 1, sha256 = sha256Of(bytes) } = {}) => call(`seal?attempt=${id}&epoch=${epoch}`, { method: 'POST', body: JSON.stringify({ bytes: bytes.length, sha256 }) }),
    read: (from = 0) => stub.fetch(`https://log/read?from=${from}&to=${Number.MAX_SAFE_INTEGER}`),
    follow: (offset = 0) => stub.fetch(`https://log/follow?attempt=${id}&offset=${offset}`),
    /** Whether by this alarm or by the platform's own just before. */
    archive: async () => {
      await runDurableObjectAlarm(stub)
      await vi.waitFor(async () => expect((await stub.fetch('https://log/read?from=0&to=0')).headers.get('x-kedge-state')).toBe('archived'), { timeout: 20_000 })
    },
    evict: () => evictDurableObject(stub),
    sql: <Row extends Record<string, SqlStorageValue>>(query: string) => runInDurableObject(stub, (_, state) => state.storage.sql.exec<Row>(query).toArray()),
    tables: () => runInDurableObject(stub, (_, state) => state.storage.sql.exec<{ name: string }>("select name from sqlite_master where type = 'table' and name not like '\\_cf\\_%' escape '\\'").toArray()),
  }
}

function sha256Of(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes that no two offsets share by chance. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let offset = 0; offset < length; offset += 65_536) crypto.getRandomValues(bytes.subarray(offset, offset + 65_536))
  return bytes
}

async function writeAll(log: ReturnType<typeof newLog>, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let offset = 0; offset < bytes.length; offset += MIB) await log.put(offset, bytes.subarray(offset, offset + MIB))
}

interface Follower {
  next(): Promise<{ readonly id: number | null; readonly event: string | null; readonly bytes: Buffer; readonly text: string } | null>
  leave(): Promise<void>
}

function eventsOf(response: Response): Follower {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  return {
    async next() {
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end >= 0) {
          const event = text.slice(0, end)
          text = text.slice(end + 2)
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(event)?.[1] ?? null
          const data = field('data')
          if (data === null) continue // a comment, which only keeps the connection
          const id = field('id')
          return { id: id === null ? null : Number(id), event: field('event'), bytes: id === null ? Buffer.of() : Buffer.from(data, 'base64'), text: data }
        }
        const { done, value } = await reader.read()
        if (done) return null
        text += decoder.decode(value, { stream: true })
      }
    },
    leave: () => reader.cancel(),
  }
}

async function rest(follower: Follower): Promise<{ readonly bytes: Buffer; readonly end: unknown }> {
  const pieces: Buffer[] = []
  for (let event = await follower.next(); event !== null; event = await follower.next()) {
    if (event.event === 'end') return { bytes: Buffer.concat(pieces), end: JSON.parse(event.text) }
    pieces.push(event.bytes)
  }
  return { bytes: Buffer.concat(pieces), end: null }
}

describe('what a log stores', () => {
  it('is at every moment a prefix of the file, whatever is lost, repeated, cut and reordered [I16]', async () => {
    const file = noise(400_000)
    const call = fc.record({ offset: fc.nat(file.length), length: fc.nat(150_000), dies: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 4, maxLength: 10 }), async (calls) => {
        const log = newLog()
        let size = 0
        for (const { offset, length, dies } of calls) {
          // A client that goes on at the size it was told, and one that is confused.
          const start = offset % 3 === 0 ? offset : Math.max(0, size - (offset % 1000))
          const piece = file.subarray(start, start + length)
          const reply = await log.put(start, piece)
          if (start > size) expect(reply).toMatchObject({ status: 416, error: { code: 'log_gap', size } })
          else {
            size = Math.max(size, start + piece.length)
            expect(reply).toMatchObject({ status: 200, size })
          }
          if (dies) await log.evict()
        }
        expect(sha256Of(new Uint8Array(await (await log.read()).arrayBuffer()))).toBe(sha256Of(file.subarray(0, size)))
        expect(await log.seal(file.subarray(0, size))).toMatchObject({ status: 200, size, sealed: true })
      }),
      { numRuns: 8 },
    )
  })

  it('is as before when a write fails half way, and the same PUT is taken later [I16]', async () => {
    const log = newLog()
    const bytes = noise(MIB)
    await log.put(0, bytes.subarray(0, 100_000))
    await log.sql("create trigger full before insert on piece when new.start > 600000 begin select raise(abort, 'database or disk is full'); end")
    await expect(runInDurableObject(log.stub, (object) => object.fetch(new Request(`https://log/log?attempt=${log.id}&offset=100000&epoch=1`, { method: 'PUT', body: bytes.subarray(100_000) })))).rejects.toThrow('full')
    expect(await log.put(100_000, '')).toMatchObject({ size: 100_000 })
    await log.sql('drop trigger full')
    expect(await log.put(100_000, bytes.subarray(100_000))).toMatchObject({ status: 200, size: MIB })
    expect(await log.seal(bytes)).toMatchObject({ status: 200 })
  })

  it('is nothing at all before the first byte: looking and refusing write no row', async () => {
    const log = newLog()
    expect(await (await log.read()).text()).toBe('')
    expect(await log.put(5, 'x')).toMatchObject({ status: 416, error: { size: 0 } })
    expect(await log.put(0, '')).toMatchObject({ status: 200, size: 0 })
    expect(await log.seal('never sent')).toMatchObject({ status: 416, error: { size: 0 } })
    await eventsOf(await log.follow()).leave()
    expect(await log.tables()).toEqual([])
  })

  it('takes few rows: small PUTs are gathered, none is larger than 256 KiB', async () => {
    const log = newLog()
    for (let n = 0; n < 60; n += 1) await log.put(n * 1000, 'x'.repeat(1000))
    expect(await log.sql('select count(*) as rows from piece')).toEqual([{ rows: 1 }])
    await log.put(60_000, noise(MIB))
    expect(await log.sql('select count(*) as rows, max(length(bytes)) as most from piece')).toEqual([{ rows: 5, most: 256 * 1024 }])
  })

  it('ends where a log may end', async () => {
    const log = newLog()
    await log.put(0, 'x')
    await log.sql('update piece set start = 1090600000')
    await log.evict()
    expect(await log.put(1_090_600_001, noise(MIB))).toMatchObject({ status: 413, error: { code: 'payload_too_large' } })
  })

  it('is emptied once for epoch 2, which a late PUT of epoch 1 cannot touch', async () => {
    const log = newLog()
    await log.put(0, 'wrong bytes')
    expect(await log.put(3, 'later', 2)).toMatchObject({ status: 416, error: { size: 0 } })
    expect(await log.put(0, 'right', 2)).toMatchObject({ status: 200, size: 5 })
    expect(await log.put(11, ' and more')).toMatchObject({ status: 422 })
    await log.evict()
    expect(await log.put(5, ' bytes', 2)).toMatchObject({ status: 200, size: 11 })
    expect(await log.seal('right bytes', { epoch: 2 })).toMatchObject({ status: 200 })
  })
})

describe('a sealed log', () => {
  it('takes the same seal again, also after an eviction and in R2, and no other', async () => {
    const log = newLog()
    await log.put(0, 'done')
    await log.seal('done')
    for (const step of [async () => {}, log.evict, log.archive, log.evict]) {
      await step()
      expect(await log.seal('done')).toMatchObject({ status: 200, size: 4, sealed: true })
      expect(await log.seal('gone')).toMatchObject({ status: 422, error: { code: 'log_mismatch' } })
      expect(await log.seal('don')).toMatchObject({ status: 422 })
      expect(await log.seal('done!')).toMatchObject({ status: 409, error: { code: 'log_sealed', size: 4 } })
      expect(await log.put(0, 'done')).toMatchObject({ status: 200, size: 4 })
      expect(await log.put(0, 'gone', 2)).toMatchObject({ status: 200, size: 4 })
      expect(await log.put(4, '!')).toMatchObject({ status: 409, error: { code: 'log_sealed' } })
    }
  })

  it('moves to R2 whole, and its rows go', async () => {
    const log = newLog()
    const bytes = noise(3 * MIB + 12_345)
    await writeAll(log, bytes)
    await log.seal(bytes)
    await log.archive()
    const stored = await bindings.BLOBS.get(`logs/default/${log.id}`)
    expect(sha256Of(new Uint8Array(await (stored as R2ObjectBody).arrayBuffer()))).toBe(sha256Of(bytes))
    expect(await log.sql('select count(*) as rows from piece')).toEqual([{ rows: 0 }])
    expect(await runInDurableObject(log.stub, (_, state) => state.storage.getAlarm())).toBeNull()
  })

  it('keeps its rows while R2 is away, asks again later and later, and moves when R2 is back', async () => {
    const log = newLog()
    const said = vi.spyOn(console, 'error').mockImplementation(() => {})
    const isAway = { ...bindings.BLOBS, put: () => Promise.reject(new Error('R2 is away')) } as unknown as R2Bucket // all that is asked of it here
    await log.put(0, 'kept')
    await withBlobs(log.stub, isAway)
    await log.seal('kept')
    const waits: number[] = []
    for (let n = 0; n < 3; n += 1) {
      await withBlobs(log.stub, isAway)
      await runDurableObjectAlarm(log.stub)
      waits.push(await runInDurableObject(log.stub, async (_, state) => ((await state.storage.getAlarm()) ?? 0) - Date.now()))
      await log.evict()
    }
    expect(said.mock.calls[0]?.[0]).toContain(log.id)
    said.mockRestore()
    expect(Math.min(...waits)).toBeGreaterThan(0)
    expect(waits[2]).toBeGreaterThan(waits[0] ?? Infinity)
    expect(await (await log.read()).text()).toBe('kept')
    await log.archive()
    expect(await (await bindings.BLOBS.get(`logs/default/${log.id}`))?.text()).toBe('kept')
  })

  it('is read to its end by whoever began before it was archived', async () => {
    const log = newLog()
    const bytes = noise(4 * MIB)
    await writeAll(log, bytes)
    const reading = (await log.read()).body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
    const pieces = [(await reading.read()).value as Uint8Array]
    await log.seal(bytes)
    await log.archive()
    for (let piece = await reading.read(); !piece.done; piece = await reading.read()) pieces.push(piece.value)
    expect(sha256Of(Buffer.concat(pieces))).toBe(sha256Of(bytes))
  })
})

describe('a follower', () => {
  it('who begins before the first byte gets every byte, whatever it is', async () => {
    const log = newLog()
    const follower = eventsOf(await log.follow())
    expect(await log.put(0, Uint8Array.of(0, 255, 10, 13, 10, 10, 192))).toMatchObject({ watched: true })
    expect(await follower.next()).toMatchObject({ id: 7, bytes: Buffer.of(0, 255, 10, 13, 10, 10, 192) })
    await log.put(7, 'x')
    expect(await follower.next()).toMatchObject({ id: 8, bytes: Buffer.from('x') })
    await follower.leave()
  })

  it('who is slow gets all of it, also when it is archived meanwhile', async () => {
    const log = newLog()
    const bytes = noise(4 * MIB)
    await writeAll(log, bytes)
    const follower = eventsOf(await log.follow())
    const first = await follower.next()
    await log.seal(bytes)
    await log.archive()
    const { bytes: others, end } = await rest(follower)
    expect(sha256Of(Buffer.concat([first?.bytes ?? Buffer.of(), others]))).toBe(sha256Of(bytes))
    expect(end).toEqual({ size: bytes.length, sealed: true })
  })

  it('is told by an id that falls when the log is sent again from its start', async () => {
    const log = newLog()
    await log.put(0, 'wrong')
    const follower = eventsOf(await log.follow())
    expect(await follower.next()).toMatchObject({ id: 5, bytes: Buffer.from('wrong') })
    await log.put(0, 'right and more', 2)
    expect(await follower.next()).toMatchObject({ id: 14, bytes: Buffer.from('right and more') })
    await log.seal('right and more', { epoch: 2 })
    expect(await rest(follower)).toMatchObject({ end: { size: 14, sealed: true } })
  })

  it('goes on where it was, and the agent learns when the last one has left', async () => {
    const log = newLog()
    await log.put(0, 'one two')
    const one = eventsOf(await log.follow(4))
    const two = eventsOf(await log.follow(7))
    expect(await one.next()).toMatchObject({ id: 7, bytes: Buffer.from('two') })
    await one.leave()
    expect(await log.put(7, ' three')).toMatchObject({ watched: true })
    expect(await two.next()).toMatchObject({ id: 13, bytes: Buffer.from(' three') })
    await two.leave()
    await vi.waitFor(async () => expect(await log.put(0, '')).toMatchObject({ watched: false }), { timeout: 10_000 })
  })
})

/** Gives the living object another R2, until it is evicted. */
async function withBlobs(stub: DurableObjectStub<JobLog>, blobs: R2Bucket): Promise<void> {
  await runInDurableObject(stub, (object) => {
    const own = object as unknown as { env: Environment } // protected in the platform's class
    own.env = { ...own.env, BLOBS: blobs }
  })
}
