/**
 * The real clock, chance, disk and network of an agent (`platform.ts`), for entry files only: every room below gets them
 * handed in.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, appendFile, link, open, readdir, readFile, rename, rm, stat, statfs, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { hostname } from 'node:os'
import { WebSocket } from 'ws'
import { durable } from './durable-write.ts'
import type { Processes } from './lock.ts'
import { makeFolder } from './make-folder.ts'
import { putBytes } from './node-put.ts'
import type { Appender, Chance, Clock, Disk, Network, Platform, Socket, SocketEvents } from './platform.ts'

/** A timer further away than this would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** The doorbell's frames are a few bytes; whoever sends more is no coordinator. */
const SOCKET_MESSAGE_BYTES = 64 * 1024
const SOCKET_OPEN_MS = 10_000

export function nodePlatform(): Platform {
  return { clock: nodeClock(), chance: nodeChance(), disk: nodeDisk(), network: nodeNetwork() }
}

function nodeClock(): Clock {
  return {
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    after: (ms, call) => {
      const timer = setTimeout(call, Math.min(Math.max(0, ms), LONGEST_TIMER_MS))
      return () => clearTimeout(timer)
    },
  }
}

function nodeChance(): Chance {
  return { random: () => Math.random(), bytes: (length) => randomBytes(length) }
}

function nodeDisk(): Disk {
  return durable({
    read: (path) => orNull(readFile(path)),
    readRange,
    size: async (path) => (await orNull(stat(path)))?.size ?? null,
    list: async (folder) => (await orNull(readdir(folder))) ?? [],
    makeFolder,
    write: (path, bytes) => writeFile(path, bytes, { mode: PRIVATE }),
    writeSynced,
    allocate: (path, bytes) => writeFile(path, noise(bytes), { mode: PRIVATE }),
    append,
    rename,
    syncFolder,
    remove: (path) => rm(path, { recursive: true, force: true }),
    free: async (path) => {
      await access(path, constants.W_OK) // a disk that became read-only still counts its free room
      const { bavail, blocks, bsize, ffree, files } = await statfs(path)
      return { bytes: bavail * bsize, totalBytes: blocks * bsize, inodes: files === 0 ? Infinity : ffree } // btrfs counts none
    },
  })
}

/** Secrets and tokens are among what an agent writes: its own user reads them, nobody else. */
const PRIVATE = 0o600

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array | null> {
  const file = await orNull(open(path, 'r'))
  if (file === null) return null
  try {
    const buffer = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return buffer.subarray(0, filled)
  } finally {
    await file.close()
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w', PRIVATE)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function append(path: string): Promise<Appender> {
  const file: FileHandle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, PRIVATE)
  return {
    write: (bytes) => appendFile(file, bytes),
    sync: () => file.datasync(),
    close: () => file.close(),
  }
}

/** Not zeros: a file system that compresses would keep them in no room at all, and then give none back. */
function noise(bytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4))
  let state = 0x9e3779b9
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[at] = state
  }
  return new Uint8Array(words.buffer, 0, bytes)
}

/** The value, or null when there is no such file; any other error is thrown. */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function nodeNetwork(): Network {
  return {
    fetch: async (url, { method, headers, body, signal }) => {
      if (typeof body === 'object') return await putBytes(url, { method, headers, body, signal })
      return await fetch(url, { method, headers, signal, redirect: 'manual', ...(body === undefined ? {} : { body }) })
    },
    openSocket,
  }
}

function openSocket(url: string, headers: Readonly<Record<string, string>>, events: SocketEvents): Socket {
  let isClosed = false
  const closed = (why: string): void => {
    if (isClosed) return
    isClosed = true
    events.closed(why)
  }
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers: { ...headers }, handshakeTimeout: SOCKET_OPEN_MS, maxPayload: SOCKET_MESSAGE_BYTES, perMessageDeflate: false })
  socket.on('open', events.opened)
  socket.on('message', (bytes, isBinary) => {
    if (!isBinary) events.message(String(bytes))
  })
  socket.on('pong', events.pong)
  socket.on('error', (error) => closed(error.message)) // `ws` always closes after it
  socket.on('close', (code, reason) => closed(reason.byteLength > 0 ? `${code}: ${String(reason)}` : `closed with ${code}`))
  return {
    close: () => socket.terminate(),
    ping: () => {
      if (socket.readyState === WebSocket.OPEN) socket.ping()
    },
  }
}

/** This process and its neighbours, as far as the state folder's lock needs them. */
export function nodeProcesses(): Processes {
  return {
    pid: process.pid,
    host: hostname(),
    startTime: process.platform === 'linux' ? linuxStartTime : listedStartTime,
    claim: async (path, text) => {
      const temporary = `${path}.${process.pid}.tmp`
      await writeFile(temporary, text, { mode: PRIVATE })
      try {
        await link(temporary, path) // fails when the path is taken, so a lock is never seen half-written
        return true
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false
        throw error
      } finally {
        await unlink(temporary)
      }
    },
  }
}

/** Ticks since the machine's boot, with the boot's own id: a number alone may come again after the machine restarted. */
async function linuxStartTime(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null) // ENOENT or, while it ends, ESRCH: not there
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ') // the name before it may hold spaces and brackets
  if (fields[0] === 'Z') return null
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '') // hidden in some containers
  return `${boot.trim()}:${fields[19] ?? ''}`
}

async function listedStartTime(pid: number): Promise<string | null> {
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { LC_ALL: 'C', PATH: '/bin:/usr/bin' } }, (error, stdout) => resolve(error ? null : stdout.trim() || null))
  })
}
