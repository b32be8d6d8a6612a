/** One mirror for many slots and processes, and no more of them than fit. */
import { readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { boundCache } from '../../../agent/checkout/cache.ts'
import { inTurn } from '../../../agent/checkout/turn.ts'
import { nodePlatform, nodeProcesses } from '../../../agent/node-platform.ts'
import { checkouts } from '../../support/checkouts.ts'
import { ownFolder } from '../../support/folder.ts'
import { freshClone, listing, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 120_000 }) // dozens of real commands of git in each

const machine = { ...nodePlatform(), processes: nodeProcesses() }
const signal = new AbortController().signal

async function repository(root: string, name: string) {
  const work = await repositoryAt(join(root, name))
  return { path: work.path, commit: await work.commit({ 'name': `${name}\n` }), commitMore: (text: string) => work.commit({ 'name': text }) }
}

it('slots of one repository work side by side, on a cold mirror too, and each has its own tree', async () => {
  const root = await ownFolder()
  const { path, commit, commitMore } = await repository(root, 'app')
  const next = await commitMore('next\n')
  const agent = await checkouts()
  const wanted = [commit, next, commit, null]
  const prepared = await Promise.all(wanted.map((each, slot) => agent.prepare({ repository: path, commit: each, slot })))
  expect(new Set(prepared.map(({ folder }) => folder)).size).toBe(4)
  for (const [at, { folder, commit: got }] of prepared.entries()) {
    expect(got).toBe(wanted[at] ?? next)
    expect(await listing(folder)).toEqual(await freshClone(path, got, join(root, 'fresh')))
  }
  expect((await readdir(agent.folders.cache)).filter((name) => /^app-[0-9a-f]{12}$/.test(name))).toHaveLength(1)
  // Three asked for a commit that was not there: whoever came second found it.
  expect((await agent.commands()).filter((command) => command.startsWith('fetch')).length).toBeLessThanOrEqual(3)
})

it('two agents, each in a process of its own, share a cache', async () => {
  const root = await ownFolder()
  const { path, commit } = await repository(root, 'app')
  const one = await checkouts()
  const two = await checkouts({ folders: { cache: one.folders.cache, worktrees: join(root, 'other-trees') } })
  const got = await Promise.all([one.prepare({ repository: path, commit }), two.prepare({ repository: path, commit })])
  expect(got.map((each) => each.commit)).toEqual([commit, commit])
})

it('a turn waits for a process that lives, and not for one that is gone', async () => {
  const path = join(await ownFolder(), 'mirror')
  let isHeld = true
  const alive = { ...machine, processes: { ...machine.processes, startTime: async (pid: number) => (pid === 4_000_000 ? (isHeld ? 'then' : null) : 'now') } }
  await writeFile(`${path}.lock`, JSON.stringify({ pid: 4_000_000, start: 'then', host: machine.processes.host, nonce: 'x' }))
  const waiting = vi.fn<(pid: number) => void>()
  const order: string[] = []
  const first = inTurn(path, alive, { signal, waiting }, async () => void order.push('first'))
  const second = inTurn(path, alive, { signal }, async () => void order.push('second'))
  await vi.waitFor(() => expect(waiting).toHaveBeenCalledExactlyOnceWith(4_000_000))
  expect(order).toEqual([])
  isHeld = false
  await Promise.all([first, second])
  expect(order).toEqual(['first', 'second'])
})

it('a turn that is not wanted any more is not waited for', async () => {
  const path = join(await ownFolder(), 'mirror')
  const stopping = new AbortController()
  const held = { ...machine, processes: { ...machine.processes, startTime: async () => 'same' } }
  await writeFile(`${path}.lock`, JSON.stringify({ pid: 4_000_000, start: 'same', host: machine.processes.host, nonce: 'x' }))
  const turn = inTurn(path, held, { signal: stopping.signal, waiting: () => stopping.abort() }, async () => 'done')
  await expect(turn).rejects.toMatchObject({ code: 'canceled' })
})

it('what was used longest ago goes first when the cache is too large, with its work trees', async () => {
  const root = await ownFolder()
  const agent = await checkouts()
  const names: string[] = []
  for (const [at, name] of ['old', 'newer', 'newest'].entries()) {
    const { path, commit } = await repository(root, name)
    const { folder } = await agent.prepare({ repository: path, commit, slot: at })
    names.push(folder.split('/').at(-1) ?? '')
    await utimes(join(agent.folders.cache, names.at(-1) ?? '', 'kedge-used'), 1000 + at, 1000 + at)
  }
  const bound = (limitBytes: number, isInUse: (name: string) => boolean) => boundCache({ ...agent.folders, limitBytes, isInUse, machine, signal })
  expect(await bound(1024 ** 3, () => false)).toEqual([])
  expect(await bound(0, (name) => name === names[1])).toEqual([names[0], names[2]])
  expect((await readdir(agent.folders.cache)).filter((name) => names.includes(name))).toEqual([names[1]])
  expect(await readdir(join(agent.folders.worktrees, '0'))).toEqual([])
  expect(await readdir(join(agent.folders.worktrees, '1'))).toEqual([names[1], `${names[1]}.git`])
})

it('a checkout bounds the cache, but keeps what any slot had last', async () => {
  const root = await ownFolder()
  const agent = await checkouts({ cacheBytes: 0 })
  const [one, two, three] = [await repository(root, 'one'), await repository(root, 'two'), await repository(root, 'three')]
  await agent.prepare({ repository: one.path, commit: one.commit, slot: 0 })
  await agent.prepare({ repository: two.path, commit: two.commit, slot: 1 })
  await agent.prepare({ repository: three.path, commit: three.commit, slot: 1 })
  const mirrors = async () => (await readdir(agent.folders.cache)).filter((name) => /-[0-9a-f]{12}$/.test(name)).map((name) => name.split('-')[0])
  await vi.waitFor(async () => expect((await mirrors()).sort()).toEqual(['one', 'three']), { timeout: 20_000 })
  // And what went is simply had again.
  expect((await agent.prepare({ repository: two.path, commit: two.commit, slot: 1 })).commit).toBe(two.commit)
})
