/**
 * 100 MB of log: from the finished spool file to the last acknowledged byte, by the agent's own uploader, then read back
 * and compared. The floor is an object that stores each PUT as one row, fed by the same uploader over the same path.
 */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createUploader } from '../../agent/log/upload.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Network } from '../../agent/platform.ts'
import { PROTOCOL_HEADERS } from '../../coordinator/refusal.ts'
import { claim } from './claim.ts'
import { percent, type Bar } from './row.ts'
import { openBare, openCoordinator, ownFolder, TO_THE_OBJECT, type Site } from './stage.ts'

const BYTES = 100_000_000
const WARM_BYTES = 4_000_000
const LEAST_SHARE = 0.6

const BARE = `import { DurableObject } from 'cloudflare:workers'
const HEADERS = ${JSON.stringify(PROTOCOL_HEADERS)}
export class Bare extends DurableObject {
  constructor(state, env) { super(state, env); state.storage.sql.exec('create table if not exists t (id integer primary key, attempt text, bytes blob)') }
  async fetch(request) {
    const url = new URL(request.url)
    if (request.method === 'POST') return Response.json({ size: (await request.json()).bytes, sealed: true }, { headers: HEADERS })
    const bytes = await request.arrayBuffer()
    this.ctx.storage.sql.exec('insert into t (attempt, bytes) values (?, ?)', url.pathname, bytes)
    return Response.json({ size: Number(url.searchParams.get('offset')) + bytes.byteLength, watched: false }, { headers: HEADERS })
  }
}
${TO_THE_OBJECT}`

export const log: Bar = {
  name: 'log',
  async run() {
    const folder = await ownFolder()
    const site = await openCoordinator()
    const claimed = await claim(site, 3)
    const bareUrl = await openBare(BARE)
    const rates = { ours: [] as number[], bare: [] as number[] }
    let isWhole = true
    for (const [index, { attempt, token }] of claimed.entries()) {
      const bytes = linesOf(index === 0 ? WARM_BYTES : BYTES)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      const path = join(folder, `log-${index}`)
      await writeFile(path, bytes)
      const bare = await upload({ path, url: bareUrl, attempt: attemptId({ project: 1, build: index + 1, n: 1, fence: 1 }), token: 'none', bytes: bytes.byteLength, sha256 })
      const ours = await upload({ path, url: site.url, attempt, token, bytes: bytes.byteLength, sha256 })
      if (index === 0) continue
      rates.ours.push(ours)
      rates.bare.push(bare)
      isWhole &&= (await readBack(site, attempt)) === sha256
    }
    const [ours, bare] = [Math.max(...rates.ours), Math.max(...rates.bare)]
    return [
      { name: 'log of 100 MB, spool to stored', figure: `${ours.toFixed(0)} MB/s; bare object ${bare.toFixed(0)} MB/s`, ratio: percent(ours / bare), bar: `≥ ${percent(LEAST_SHARE)} of a bare object`, holds: ours >= LEAST_SHARE * bare },
      { name: 'log of 100 MB, read back', figure: isWhole ? 'same SHA-256' : 'ANOTHER SHA-256', ratio: '', bar: 'nothing lost', holds: isWhole },
      { name: 'log of Buildbot', figure: 'not measured: not installed', ratio: '', bar: '', holds: null },
    ]
  },
}

/** MB/s until the last byte was acknowledged; the seal, which follows, is waited for but not counted. */
async function upload({ path, url, attempt, token, bytes, sha256 }: { readonly path: string; readonly url: string; readonly attempt: AttemptId; readonly token: string; readonly bytes: number; readonly sha256: string }): Promise<number> {
  const { clock, disk, network: plain } = nodePlatform()
  let last = performance.now()
  const network: Network = {
    ...plain,
    fetch: async (to, init) => {
      const response = await plain.fetch(to, init)
      if (init.method === 'PUT') last = performance.now()
      return response
    },
  }
  const since = performance.now()
  const uploader = createUploader({ path, attempt, token, url, network, disk, clock, backoff: { next: () => 100, reset: () => undefined }, callTimeoutMs: 30_000, pace: () => 1000 })
  uploader.grow(bytes)
  uploader.finish({ bytes, sha256 })
  const end = await uploader.done
  if (end !== 'sealed') throw new Error(`the log of ${attempt} was refused`)
  return bytes / 1000 / (last - since)
}

async function readBack(site: Site, attempt: AttemptId): Promise<string> {
  const response = await fetch(`${site.url}/api/v1/jobs/${attempt.replace(/\.\d+$/, '')}/log`, { headers: { authorization: `Bearer ${site.adminToken}` } })
  if (!response.ok || response.body === null) throw new Error(`log of ${attempt}: ${response.status}`)
  const hash = createHash('sha256')
  for await (const piece of response.body) hash.update(piece)
  return hash.digest('hex')
}

/** Text, and no two lines alike. */
function linesOf(bytes: number): Buffer {
  const noise = randomBytes(1 << 20).toString('base64').replaceAll(/.{99}/g, '$&\n')
  return Buffer.alloc(bytes, noise)
}
