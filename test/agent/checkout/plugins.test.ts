/** Plugins over real git, from repositories on this machine. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { createPlugins, pluginAddress } from '../../../agent/checkout/plugins.ts'
import { nodePlatform, nodeProcesses } from '../../../agent/node-platform.ts'
import { ownFolder } from '../../support/folder.ts'
import { plainEnvironment, repositoryAt } from '../../support/repository.ts'

vi.setConfig({ testTimeout: 60_000 })

async function agent() {
  const root = await ownFolder()
  const log: string[] = []
  const prepare = createPlugins({ folder: join(root, 'plugins'), environment: plainEnvironment(root), machine: { ...nodePlatform(), processes: nodeProcesses() }, endGroup: (leader, signal) => void process.kill(-leader, signal) })
  const one = async (source: string, checkout: string | null = null) => (await prepare({ sources: [source], checkout, log: (text) => log.push(text), signal: new AbortController().signal }))[0] ?? ''
  return { root, log, prepare: one, plugins: () => readdirSync(join(root, 'plugins')).filter((name) => !/askpass|\.lock/.test(name)) }
}

async function plugin() {
  const repository = await repositoryAt(join(await ownFolder(), 'greet-buildkite-plugin'))
  const first = await repository.commit({ 'hooks/command': 'one', 'part/hooks/command': 'part' })
  await repository.git('tag', 'v1')
  const second = await repository.commit({ 'hooks/command': 'two' })
  return { ...repository, first, second }
}

const hookIn = (folder: string) => readFileSync(join(folder, 'hooks/command'), 'utf8')

it('a tag and a commit, whole or short, are fetched once and kept', async () => {
  const { path, first } = await plugin()
  const { prepare, log, plugins } = await agent()
  for (const ref of ['v1', first, first.slice(0, 8)]) {
    const folder = await prepare(`${path}#${ref}`)
    expect(hookIn(folder)).toBe('one')
    expect(await prepare(`${path}#${ref}`)).toBe(folder)
  }
  expect(log).toEqual(['v1', first, first.slice(0, 8)].map((ref) => `fetching the plugin ${path}#${ref}`))
  expect(plugins()).toHaveLength(3)
})

it('a branch and no name at all are asked for each time, and what runs from the last commit keeps it', async () => {
  const { path, commit } = await plugin()
  const { prepare } = await agent()
  const before = await prepare(`${path}#main`)
  expect([hookIn(before), hookIn(await prepare(path))]).toEqual(['two', 'two'])
  expect(await prepare(`${path}#main`)).toBe(before)
  await commit({ 'hooks/command': 'three' })
  expect([hookIn(await prepare(`${path}#main`)), hookIn(await prepare(path)), hookIn(before)]).toEqual(['three', 'three', 'two'])
})

it('two that want the same at once fetch it once, and leave nothing beside it', async () => {
  const { path } = await plugin()
  const { prepare, log, plugins } = await agent()
  const [one, other] = await Promise.all([prepare(`${path}#v1`), prepare(`${path}#v1`)])
  expect(one).toBe(other)
  expect(log).toHaveLength(1)
  expect(plugins()).toHaveLength(1)
})

it('one of the checkout is where it says, and nowhere above', async () => {
  const { root, prepare } = await agent()
  const { path } = await plugin()
  expect(await prepare('./part', path)).toBe(join(path, 'part'))
  await expect(prepare('./nothing', path)).rejects.toMatchObject({ code: 'plugin_missing', message: 'cannot use the plugin ./nothing: there is no such folder in the repository.' })
  await expect(prepare(`./../${root.split('/').at(-1)}`, path)).rejects.toMatchObject({ code: 'plugin_missing' })
  await expect(prepare('./part', null)).rejects.toMatchObject({ message: 'cannot use the plugin ./part: it is in the repository, and this step has no checkout.' })
})

it('one that cannot be had is told with its address and why', async () => {
  const { path } = await plugin()
  const { prepare, plugins } = await agent()
  await expect(prepare(`${path}#v9`)).rejects.toMatchObject({ code: 'branch_missing', message: `cannot check out branch v9 of ${path}, a plugin of this step: there is no branch or tag of that name. Push it, or name another.` })
  await expect(prepare('/nowhere/at/all#v1')).rejects.toMatchObject({ code: 'repository_missing' })
  await expect(prepare(`${path}#--upload-pack=touch x`)).rejects.toMatchObject({ code: 'plugin_invalid' })
  await expect(prepare('ext::sh -c true')).rejects.toMatchObject({ code: 'repository_refused' })
  expect(plugins()).toEqual([])
})

it.each([
  ['github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0', 'https://github.com/buildkite-plugins/docker-buildkite-plugin', 'v5.9.0', ''],
  ['github.com/team/mono/plugins/notes#main', 'https://github.com/team/mono', 'main', 'plugins/notes'],
  ['git.example/team/mono.git/plugins/notes', 'https://git.example/team/mono.git', null, 'plugins/notes'],
  ['git.example/team/deep/one#', 'https://git.example/team/deep/one', null, ''],
  ['ssh://git@git.example/one.git#v1', 'ssh://git@git.example/one.git', 'v1', ''],
  ['git@git.example:team/one.git', 'git@git.example:team/one.git', null, ''],
  ['/opt/plugins/one#v1', '/opt/plugins/one', 'v1', ''],
])('%s is fetched from %s', (source, address, ref, below) => {
  expect(pluginAddress(source)).toEqual({ address, ref, below })
})
