/**
 * `kedge agent`: joins this machine to a coordinator and runs builds until it is stopped. The first SIGTERM or Ctrl-C
 * lets it finish what runs, the second hands that back, the third ends it at once [C14].
 */
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { coordinatorUrl, DEFAULT_URL, firstOf, folderThere, plainToken, present, readSettings, stateFolder, timeScale, tokenFrom, wholeNumber, type FileSettings, type Given } from './settings.ts'

export const MOST_SLOTS = 64

export interface AgentFlags {
  readonly url?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly name?: string
  readonly slots?: string
  readonly queue?: string
  readonly tag?: readonly string[]
  readonly state?: string
  readonly hooksPath?: string
  readonly cachePath?: string
  /** Commander's way to say `--no-plugins`. */
  readonly plugins?: boolean
  /** Commander's way to say `--no-doorbell`. */
  readonly doorbell: boolean
  readonly config?: string
  readonly json?: boolean
}

export function registerAgent(program: Command, surroundings: Surroundings): void {
  program
    .command('agent')
    .description('run builds on this machine')
    .option('--url <url>', `the coordinator (KEDGE_URL; default ${DEFAULT_URL})`)
    .option('--token <token>', 'registration token, needed once (KEDGE_REGISTRATION_TOKEN)')
    .option('--token-file <file>', 'a file with the registration token')
    .option('--name <name>', "what people call it (default: the machine's name)")
    .option('--slots <n>', 'how many builds at a time (default 1)')
    .option('--queue <queue>', 'the queue it serves (default "default")')
    .option('--tag <k=v>', 'a tag that jobs can ask for; may be repeated', (value: string, all: string[] | undefined) => [...(all ?? []), value])
    .option('--state <folder>', 'identity and unsent results (default ~/.kedge/agent)')
    .option('--hooks-path <folder>', "your own hooks for each job (KEDGE_HOOKS_PATH; default none)")
    .option('--cache-path <folder>', 'what projects keep between builds (KEDGE_CACHE_PATH; default in the state folder)')
    .option('--no-plugins', 'refuse steps that have plugins')
    .option('--no-doorbell', 'ask for work at intervals only, without a socket')
    .option('--config <file>', 'settings by the names of these flags (default kedge.json, if there is one)')
    .option('--json', 'what happens as lines of JSON on stdout')
    .action(async (flags: AgentFlags) => {
      surroundings.exit(await runAgent(flags, surroundings))
    })
}

export async function agentSettings(flags: AgentFlags, surroundings: Surroundings) {
  const { offer } = await import('../../schema/sync.ts')
  const { environment } = surroundings
  const file = readSettings(flags.config, surroundings)
  const given = (name: 'url' | 'name' | 'slots' | 'queue', variable: string, otherwise: string) =>
    firstOf({ flag: [`--${name}`, flags[name]], variable: [variable, environment[variable]], file: [name, file[name]?.toString()], otherwise })
  const tags = flags.tag ?? commaList(environment['KEDGE_TAGS']) ?? file.tags ?? []
  for (const tag of tags) if (!offer.shape.tags.element.safeParse(tag).success) throw new Failure(EXIT.usage, `the tag "${tag}" must look like key=value without spaces, such as os=linux.`)
  if (!offer.shape.tags.safeParse(tags).success) throw new Failure(EXIT.usage, `${tags.length} tags are more than an agent may have.`)
  return {
    url: coordinatorUrl(given('url', 'KEDGE_URL', DEFAULT_URL)),
    registrationToken: token(flags, file, surroundings),
    name: fitting(given('name', 'KEDGE_AGENT_NAME', hostname()), offer.shape.name, 'must have 1 to 128 characters'),
    slots: wholeNumber(given('slots', 'KEDGE_SLOTS', '1'), { from: 1, to: MOST_SLOTS }),
    queue: fitting(given('queue', 'KEDGE_QUEUE', 'default'), offer.shape.queue, 'must be 1 to 64 letters, digits, "_", "." or "-", and begin with a letter or digit'),
    tags,
    stateFolder: stateFolder(flags.state ?? present(environment['KEDGE_STATE']) ?? file.state, 'agent', surroundings),
    cacheFolder: cacheFolder(flags.cachePath ?? present(environment['KEDGE_CACHE_PATH']) ?? file.cache_path, surroundings),
    hooksFolder: hooks(flags, file, surroundings),
    plugins: flags.plugins !== false && (file.plugins ?? true),
    doorbell: flags.doorbell && (file.doorbell ?? true),
    timeScale: timeScale(surroundings),
  }
}

