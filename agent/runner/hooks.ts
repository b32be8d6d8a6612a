/**
 * Which hooks a job has: files of a set name in the folder of the agent's owner, and in the checkout. They are looked for
 * once, when the checkout is there and nothing of the job has run: a hook that another hook would only make is not run.
 *
 * What one would get wrong: a folder that the owner named and that cannot be read is a failure, never "no hooks". Owners
 * put into hooks what must happen before a stranger's command.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Hook, HookName } from './hook-script.ts'

/** In the checkout; only the first that is there counts, as with pipeline files. */
const REPOSITORY_FOLDERS = ['.kedge/hooks', '.buildkite/hooks']

/** Names that count in a folder. What runs before the checkout cannot come out of it. */
const NAMES = {
  agent: ['environment', 'pre-checkout', 'checkout', 'post-checkout', 'pre-command', 'command', 'post-command', 'pre-artifact', 'post-artifact', 'pre-exit'],
  plugin: ['environment', 'pre-checkout', 'checkout', 'post-checkout', 'pre-command', 'command', 'post-command', 'pre-artifact', 'post-artifact', 'pre-exit'],
  repository: ['post-checkout', 'pre-command', 'command', 'post-command', 'pre-artifact', 'post-artifact', 'pre-exit'],
} as const satisfies Readonly<Record<Hook['owner'], readonly HookName[]>>

/** Shells whose language bash understands: such a hook can hand on its environment. */
const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash'])
/** As much of a first line as the kernel looks at. */
const FIRST_LINE_BYTES = 256

/** The job cannot have the hooks that it should have; `code` goes into the attempt's result. */
export class HookError extends Error {
  override readonly name = 'HookError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export interface HookFolders {
  /** Of the agent's owner; null without any. */
  readonly agent: string | null
  /** The checkout; null when the job has none. */
  readonly checkout: string | null
  /** Of the step, in their order; `folder` is the plugin's own. */
  readonly plugins: readonly PluginFolder[]
}

export interface PluginFolder extends NonNullable<Hook['plugin']> {
  readonly folder: string
}

/** In no order, but for plugins. Throws a `HookError` for a folder that cannot be read, and for a `checkout` hook of the repository. */
export function findHooks({ agent, checkout, plugins }: HookFolders): readonly Hook[] {
  return [...agentsAndRepositorys({ agent, checkout }), ...plugins.flatMap((plugin) => hooksOf(plugin, { hasCheckout: checkout !== null }))]
}

function agentsAndRepositorys({ agent, checkout }: Pick<HookFolders, 'agent' | 'checkout'>): readonly Hook[] {
  const ofTheAgent = agent === null ? [] : hooksIn(agent, 'agent').filter(({ name }) => checkout !== null || !name.endsWith('checkout'))
  if (checkout === null) return ofTheAgent
  const folder = REPOSITORY_FOLDERS.map((name) => join(checkout, name)).find((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
  if (folder === undefined) return ofTheAgent
  const made = join(folder, 'checkout')
  if (isFile(made)) throw new HookError('checkout_hook', `will not run the hook ${made}: a repository is there only once it is checked out. Move what it does into post-checkout, or remove it.`)
  return [...ofTheAgent, ...hooksIn(folder, 'repository')]
}

function hooksOf({ folder, name, env }: PluginFolder, { hasCheckout }: { readonly hasCheckout: boolean }): readonly Hook[] {
  const hooks = join(folder, 'hooks')
  if (statSync(hooks, { throwIfNoEntry: false })?.isDirectory() !== true) throw new HookError('plugin_missing', `cannot use the plugin ${name}: it has no folder "hooks".`)
  return hooksIn(hooks, 'plugin').flatMap((hook) => (hasCheckout || !hook.name.endsWith('checkout') ? [{ ...hook, plugin: { name, env } }] : []))
}

function hooksIn(folder: string, owner: Hook['owner']): readonly Hook[] {
  let present: ReadonlySet<string>
  try {
    present = new Set(readdirSync(folder))
  } catch (error) {
    throw new HookError(owner === 'agent' ? 'agent_hooks_unreadable' : 'hooks_unreadable', `cannot read the hooks in ${folder}: ${error instanceof Error ? error.message : String(error)}. Without them no job is run.`)
  }
  return NAMES[owner].flatMap((name) => {
    const path = join(folder, name)
    return present.has(name) && isFile(path) ? [{ owner, name, path, runs: isShellText(path) ? 'sourced' : 'program' } as const] : []
  })
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Text without a first line that names an interpreter, or whose interpreter is a shell as `SHELLS` has them. */
function isShellText(path: string): boolean {
  const head = Buffer.alloc(FIRST_LINE_BYTES)
  const file = openSync(path, 'r')
  try {
    const text = head.subarray(0, readSync(file, head, 0, FIRST_LINE_BYTES, 0)).toString('latin1')
    if (!text.startsWith('#!')) return !text.includes('\0') // an executable of the system has such bytes
    const words = text.slice(2).split('\n', 1).join('').trim().split(/\s+/)
    const [program = '', ...more] = words.map((word) => basename(word))
    return SHELLS.has(program === 'env' ? (more.find((word) => !word.startsWith('-') && !word.includes('=')) ?? '') : program)
  } finally {
    closeSync(file)
  }
}
