import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { nodePlatform, nodeProcesses } from '../../agent/node-platform.ts'
import type { Answered } from '../../agent/platform.ts'
import { ownFolder } from '../support/folder.ts'
import { listening } from '../support/listening.ts'

const { disk, network, clock } = nodePlatform()
const bytes = (text: string) => new TextEncoder().encode(text)
const signal = () => new AbortController().signal

async function serve(listener: RequestListener): Promise<{ url: string; server: ReturnType<typeof createServer> }> {
  const server = createServer(listener)
  return { url: await listening(server), server }
}

async function textOf({ body }: Answered): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of body ?? []) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

describe('disk', () => {
  test('a durable write is whole, private, and leaves no temporary file', async () => {
    const folder = await ownFolder()
    const path = join(folder, 'a.json')
    await disk.writeDurably(path, bytes('one'))
    await disk.writeDurably(path, bytes('two'))
    expect(await readFile(path, 'utf8')).toBe('two')
    expect((await stat(path)).mode & 0o077).toBe(0)
    expect(await readdir(folder)).toEqual(['a.json'])
  })

  test('what is not there is null or empty, not an error; other errors keep their code', async () => {
    const folder = await ownFolder()
    const path = join(folder, 'none')
    expect([await disk.read(path), await disk.size(path), await disk.readRange(path, 0, 1), await disk.list(path)]).toEqual([null, null, null, []])
    await disk.remove(path)
    await expect(disk.read(folder)).rejects.toMatchObject({ code: 'EISDIR' })
  })

  test('a range ends with the file', async () => {
    const path = join(await ownFolder(), 'log')
    const file = await disk.append(path)
    await file.write(bytes('hello '))
    await file.write(bytes('world'))
    await file.close()
    expect(Buffer.from((await disk.readRange(path, 6, 100)) ?? []).toString()).toBe('world')
    expect((await disk.readRange(path, 11, 100))?.byteLength).toBe(0)
  })

  test('free room is told in bytes and inodes', async () => {
    const free = await disk.free(await ownFolder())
    expect(free.bytes).toBeGreaterThan(0)
    expect(free.totalBytes).toBeGreaterThan(free.bytes)
    expect(free.inodes).toBeGreaterThan(0)
  })
})

describe.each([['text', 'hello'], ['bytes', bytes('hello')]] as const)('fetch with %s', (_, body) => {
  test('sends method, headers and body, and gives back status, headers and body', async () => {
    const { url } = await serve(async (request, response) => {
      const pieces: Buffer[] = []
      for await (const piece of request) pieces.push(piece as Buffer) // no encoding is set
      response.writeHead(409, { 'x-kedge-protocol': '1' }).end(`${request.method} ${request.headers['x-one']} ${Buffer.concat(pieces).toString()}`)
    })
    const response = await network.fetch(`${url}/path`, { method: 'PUT', headers: { 'x-one': 'two' }, body, signal: signal() })
    expect([response.status, response.headers.get('x-kedge-protocol'), await textOf(response)]).toEqual([409, '1', 'PUT two hello'])
  })

  test('a redirect is not followed', async () => {
    const { url } = await serve((request, response) => void response.writeHead(302, { location: `http://${request.headers.host}/elsewhere` }).end('go'))
    const response = await network.fetch(url, { method: 'PUT', headers: {}, body, signal: signal() })
    expect(response.status).toBe(302)
  })

  test('a connection that is refused or cut rejects', async () => {
    const { url } = await serve((request) => void request.socket.destroy())
    await expect(network.fetch(url, { method: 'PUT', headers: {}, body, signal: signal() })).rejects.toThrow()
    await expect(network.fetch('http://127.0.0.1:1', { method: 'PUT', headers: {}, body, signal: signal() })).rejects.toThrow()
  })

  test('an abort ends the wait for an answer, and the reading of one that trickles', async () => {
    const { url } = await serve((request, response) => {
      if (request.url !== '/trickle') return
      response.writeHead(200)
      response.write('a')
    })
    const silent = new AbortController()
    const waiting = network.fetch(url, { method: 'PUT', headers: {}, body, signal: silent.signal })
    silent.abort()
    await expect(waiting).rejects.toThrow()
    const slow = new AbortController()
    const reading = textOf(await network.fetch(`${url}/trickle`, { method: 'PUT', headers: {}, body, signal: slow.signal }))
    slow.abort()
    await expect(reading).rejects.toThrow()
  })
})

describe('socket', () => {
  test('opens with its headers, brings messages and pongs, and is closed once', async () => {
    const { url, server } = await serve(() => undefined)
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket, request) => socket.send(String(request.headers['authorization'])))
    const seen: string[] = []
    await new Promise<void>((resolve) => {
      const socket = network.openSocket(url, { authorization: 'Bearer x' }, {
        opened: () => seen.push('opened'),
        message: (text) => {
          seen.push(text)
          socket.ping()
        },
        pong: () => {
          seen.push('pong')
          socket.close()
        },
        closed: () => {
          seen.push('closed')
          resolve()
        },
      })
    })
    expect(seen).toEqual(['opened', 'Bearer x', 'pong', 'closed'])
  })

  test('one that is refused is closed, with the reason', async () => {
    const { url, server } = await serve(() => undefined)
    server.on('upgrade', (_, socket) => void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n'))
    const why = await new Promise<string>((closed) => network.openSocket(url, {}, { opened: () => undefined, message: () => undefined, pong: () => undefined, closed }))
    expect(why).toContain('401')
  })
})

test('a timer that was taken back does not fire, and a far one does not fire at once', async () => {
  const fired: string[] = []
  clock.after(0, () => fired.push('taken back'))()
  const far = clock.after(2 ** 40, () => fired.push('far'))
  await new Promise<void>((resolve) => clock.after(5, resolve))
  far()
  expect(fired).toEqual([])
})

test('a process has a start time that stays, and one that is not there has none', async () => {
  const processes = nodeProcesses()
  const start = await processes.startTime(processes.pid)
  expect(start).not.toBeNull()
  expect(await processes.startTime(processes.pid)).toBe(start)
  expect(await processes.startTime(2 ** 22 + 1)).toBeNull()
})
