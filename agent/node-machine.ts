/** The real machine under an agent (`machine.ts`), for entry files only: folders, checkouts, shells and their processes. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { arch, hostname, platform as osName } from 'node:os'
import { join } from 'node:path'
import type { JobSpec } from '../schema/sync.ts'
import { testTools } from './loop/health.ts'
import type { Machine } from './machine.ts'
import { nodeProcesses } from './node-platform.ts'
import type { Platform } from './platform.ts'
import { projectCaches, type ProjectCaches } from './project-caches.ts'
import { findShell, startCommand } from './runner/command.ts'
import { envFileText, jobEnvironment } from './runner/environment.ts'
import { hookScript } from './runner/hook-script.ts'
import { findHooks, HookError, type PluginFolder } from './runner/hooks.ts'
import { forgetLocks, releaseLocksOf } from './runner/job-locks.ts'
import { jobTokenOf } from './runner/job-token.ts'
import { placeTools } from './runner/job-tools.ts'
import { pluginEnvironment, pluginName } from './runner/plugin-environment.ts'
import { killLeftovers } from './runner/process-tree.ts'
import { newRedactions } from './runner/redactions.ts'
import { commandOrFile } from './runner/script-file.ts'
import { whatToRun } from './runner/what-to-run.ts'
import { slotFolders } from './slot-folder.ts'

export interface CheckoutRequest {
  readonly checkout: NonNullable<JobSpec['checkout']>
  readonly slot: number
  readonly project: string
  log(text: string): void
  readonly signal: AbortSignal
}

export interface NodeMachineOptions {
  readonly platform: Platform
  readonly stateFolder: string
  /** Address of the coordinator, for what jobs ask of it. */
  readonly url: string
  /** How the command line is started: the program, and its first arguments. */
  readonly self: readonly [string, ...string[]]
  /** The agent process's own, from the entry file: what programs are found by, and what of it a build may see. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Absolute: for what projects keep between builds; null: in the state folder. */
  readonly cacheFolder: string | null
  /** Folder with the hooks of the agent's owner; null without any. */
  readonly hooksFolder: string | null
  prepareCheckout(request: CheckoutRequest): Promise<{ readonly folder: string; readonly commit: string }>
  /** A folder for each source; null: the agent's owner wants no plugins. */
  readonly preparePlugins: ((request: PluginsRequest) => Promise<readonly string[]>) | null
}

export interface PluginsRequest {
  readonly sources: readonly string[]
  readonly checkout: string | null
  log(text: string): void
  readonly signal: AbortSignal
}

export function nodeMachine({ platform, stateFolder, url, self, environment, cacheFolder, hooksFolder, prepareCheckout, preparePlugins }: NodeMachineOptions): Machine {
  const { clock, disk } = platform
  const folders = slotFolders(join(stateFolder, 'slots'), disk)
  const tools = join(stateFolder, 'bin')
  const locks = join(stateFolder, 'locks')
  const handed = join(stateFolder, 'hooks')
  let caches: ProjectCaches | null = null
  /** From when a job was prepared to when its command starts. */
  const pluginsOf = new WeakMap<JobSpec, readonly PluginFolder[]>()

  async function pluginFolders({ plugins = [] }: JobSpec, request: Omit<PluginsRequest, 'sources'>): Promise<readonly PluginFolder[]> {
    const [first] = plugins
    if (first === undefined) return []
    if (preparePlugins === null) throw new HookError('plugins_forbidden', `will not run the plugin ${first.source}: the owner of this agent allows no plugins (--no-plugins). Run the step on another agent, or take its plugins away.`)
    const found = await preparePlugins({ ...request, sources: plugins.map(({ source }) => source) })
    return plugins.flatMap((plugin, index) => {
      const folder = found[index]
      return folder === undefined ? [] : [{ name: pluginName(plugin.source), env: pluginEnvironment(plugin), folder }]
    })
  }

  return {
    host: { os: osName(), arch: arch(), hostname: hostname() },
    processes: nodeProcesses(),
    selfTest: () => testTools(environment),
    killLeftovers: async (agent, attempts) => {
      const left = await Promise.all(attempts.map(async ({ attempt, process }) => ({ attempt, survivors: (await killLeftovers(attempt, process, { agent, clock })).survivors })))
      forgetLocks(locks)
      return left
    },
    prepare: async ({ spec, slot, log, signal }) => {
      const prepared = spec.checkout === null ? { folder: await folders.empty(slot), commit: null } : await prepareCheckout({ checkout: spec.checkout, slot, project: spec.project, log, signal })
      pluginsOf.set(spec, await pluginFolders(spec, { checkout: spec.checkout === null ? null : prepared.folder, log, signal }))
      return prepared
    },
    redactions: (slot) => newRedactions(ownFile(handed, `${slot}.redactions`)),
    startCommand: ({ spec, attempt, token, slot, agent, folder, commit, timeoutMs, graceMs, output }) => {
      placeTools(tools, self)
      const text = whatToRun(spec, folder)
      // Two agents may be given one folder: each has its own in it, as it does not know what runs at the other.
      caches ??= projectCaches({ folder: cacheFolder === null ? join(stateFolder, 'caches') : join(cacheFolder, agent.id), clock })
      const local = { envChanges: ownFile(handed, `${slot}.env`), envFile: ownFile(handed, `${slot}.job`), redactions: join(handed, `${slot}.redactions`), locks, cache: caches.pathOf(spec.project) }
      const env = jobEnvironment({ spec, attempt, agent, folders: { workspace: folder, tools }, local, command: text, owner: { hooks: hooksFolder, plugins: preparePlugins !== null }, access: { url, token: jobTokenOf(token) }, commit, ownEnvironment: environment })
      writeFileSync(local.envFile, envFileText(spec, env))
      const plugins = pluginsOf.get(spec)
      if (plugins === undefined) throw new Error('a command is started only where its job was prepared')
      const hooks = findHooks({ agent: hooksFolder, checkout: spec.checkout === null ? null : folder, plugins })
      const script = hooks.length === 0 && (spec.artifact_paths ?? []).length === 0 ? commandOrFile(text, folder) : hookScript({ hooks, command: text, bash: bashFor(env), handover: ownFile(handed, String(slot)), changes: local.envChanges, kedge: join(tools, 'kedge') })
      const command = startCommand({ command: script, cwd: folder, env, attempt, agent: agent.id, timeoutMs, graceMs, clock, output })
      const left = caches.enter(spec.project)
      void command.ended.catch(() => undefined).finally(() => {
        releaseLocksOf(locks, attempt)
        left()
      })
      // Afterwards as empty as before, off the way of the result and of the next job.
      if (spec.checkout === null) void command.ended.finally(() => folders.empty(slot)).catch(() => undefined) // whoever needs it empty hears of the failure then
      return command
    },
  }
}

/** Hooks are written for bash; another shell would run half of them. Throws a `HookError`. */
function bashFor(env: Readonly<Record<string, string>>): string {
  const shell = findShell(env['PATH'] ?? '')
  if (!shell.endsWith('/bash')) throw new HookError('agent_no_bash', 'cannot run the hooks of this job, or upload its artifacts: both need bash, and this machine has none. Install bash, or take them away.')
  return shell
}

/** Empty. One a slot, used again by the next job: a crash leaves nothing to clear away. */
function ownFile(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, name)
  rmSync(path, { recursive: true, force: true }) // whatever the last job made of it
  writeFileSync(path, '', { mode: 0o600, flag: 'wx' })
  return path
}
