/**
 * Puts builds in line as a person's script does: one POST each, some at a time over kept connections, with a key, so that
 * one whose reply was lost may be asked for again.
 */
import http from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { BuildView } from '../../schema/api.ts'
import type { Dice } from '../simulation/chance.ts'
import type { QueueName, Record } from './record.ts'
import { commandOf, drawScript } from './script.ts'

/** At a time. */
const ABREAST = 16
const CALL_MS = 10_000
const AGAIN_MS = 200

export interface Asking {
  project(queue: QueueName): Promise<void>
  /** Until so many were acknowledged, or the signal aborts. */
  builds(queue: QueueName, count: number, signal: AbortSignal): Promise<void>
  get(path: string): Promise<{ readonly status: number; readonly text: string }>
  close(): void
}

export interface AskingSettings {
  readonly url: string
  readonly adminToken: string
  readonly record: Record
  readonly dice: Dice
  readonly lasts: { readonly [queue in QueueName]: readonly [number, number] }
  readonly printsOneIn: number
  /** Where commands of the short queue note that they began. */
  readonly note: string
}

export function createAsking({ url, adminToken, record, dice, lasts, printsOneIn, note }: AskingSettings): Asking {
  const agent = new http.Agent({ keepAlive: true, maxSockets: ABREAST })
  const { hostname, port } = new URL(url)
  let keys = 0

  const call = (method: 'GET' | 'POST', path: string, { key, body }: { readonly key?: string; readonly body?: string } = {}) =>
    new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const headers = { authorization: `Bearer ${adminToken}`, ...(key === undefined ? {} : { 'idempotency-key': key }), ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) }
      const request = http.request({ agent, hostname, port, path, method, headers, signal: AbortSignal.timeout(CALL_MS) }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece))
        response.once('error', reject).once('end', () => (response.complete ? resolve({ status: response.statusCode ?? 0, text }) : reject(new Error('a cut reply'))))
      })
      request.once('error', reject)
      request.end(body)
    })

  /** Asks until there is an answer, whoever dies meanwhile: with a key, nothing is made twice by that. */
  async function ask(path: string, body: object, signal: AbortSignal | null): Promise<string | null> {
    keys += 1
    const asked = { key: `soak-${keys}`, body: JSON.stringify(body) }
    // Leaves with the reply, or with the signal; a refusal is a mistake of ours.
    for (;;) {
      const reply = await call('POST', path, asked).catch(() => null)
      if (reply !== null && reply.status < 300) return reply.text
      if (reply !== null && reply.status < 500) throw new Error(`POST ${path}: ${reply.status} ${reply.text}`)
      if (signal?.aborted === true) return null
      await pause(AGAIN_MS)
    }
  }

  return {
    project: async (queue) => void (await ask('/api/v1/projects', { slug: queue, checkout: false }, null)),
    builds: async (queue, count, signal) => {
      let left = count
      await Promise.all(
        Array.from({ length: Math.min(ABREAST, count) }, async () => {
          while (left > 0 && !signal.aborted) {
            left -= 1
            const command = commandOf(drawScript(dice, lasts[queue], printsOneIn), queue === 'short' ? note : null)
            const text = await ask(`/api/v1/projects/${queue}/builds`, { command, agents: { queue } }, signal)
            if (text !== null) record.asked[queue].add((JSON.parse(text) as BuildView).number) // the server's own type
          }
        }),
      )
    },
    get: (path) => call('GET', path),
    close: () => agent.destroy(),
  }
}
