/**
 * Steady load, and the coordinator's processes killed at random moments, for `KEDGE_FAULTS_MINUTES` (default: a third).
 * Chance comes from `KEDGE_FAULTS_SEED`; the machine's own does not, so a seed repeats what was done and not all that happened.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BuildView } from '../../schema/api.ts'
import { client } from '../support/client.ts'
import { ownQueue, startAgents, startCoordinator, testFolder } from '../support/installation.ts'
import { lives, pidsOf } from '../support/process-list.ts'
import { rejected, spooled } from '../support/spool.ts'
import { eventually, lasting } from '../support/wait.ts'

const MINUTES = Number(process.env['KEDGE_FAULTS_MINUTES'] ?? 1 / 3)
const SEED = Number(process.env['KEDGE_FAULTS_SEED'] ?? Math.floor(Math.random() * 1e9))
/** Builds that are asked for and not over, at any time. */
const UNDERWAY = 12
const BETWEEN_KILLS_MS = [500, 5000] as const

test(`workerd killed at random moments under steady load, seed ${SEED}: nothing lost, nothing accepted twice, every log whole, spools empty, no process left [D17, D18, I1, I2, I24]`, async ({ annotate }) => {
  const coordinator = await startCoordinator()
  const people = client(coordinator)
  const chance = seeded(SEED)
  const queue = ownQueue()
  const ran = join(await testFolder(), 'ran')
  appendFileSync(ran, '')
  const fleet = await startAgents(3, { url: coordinator.url, token: coordinator.registrationToken, queue, slots: 2 })
  for (const { name } of fleet) await people.agent(name)
  const { slug } = await people.project()
  const ask = asker(coordinator)

  const until = performance.now() + MINUTES * 60_000
  const asked = new Map<number, number>()
  let key = 0
  const over = new Set<number>()
  const load = async (): Promise<void> => {
    while (performance.now() < until) {
      const mine = (key += 1)
      const command = `echo "$KEDGE_ATTEMPT" >> '${ran}'; seq ${mine} ${mine + 400}; sleep 0.${mine % 4}; seq ${mine} ${mine + 10}; exit ${mine % 3}`
      const { number } = await ask<BuildView>('POST', `/api/v1/projects/${slug}/builds`, { key: `build-${SEED}-${mine}`, body: { command, agents: { queue } } })
      asked.set(number, mine)
      while (!over.has(number)) {
        const { state } = await ask<BuildView>('GET', `/api/v1/projects/${slug}/builds/${number}`)
        if (state === 'passed' || state === 'failed') over.add(number)
        else await lasting(100)
        if (performance.now() > until) break // looked at below
      }
    }
  }
  const kills = { workerd: 0, both: 0 }
  const killing = async (): Promise<void> => {
    const [least, most] = BETWEEN_KILLS_MS
    for (;;) {
      await lasting(least + (most - least) * chance())
      if (performance.now() > until) return
      if (chance() < 0.8) {
        coordinator.signalRuntime('SIGKILL')
        kills.workerd += 1
      } else {
        await coordinator.kill9()
        await lasting(1500 * chance())
        await coordinator.restart()
        kills.both += 1
      }
    }
  }
  await Promise.all([...Array.from({ length: UNDERWAY }, load), killing()])

  const attempts = () => readFileSync(ran, 'utf8').split('\n').filter((line) => line !== '')
  let taken = 0
  for (const [number, mine] of asked) {
    const build = await eventually(`build ${number} is over`, async (saw) => {
      const now = await ask<BuildView>('GET', `/api/v1/projects/${slug}/builds/${number}`)
      saw(now)
      return now.state === 'passed' || now.state === 'failed' ? now : null
    }, { withinMs: 120_000 })
    const [job] = build.jobs
    expect({ number, state: job?.state, exit_status: job?.exit_status }).toEqual({ number, state: mine % 3 === 0 ? 'passed' : 'failed', exit_status: mine % 3 })
    // One result counts, and it is the newest attempt's.
    expect(job?.attempts.filter(({ state }) => state !== 'lost').map(({ fence }) => fence)).toEqual([job?.attempts.at(-1)?.fence])
    taken += (job?.attempts.length ?? 1) - 1
    expect(attempts().filter((id) => id === job?.attempts.at(-1)?.id)).toHaveLength(1)
    const log = `${numbers(mine, mine + 400)}${numbers(mine, mine + 10)}`
    await eventually(`the log of build ${number} is whole`, async (saw) => {
      const response = await people.ask('GET', `/api/v1/jobs/${job?.id}/log`)
      const text = await response.text()
      saw(text)
      return text === log
    })
  }
  // Nothing began twice, and nothing was made that nobody asked for.
  expect(new Set(attempts()).size).toBe(attempts().length)
  const listed = new Set<number>()
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { builds: { number: number }[]; next_cursor: string | null } = await ask('GET', `/api/v1/projects/${slug}/builds?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`)
    for (const { number } of page.builds) listed.add(number)
    cursor = page.next_cursor
  }
  expect([...listed].toSorted((a, b) => a - b)).toEqual([...asked.keys()].toSorted((a, b) => a - b))
  for (const { state, pid } of fleet) {
    await eventually('the spool is empty', (saw) => {
      saw(spooled(state))
      return spooled(state).length === 0
    })
    expect(pidsOf(state)).toEqual([pid])
    expect(lives(pid)).toBe(true)
  }
  await annotate(`${asked.size} builds in ${MINUTES.toFixed(2)} min, ${kills.workerd} kills of workerd and ${kills.both} of both; ${taken} attempts lost to a second one, ${fleet.flatMap(({ state }) => rejected(state)).length} results refused`)
  expect(kills.workerd + kills.both).toBeGreaterThan(0)
}, (MINUTES * 60_000 + 600_000) * 2)

/** Asks until there is an answer, whoever dies meanwhile: with a key, nothing is made twice by that. */
function asker({ url, adminToken }: { readonly url: string; readonly adminToken: string }) {
  return async <T>(method: string, path: string, { key, body }: { readonly key?: string; readonly body?: unknown } = {}): Promise<T> =>
    await eventually(`${method} ${path} is answered`, async (saw) => {
      const response = await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }), signal: AbortSignal.timeout(5000) })
      const text = await response.text()
      saw(`${response.status} ${text}`)
      return response.ok ? (JSON.parse(text) as T) : null // the server's own types
    }, { withinMs: 120_000 }) as T
}

function numbers(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('')
}

/** The same numbers in [0, 1) for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
