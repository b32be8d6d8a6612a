/** A log far beyond its limit: 10 GiB against 1 GiB, in everyday runs a twentieth of both. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { sharedCoordinator, startAgent, TIME_SCALE } from '../support/installation.ts'
import { pidsOf } from '../support/process-list.ts'
import { spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()
const MIB = 1024 ** 2
const PRINTED_BYTES = Math.floor((10 * 1024 * MIB) / TIME_SCALE)
const limits = { limitBytes: Math.floor((1024 * MIB) / TIME_SCALE), tailBytes: Math.floor((16 * MIB) / TIME_SCALE) }
/** Of the agent, beyond what it needs when idle, the ring of last bytes included. */
const MOST_MORE_MIB = 200
/** Whose modules can be given other limits: in what is built for users there is only one. */
const SOURCE = join(import.meta.dirname, '../../agent/cli/main.ts')
/** Numbered lines, so that each byte has its place. */
const PRINT = `seq 1 2000000000 | head -c ${PRINTED_BYTES}`

const digestOf = (bytes: string): string => execFileSync('sh', ['-c', `${PRINT} | ${bytes} | sha256sum`], { encoding: 'utf8' }).slice(0, 64)
const peakMib = (pid: number): number => Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

test(`a log of ${PRINTED_BYTES / MIB} MiB: its head, a marker that counts, and its last bytes are kept, and the agent's memory does not grow with it [D41, C12.1]`, async ({ annotate }) => {
  const people = client(coordinator())
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken, main: SOURCE, env: { NODE_OPTIONS: `--import ${join(import.meta.dirname, '../support/small-logs.ts')}`, KEDGE_LOG_LIMITS: JSON.stringify(limits) } })
  await people.agent(agent.name)
  const project = await people.project()
  expect((await (await project.build({ command: 'echo warm', agents: { queue: agent.queue } })).over()).state).toBe('passed')
  const before = peakMib(agent.pid)
  const begun = performance.now()
  const build = await project.build({ command: PRINT, agents: { queue: agent.queue } })
  expect((await build.over({ withinMs: 1_800_000 })).state).toBe('passed')
  const ended = performance.now()
  await eventually('the log is sealed', () => spooled(agent.state).length === 0, { withinMs: 1_800_000 })
  const more = peakMib(agent.pid) - before
  await annotate(`${PRINTED_BYTES / MIB} MiB printed in ${((ended - begun) / 1000).toFixed(1)} s, kept and sealed ${((performance.now() - ended) / 1000).toFixed(1)} s later; the agent's memory grew by ${more.toFixed(0)} MiB at most`)
  expect(more).toBeLessThan(MOST_MORE_MIB)
  expect(pidsOf(agent.state)).toEqual([agent.pid])

  const { id } = await build.job()
  const { url, adminToken } = coordinator()
  const { head, marker, tail } = await read(await fetch(`${url}/api/v1/jobs/${id}/log`, { headers: { authorization: `Bearer ${adminToken}` } })) // a gibibyte takes longer than people's other questions may
  expect(head).toBe(digestOf(`head -c ${limits.limitBytes}`))
  expect(marker).toContain(`${PRINTED_BYTES - limits.limitBytes - limits.tailBytes} bytes are left out here`)
  expect(tail).toBe(digestOf(`tail -c ${limits.tailBytes}`))
}, 3_600_000)

/** Digests of the first and last bytes of a log, and what stands between them; read as it comes. */
async function read(response: Response): Promise<{ readonly head: string; readonly marker: string; readonly tail: string }> {
  const head = createHash('sha256')
  const rest: Uint8Array[] = []
  let at = 0
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) { // Node's is iterable
    const room = Math.max(0, limits.limitBytes - at)
    head.update(piece.subarray(0, room))
    if (piece.byteLength > room) rest.push(piece.subarray(room))
    at += piece.byteLength
  }
  const after = Buffer.concat(rest)
  const tail = after.subarray(after.byteLength - limits.tailBytes)
  return { head: head.digest('hex'), marker: after.subarray(0, after.byteLength - limits.tailBytes).toString(), tail: createHash('sha256').update(tail).digest('hex') }
}
