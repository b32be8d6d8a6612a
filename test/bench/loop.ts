/**
 * The floor of `throughput`, a process of its own, as small as a program of Node can be: starting a command costs what
 * its starter has in memory. `node loop.ts FOLDER JOBS WIDTH` prints how many a second.
 */
import { spawn } from 'node:child_process'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const WRITES = 4
const bytes = new Uint8Array(300)
const [folder = '', jobs = '', width = ''] = process.argv.slice(2)

/** As the agent's: the bytes and their name, both on the disk when it returns. */
async function writeDurably(path: string): Promise<void> {
  const file = await open(`${path}.tmp`, 'w')
  await file.writeFile(bytes)
  await file.sync()
  await file.close()
  await rename(`${path}.tmp`, path)
  const own = await open(dirname(path), 'r')
  await own.sync()
  await own.close()
}

async function job(index: number): Promise<void> {
  const own = join(folder, String(index))
  await mkdir(own, { recursive: true })
  for (let write = 0; write < WRITES / 2; write++) await writeDurably(join(own, String(write)))
  await new Promise<void>((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', 'true'], { cwd: own, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.resume()
    child.once('error', reject).once('close', () => resolve())
  })
  for (let write = WRITES / 2; write < WRITES; write++) await writeDurably(join(own, String(write)))
}

const since = performance.now()
let next = 0
await Promise.all(
  Array.from({ length: Number(width) }, async () => {
    while (next < Number(jobs)) await job(next++)
  }),
)
console.log((1000 * Number(jobs)) / (performance.now() - since))