/** What the coordinator would refuse, again and again, is better refused here. */
function fitting({ text, from }: Given, schema: { safeParse(text: string): { readonly success: boolean } }, rule: string): string {
  if (schema.safeParse(text).success) return text
  throw new Failure(EXIT.usage, `${from} ${rule}, not "${text.length > 80 ? `${text.slice(0, 80)}…` : text}".`)
}

function hooks({ hooksPath }: AgentFlags, { hooks_path }: FileSettings, surroundings: Surroundings): string | null {
  const variable = present(surroundings.environment['KEDGE_HOOKS_PATH'])
  if (hooksPath === undefined && variable === undefined && hooks_path === undefined) return null
  return folderThere(firstOf({ flag: ['--hooks-path', hooksPath], variable: ['KEDGE_HOOKS_PATH', variable], file: ['hooks_path', hooks_path], otherwise: '' }), surroundings)
}

function token(flags: AgentFlags, file: FileSettings, surroundings: Surroundings): string | null {
  if (flags.token !== undefined && flags.tokenFile !== undefined) throw new Failure(EXIT.usage, '--token and --token-file both name the token; leave one out.')
  if (flags.token !== undefined) return plainToken(flags.token, '--token')
  if (flags.tokenFile !== undefined) return tokenFrom(flags.tokenFile, surroundings)
  const fromEnvironment = present(surroundings.environment['KEDGE_REGISTRATION_TOKEN'])
  if (fromEnvironment !== undefined) return plainToken(fromEnvironment, 'KEDGE_REGISTRATION_TOKEN')
  if (file.token !== undefined) return plainToken(file.token, '"token" of the settings file')
  return file.token_file === undefined ? null : tokenFrom(file.token_file, surroundings)
}

async function runAgent(flags: AgentFlags, surroundings: Surroundings): Promise<ExitCode> {
  if (surroundings.os === 'win32') throw new Failure(EXIT.usage, 'the agent does not run on Windows itself yet. Start it in WSL (wsl --install), where everything works.')
  const config = await agentSettings(flags, surroundings)
  const [{ startAgent }, { nodeMachine }, { nodePlatform, nodeProcesses }, { createCheckout }, { createPlugins }, { endGroup }] = await Promise.all([import('../agent.ts'), import('../node-machine.ts'), import('../node-platform.ts'), import('../checkout/checkout.ts'), import('../checkout/plugins.ts'), import('../runner/process-tree.ts')])
  const platform = nodePlatform()
  const say = (kind: 'line' | 'waiting') => (text: string) => {
    if (flags.json === true) surroundings.print(JSON.stringify({ at: new Date().toISOString(), kind, text }))
    else surroundings.note(text)
  }
  const { environment } = surroundings
  const git = { ...platform, processes: nodeProcesses() }
  const prepareCheckout = createCheckout({
    folders: { cache: join(config.stateFolder, 'mirrors'), worktrees: join(config.stateFolder, 'worktrees') },
    environment,
    machine: git,
    endGroup,
  })
  const preparePlugins = createPlugins({ folder: join(config.stateFolder, 'plugins'), environment, machine: git, endGroup })
  const machine = nodeMachine({ platform, stateFolder: config.stateFolder, url: config.url, self: surroundings.self, environment, cacheFolder: config.cacheFolder, hooksFolder: config.hooksFolder, prepareCheckout, preparePlugins: config.plugins ? preparePlugins : null })
  const agent = startAgent(config, platform, { line: say('line'), waiting: say('waiting') }, machine)
  const stop = (times: number) => {
    for (let i = 0; i < times; i++) agent.stop()
  }
  surroundings.onStop(() => stop(1))
  surroundings.onParent((message) => stop(message === 'stop' ? 2 : 3)) // gone: nobody is left to hand anything to
  return (await agent.ended) as ExitCode // 0, 1, 2 or 5: see `Agent.ended`
}

function cacheFolder(given: string | undefined, { folder }: Surroundings): string | null {
  return given === undefined ? null : resolve(folder, given)
}

function commaList(text: string | undefined): readonly string[] | undefined {
  return present(text)?.split(',').map((one) => one.trim()).filter((one) => one !== '')
}
