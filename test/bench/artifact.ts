/**
 * An artifact of 1 GiB up and down, by the command line as jobs run it, hashing included. The floor is a Worker that does
 * nothing but hand the same pieces to the same R2 and back: what workerd and Miniflare's R2 can do on this machine now.
 */
import { createHash, randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { sendPiece } from '../../agent/cli/transfer.ts'
import { jobTokenOf } from '../../agent/runner/job-token.ts'
import { memoryOf } from '../support/process-list.ts'
import { bytesOfPiece, PIECE_BYTES, piecesOf } from '../../schema/artifacts.ts'
import { claim } from './claim.ts'
import { abreast, percent, timed, type Bar } from './row.ts'
import { openBare, openCoordinator, ownFolder } from './stage.ts'

const BYTES = 1024 ** 3
const MAIN = new URL('../../dist/kedge.mjs', import.meta.url).pathname
/** As the command line has it. */
const ABREAST = 4
const LEAST_MB_S = 100
/** Where the machine, or its R2, cannot do that much: this share of what it can. */
const LEAST_SHARE = 0.5
const MOST_MIB = 200

const BARE = `import { DurableObject } from 'cloudflare:workers'
export class Bare extends DurableObject {}
export default { async fetch(request, env) {
  const { pathname, searchParams } = new URL(request.url)
  if (request.method === 'GET') return new Response((await env.BLOBS.get(pathname)).body)
  await env.BLOBS.put(pathname, request.body, { sha256: searchParams.get('sha256') })
  return new Response(null, { status: 204 })
} }`

export const artifact: Bar = {
  name: 'artifact',
  async run() {
    const folder = await ownFolder()
    const file = join(folder, 'large.bin')
    const { sha256, pieces } = await makeFile(file)
    const bare = await floor(file, pieces)

    const site = await openCoordinator()
    const [claimed] = await claim(site, 1)
    if (claimed === undefined) throw new Error('no attempt was assigned')
    const env = { PATH: process.env['PATH'] ?? '', HOME: folder, KEDGE_URL: site.url, KEDGE_ATTEMPT: claimed.attempt, KEDGE_JOB_TOKEN: jobTokenOf(claimed.token), KEDGE_PROJECT: 'p' }
    const target = join(folder, 'taken')
    await mkdir(target)
    const up = await kedge(['artifact', 'upload', 'large.bin'], { folder, env })
    const down = await kedge(['artifact', 'download', 'large.bin', '.'], { folder: target, env })
    const hash = createHash('sha256')
    await pipeline(createReadStream(join(target, 'large.bin')), hash)
    const isWhole = hash.digest('hex') === sha256
    const row = (name: string, ours: number, theirs: number) => ({ name, figure: `${ours.toFixed(0)} MB/s; bare Worker and R2 ${theirs.toFixed(0)} MB/s`, ratio: percent(ours / theirs), bar: `≥ ${LEAST_MB_S} MB/s, or ${percent(LEAST_SHARE)} of bare`, holds: ours >= LEAST_MB_S || ours >= LEAST_SHARE * theirs })
    return [
      row('artifact of 1 GiB, up', rate(up.ms), bare.up),
      row('artifact of 1 GiB, down', rate(down.ms), bare.down),
      { name: 'artifact, memory of the command', figure: `${up.mib.toFixed(0)} MiB up, ${down.mib.toFixed(0)} MiB down`, ratio: '', bar: `≤ ${MOST_MIB} MiB`, holds: Math.max(up.mib, down.mib) <= MOST_MIB },
      { name: 'artifact of 1 GiB, read back', figure: isWhole ? 'same SHA-256' : 'ANOTHER SHA-256', ratio: '', bar: 'nothing lost', holds: isWhole },
    ]
  },
}

const rate = (ms: number): number => BYTES / 1000 / ms

/** Bytes that no two pieces share. */
async function makeFile(file: string): Promise<{ readonly sha256: string; readonly pieces: readonly string[] }> {
  const hash = createHash('sha256')
  const pieces: string[] = []
  const noise = randomBytes(PIECE_BYTES)
  const write = function* () {
    for (let piece = 0; piece < piecesOf(BYTES); piece++) {
      noise.writeUInt32LE(piece)
      const bytes = Buffer.from(noise.subarray(0, bytesOfPiece(BYTES, piece)))
      hash.update(bytes)
      pieces.push(createHash('sha256').update(bytes).digest('hex'))
      yield bytes
    }
  }
  await pipeline(write(), createWriteStream(file))
  return { sha256: hash.digest('hex'), pieces }
}

async function floor(file: string, pieces: readonly string[]): Promise<{ readonly up: number; readonly down: number }> {
  const url = await openBare(BARE)
  const up = await timed(() => abreast(pieces.length, ABREAST, (piece) => sendPiece({ url, token: 'none', path: `/${piece}?sha256=${pieces[piece]}`, file, from: piece * PIECE_BYTES, bytes: bytesOfPiece(BYTES, piece), stallMs: 30_000 })))
  const down = await timed(async () => {
    for (const piece of pieces.keys()) for await (const chunk of (await fetch(`${url}/${piece}`)).body ?? []) void chunk
  })
  return { up: rate(up), down: rate(down) }
}

async function kedge(args: readonly string[], { folder, env }: { readonly folder: string; readonly env: Readonly<Record<string, string>> }): Promise<{ readonly ms: number; readonly mib: number }> {
  let mib = 0
  const ms = await timed(async () => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    const looking = setInterval(() => (mib = Math.max(mib, memoryOf(child.pid ?? 0).peakMib || 0)), 50)
    const status = await new Promise((resolve) => child.once('close', resolve))
    clearInterval(looking)
    if (status !== 0) throw new Error(`kedge ${args.join(' ')}: ${said}`)
  })
  return { ms, mib }
}
