/**
 * The agent's doorbell over a real socket on which comes what it may: frames that are garbled, huge, binary, cut, or a
 * thousand rings at once. It causes no more syncs than it may [C9], and hears the next honest ring.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { startDoorbell } from '../../agent/loop/doorbell.ts'
import { agentTimes, RING_BURST } from '../../agent/loop/times.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import { RING } from '../../schema/sync.ts'
import { eventually } from '../support/wait.ts'
import { frameBytes, hostileStream } from './frames.ts'
import { runs } from './seed.ts'

const { clock, chance, network } = nodePlatform()
const times = agentTimes(100)

it('whatever comes over the doorbell, it causes no more syncs than it may, and the next honest ring is heard', async () => {
  const unhandled: unknown[] = []
  const notice = (error: unknown) => void unhandled.push(error)
  process.on('uncaughtException', notice)
  let streams: Buffer[] = []
  const server = createServer().on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.on('error', () => undefined)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`)
    const hostile = streams.shift()
    socket.write(hostile ?? frameBytes({ opcode: 1, payload: Buffer.from(RING) }))
    if (hostile !== undefined) socket.end() // what is left unsaid never comes
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(hostileStream(false), { minLength: 1, maxLength: 3 }), async (all) => {
        streams = [...all]
        const since = clock.monotonic()
        let syncs = 0
        const bell = startDoorbell({ url, clock, chance, network, times, session: () => 'kdg_ses_x', rang: () => void (syncs += 1) })
        try {
          bell.connect()
          await eventually('all of it was sent', () => streams.length === 0)
          const before = syncs
          await eventually('the honest ring is heard', () => syncs > before && bell.isOpen())
          expect(syncs).toBeLessThanOrEqual(RING_BURST + (clock.monotonic() - since) / times.ringRefillMs + 1)
          expect(unhandled).toEqual([])
        } finally {
          bell.stop()
        }
      }),
      runs(25),
    )
  } finally {
    process.off('uncaughtException', notice)
    server.closeAllConnections()
    server.close()
  }
})
