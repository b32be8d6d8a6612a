import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findHooks as find, type HookFolders } from '../../../agent/runner/hooks.ts'
import { ownFolder } from '../../support/folder.ts'

const findHooks = (folders: Omit<HookFolders, 'plugins'> & Partial<HookFolders>) => find({ plugins: [], ...folders })

/** Agent's folder `agent`, checkout `checkout`, and these files in them. */
async function folders(files: Readonly<Record<string, string | Uint8Array>>): Promise<{ readonly agent: string; readonly checkout: string }> {
  const root = await ownFolder()
  for (const folder of ['agent', 'checkout']) mkdirSync(join(root, folder))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), content)
  }
  return { agent: join(root, 'agent'), checkout: join(root, 'checkout') }
}

const named = (hooks: ReturnType<typeof findHooks>) => hooks.map(({ owner, name }) => `${owner} ${name}`)

describe('the hooks of a job', () => {
  it('are none where there are none', async () => {
    expect(findHooks(await folders({ 'checkout/README.md': '' }))).toEqual([])
    expect(findHooks({ agent: null, checkout: null })).toEqual([])
  })

  it('come from the agent\'s folder and the checkout, where only what runs after the checkout counts', async () => {
    const all = ['environment', 'pre-checkout', 'post-checkout', 'pre-command', 'command', 'post-command', 'pre-exit', 'pre-command.sample']
    const there = await folders(Object.fromEntries(['agent', 'checkout/.buildkite/hooks'].flatMap((folder) => all.map((name) => [join(folder, name), '']))))
    expect(named(findHooks(there))).toEqual([...all.slice(0, 7).map((name) => `agent ${name}`), ...all.slice(2, 7).map((name) => `repository ${name}`)])
  })

  it('of the repository come from .kedge/hooks alone where that is there', async () => {
    const there = await folders({ 'checkout/.kedge/hooks/pre-exit': '', 'checkout/.buildkite/hooks/pre-command': '' })
    expect(findHooks(there)).toEqual([{ owner: 'repository', name: 'pre-exit', path: join(there.checkout, '.kedge/hooks/pre-exit'), runs: 'sourced' }])
  })

  it('without a checkout are the agent\'s, but for those around the checkout', async () => {
    const { agent } = await folders({ 'agent/environment': '', 'agent/pre-checkout': '', 'agent/post-checkout': '', 'agent/checkout': '', 'agent/pre-exit': '' })
    expect(named(findHooks({ agent, checkout: null }))).toEqual(['agent environment', 'agent pre-exit'])
  })

  it.each([
    ['', 'sourced'],
    ['echo no interpreter', 'sourced'],
    ['#!/bin/sh\n', 'sourced'],
    ['#!/bin/bash -eu\n', 'sourced'],
    ['#! /usr/bin/env bash\n', 'sourced'],
    ['#!/usr/bin/env -S bash -e\n', 'sourced'],
    ['#!/usr/bin/env python3\nbash\n', 'program'],
    ['#!/usr/bin/zsh\n', 'program'],
    ['#!/usr/bin/env\n', 'program'],
    ['\x7fELF\0\0', 'program'],
  ])('that begin with %j are %s', async (text, runs) => {
    expect(findHooks(await folders({ 'agent/pre-command': text }))).toMatchObject([{ runs }])
  })

  it('named checkout are the agent\'s and plugins\'; one of a repository is refused with its place', async () => {
    const ofTheAgent = await folders({ 'agent/checkout': '' })
    expect(named(findHooks(ofTheAgent))).toEqual(['agent checkout'])
    expect(findHooks({ ...ofTheAgent, checkout: null })).toEqual([])
    const ofTheRepository = await folders({ 'checkout/.buildkite/hooks/checkout': '' })
    expect(() => findHooks(ofTheRepository)).toThrow(expect.objectContaining({ code: 'checkout_hook', message: `will not run the hook ${ofTheRepository.checkout}/.buildkite/hooks/checkout: a repository is there only once it is checked out. Move what it does into post-checkout, or remove it.` }))
  })

  it('of plugins are in their folder "hooks", and must be', async () => {
    const { agent, checkout } = await folders({ 'checkout/p/hooks/command': '', 'checkout/p/hooks/pre-checkout': '', 'agent/hooks/checkout': '' })
    const plugin = { name: 'p', env: { A: '1' }, folder: join(checkout, 'p') }
    expect(findHooks({ agent: null, checkout: null, plugins: [plugin] })).toEqual([{ owner: 'plugin', name: 'command', path: join(checkout, 'p/hooks/command'), runs: 'sourced', plugin: { name: 'p', env: { A: '1' } } }])
    expect(named(findHooks({ agent: null, checkout, plugins: [plugin] }))).toEqual(['plugin pre-checkout', 'plugin command'])
    expect(named(findHooks({ agent: null, checkout, plugins: [{ ...plugin, folder: agent }] }))).toEqual(['plugin checkout'])
    expect(findHooks({ agent: null, checkout: null, plugins: [{ ...plugin, folder: agent }] })).toEqual([])
    expect(() => findHooks({ agent: null, checkout, plugins: [{ ...plugin, folder: checkout }] })).toThrow('cannot use the plugin p: it has no folder "hooks".')
  })

  it('whose folder is gone are a failure of the machine, never none', async () => {
    const { checkout } = await folders({})
    expect(() => findHooks({ agent: '/nowhere/hooks', checkout })).toThrow(expect.objectContaining({ code: 'agent_hooks_unreadable', message: expect.stringContaining('cannot read the hooks in /nowhere/hooks: ') }))
  })

  it('that cannot be read are a failure of the machine too', async () => {
    const there = await folders({ 'agent/other': '' })
    symlinkSync('pre-command', join(there.agent, 'pre-command')) // leads to itself: nobody can read it, root neither
    expect(() => findHooks(there)).toThrow(/ELOOP/)
  })
})
