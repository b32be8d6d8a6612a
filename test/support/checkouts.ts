/**
 * An agent's checkout room over real git and a disk of its own, and a witness of every command of git that it started.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { createCheckout, type CheckoutOptions, type CheckoutRequest } from '../../agent/checkout/checkout.ts'
import { nodePlatform, nodeProcesses } from '../../agent/node-platform.ts'
import { ownFolder } from './folder.ts'
import { plainEnvironment } from './repository.ts'

export interface Checkouts {
  readonly folder: string
  readonly folders: CheckoutOptions['folders']
  /** What the builds' logs say. */
  readonly log: readonly string[]
  /** `which` is what varies: the rest is a checkout of the default branch on slot 0. */
  prepare(which: { readonly repository: string; readonly commit?: string | null; readonly branch?: string | null; readonly fresh?: boolean; readonly submodules?: boolean; readonly lfs?: boolean; readonly slot?: number; readonly signal?: AbortSignal; readonly credentials?: CheckoutRequest['credentials'] }): Promise<{ readonly folder: string; readonly commit: string }>
  /** Commands of git since it was asked last, each with its arguments. */
  commands(): Promise<readonly string[]>
}

export async function checkouts(options: Partial<CheckoutOptions> = {}): Promise<Checkouts> {
  const folder = await ownFolder()
  const folders = { cache: join(folder, 'cache'), worktrees: join(folder, 'trees') }
  const log: string[] = []
  const witness = await watchGit(folder)
  const platform = nodePlatform()
  const environment = { ...plainEnvironment(join(folder, 'home')), ...options.environment }
  await mkdir(environment['HOME'] ?? '', { recursive: true })
  const prepare = createCheckout({ folders, machine: { ...platform, processes: nodeProcesses() }, endGroup: (leader, signal) => void process.kill(-leader, signal), ...options, environment: { ...environment, PATH: `${witness.bin}:${environment['PATH']}` } })
  return {
    folder,
    folders,
    log,
    prepare: ({ repository, commit = null, branch = null, fresh = false, submodules, lfs, slot = 0, signal = new AbortController().signal, credentials }) =>
      prepare({ checkout: { repository, commit, branch, fresh, ...(submodules === undefined ? {} : { submodules }), ...(lfs === undefined ? {} : { lfs }) }, slot, project: 'test', log: (text) => log.push(text), signal, ...(credentials === undefined ? {} : { credentials }) }),
    commands: witness.commands,
  }
}

async function watchGit(folder: string): Promise<{ readonly bin: string; readonly commands: () => Promise<readonly string[]> }> {
  const bin = join(folder, 'bin')
  const notes = join(folder, 'commands')
  const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  await mkdir(bin)
  await writeFile(notes, '')
  await writeFile(join(bin, 'git'), `#!/bin/sh\necho "$*" >> '${notes}'\nexec '${real}' "$@"\n`)
  await chmod(join(bin, 'git'), 0o755)
  return {
    bin,
    commands: async () => {
      const lines = (await readFile(notes, 'utf8')).split('\n').filter((line) => line !== '')
      await writeFile(notes, '')
      return lines
    },
  }
}
