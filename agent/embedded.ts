/**
 * A coordinator on this machine: the very Worker that Cloudflare runs, in workerd, with its state in a folder. Requests
 * reach the Worker by a direct socket; Miniflare's own entry would cost each of them a second hop.
 *
 * Miniflare is imported late: only `kedge dev` needs it, and a build machine is installed without it.
 */
import { randomBytes } from 'node:crypto'
import { access, chmod, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Miniflare, MiniflareOptions } from 'miniflare'
import { z } from 'zod'
import { parseJson } from '../schema/parse-json.ts'
import { diskTrouble } from './disk-trouble.ts'
import { takeLock } from './lock.ts'
import { nodePlatform, nodeProcesses } from './node-platform.ts'
import { shellWord } from './shell-word.ts'

export interface CoordinatorOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Absolute; made if it is not there. */
  readonly state: string
  /** Divides every time of the coordinator; for tests only. */
  readonly timeScale?: number
  /** For how many days artifacts are kept; absent: as the Worker has it. */
  readonly artifactDays?: string
  /** `KEDGE_FORGES`: whom commit statuses are told to. */
  readonly forges?: string
  /** A sentence that the coordinator wrote to its console. */
  note?(text: string): void
}

export interface Coordinator {
  readonly url: string
  readonly adminToken: string
  readonly registrationToken: string
  /** What is done once a day by itself: removes what was kept for long enough. */
  sweep(): Promise<void>
  stop(): Promise<void>
}

/** The coordinator cannot run here; the message is a whole sentence for a person. */
export class CoordinatorError extends Error {}

const FORMAT = 1
const secretsText = z.object({ format: z.literal(FORMAT), admin_token: z.string(), registration_token: z.string(), signing_key: z.string() })
type Secrets = z.infer<typeof secretsText>

/** Starts it, and returns when it answers. Throws `CoordinatorError`. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { disk } = nodePlatform()
  const { state } = options
  await writable(state, () => disk.makeFolder(state))
  const lock = await writable(state, () => takeLock(join(state, 'coordinator.lock'), { disk, processes: nodeProcesses(), nonce: randomBytes(8).toString('hex') }))
  if (!lock.ok) throw new CoordinatorError(`another coordinator (process ${lock.holder.pid}) uses the state folder ${state}. Stop it first, or name another folder with --state.`)
  try {
    const secrets = await openSecrets(state)
    await assertFree(options)
    const { miniflare, sweep, unwrap, leave } = await startMiniflare(options, secrets)
    return {
      url: await urlOf(miniflare, options),
      adminToken: secrets.admin_token,
      registrationToken: secrets.registration_token,
      sweep,
      stop: async () => {
        leave()
        await miniflare.dispose()
        unwrap()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function startMiniflare({ host, port, state, timeScale, artifactDays, forges, note }: CoordinatorOptions, secrets: Secrets): Promise<{ readonly miniflare: Miniflare; sweep(): Promise<void>; unwrap(): void; leave(): void }> {
  const { convertV4MiniflareOptions, Miniflare, NoOpLog } = await import('miniflare').catch((error: unknown) => {
    throw new CoordinatorError('the package "miniflare", which runs a coordinator on this machine, is not installed. Install kedge without --omit=optional, or point --url at a coordinator that runs elsewhere.', { cause: error })
  })
  const script = await coordinatorScript()
  const unwrap = await wrapRuntime(state)
  let isReady = false
  let lastWords = ''
  const log = new NoOpLog()
  const settings: MiniflareOptions = {
    ...convertV4MiniflareOptions({
      name: 'kedge',
      modules: true,
      script,
      compatibilityDate: '2026-10-01',
      compatibilityFlags: ['nodejs_compat'],
      durableObjects: { SCHEDULER: { className: 'Scheduler', useSQLite: true }, JOB_LOG: { className: 'JobLog', useSQLite: true } },
      r2Buckets: { BLOBS: 'kedge' },
      bindings: {
        KEDGE_ADMIN_TOKEN: secrets.admin_token,
        KEDGE_SIGNING_KEY: secrets.signing_key,
        KEDGE_REGISTRATION_TOKEN: secrets.registration_token,
        ...(forges === undefined ? {} : { KEDGE_FORGES: forges }),
        ...(timeScale === undefined ? {} : { KEDGE_TIME_SCALE: String(timeScale) }),
        ...(artifactDays === undefined ? {} : { KEDGE_ARTIFACT_DAYS: artifactDays }),
      },
      unsafeDirectSockets: [{ host, port }],
      unsafeRegisterWorker: false,
      host: '127.0.0.1', // of the entry, which nobody uses
      port: 0,
      cf: false, // or it asks the internet where this machine is
      telemetry: { enabled: false },
      unsafeHandleRuntimeRestart: () => note?.('the Workers runtime ended unexpectedly and was started again; agents and builds go on'),
      handleStructuredLogs: ({ message }) => (isReady ? note?.(message) : void (lastWords = message)),
    }),
    // The conversion drops it, and without it everything is forgotten at the end.
    resourcePersistencePath: join(state, 'coordinator'),
    log,
  }
  const miniflare = withoutItsSignals(() => new Miniflare(settings))
  try {
    await miniflare.ready
    isReady = true
    const { revive, leave } = reviving(miniflare, settings, note)
    log.error = revive
    const sweep = async () => {
      const { outcome } = await (await miniflare.getWorker('kedge')).scheduled()
      if (outcome !== 'ok') throw new Error(`the Worker ended it as "${outcome}"`)
    }
    const endDays = daily(sweep, note)
    return {
      miniflare,
      sweep,
      unwrap,
      leave: () => {
        endDays()
        leave()
      },
    }
  } catch (error) {
    await miniflare.dispose().catch(() => undefined) // the first error is the one that matters
    unwrap()
    throw new CoordinatorError(whyNotStarted(join(state, 'coordinator'), error, lastWords), { cause: error })
  }
}

const DAY_MS = 24 * 3600 * 1000
/** After a start, when nobody waits for anything any more. */
const FIRST_MS = 10 * 60 * 1000

/** What Cloudflare does by the cron of `wrangler.toml`. */
function daily(act: () => Promise<void>, note?: (text: string) => void): () => void {
  const once = () => void act().catch((error: unknown) => note?.(`old artifacts could not be removed (${error instanceof Error ? error.message : String(error)}); it is tried again tomorrow`))
  const first = setTimeout(once, FIRST_MS).unref()
  const rest = setInterval(once, DAY_MS).unref()
  return () => {
    clearTimeout(first)
    clearInterval(rest)
  }
}

const REVIVE_AFTER_MS = [250, 5000] as const

/** Miniflare starts a runtime anew that died, but once: one that dies while it starts would be gone for good, and the coordinator with it. */
function reviving(miniflare: Miniflare, settings: MiniflareOptions, note?: (text: string) => void): { revive(): void; leave(): void } {
  let isUnderWay = false
  let hasLeft = false
  const revive = async () => {
    isUnderWay = true
    for (let failures = 0; ; failures += 1) {
      // Leaves when it runs, after whatever is under way, or when nobody wants it any more.
      if (hasLeft || (await miniflare.ready.then(() => true, () => false))) break
      if (failures === 0) note?.('the Workers runtime did not come back; it is started until it does')
      await new Promise((resolve) => setTimeout(resolve, Math.min(REVIVE_AFTER_MS[1], REVIVE_AFTER_MS[0] * 2 ** failures)))
      if (hasLeft) break
      await miniflare.setOptions(settings).then(() => note?.('the Workers runtime was started again; agents and builds go on'), () => undefined)
    }
    isUnderWay = false
  }
  return {
    revive: () => {
      if (!isUnderWay && !hasLeft) void revive()
    },
    leave: () => {
      hasLeft = true
    },
  }
}

/** Where Miniflare looks first for the runtime. */
const RUNTIME_VARIABLE = 'MINIFLARE_WORKERD_PATH'
/** What stood there before the first coordinator of this process, and the scripts of those that run. */
let ownRuntime: string | undefined
const scripts: string[] = []

/** workerd tells its console why it ends, and Miniflare only that it did. */
function whyNotStarted(folder: string, error: unknown, lastWords: string): string {
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    const { why, remedy } = diskTrouble(error)
    return `cannot write ${folder}: ${why}. The coordinator keeps its data there: ${remedy}, or name another folder with --state.`
  }
  const sqlite = /SQLITE_(\w+)/.exec(lastWords)?.[1]
  if (sqlite === 'NOTADB' || sqlite === 'CORRUPT') return `a database in ${folder} is damaged. Restore the folder from a copy, or name another with --state.`
  if (sqlite !== undefined) return `a database in ${folder} cannot be used (${sqlite}). Make room and make it writable, or name another folder with --state.`
  return `the coordinator does not start: ${lastWords || (error instanceof Error ? error.message : String(error))}`
}

/**
 * workerd would live on after `kill -9` of this process, holding port and state, and die before agents have delivered
 * at a Ctrl-C or any other signal to the whole process group. So a script starts it in a session of its own (where there
 * is no setsid, such as on a Mac, only Ctrl-C is kept away), and leaves a watcher behind. For as long as the coordinator
 * runs, since Miniflare starts a runtime that died anew, by the same name.
 */
async function wrapRuntime(state: string): Promise<() => void> {
  if (process.platform === 'win32') return () => {}
  if (scripts.length === 0) ownRuntime = process.env[RUNTIME_VARIABLE]
  const ofMiniflare = createRequire(createRequire(import.meta.url).resolve('miniflare'))
  const workerd: string = ownRuntime ?? ofMiniflare('workerd').default
  const path = join(state, 'workerd.sh')
  await writable(state, () => writeFile(path, runtimeScript(workerd)))
  await writable(state, () => chmod(path, 0o700))
  const point = () => {
    const newest = scripts.at(-1) ?? ownRuntime
    if (newest === undefined) delete process.env[RUNTIME_VARIABLE]
    else process.env[RUNTIME_VARIABLE] = newest
  }
  scripts.push(path)
  point()
  return () => {
    scripts.splice(scripts.indexOf(path), 1)
    point()
  }
}

function runtimeScript(workerd: string): string {
  return `#!/bin/sh
# Written by kedge at each start.
trap '' INT HUP
parent=$PPID
self=$$
(
  while kill -0 "$parent" && kill -0 "$self"; do sleep 1; done
  kill -9 "$self"
) </dev/null >/dev/null 2>&1 3>&- &
workerd=${shellWord(workerd)}
command -v setsid >/dev/null && exec setsid "$workerd" "$@"
exec "$workerd" "$@"
`
}

/** Miniflare ends the process at the first signal; here agents deliver first, and whoever started it decides. Its `exit` listener stays: workerd must not outlive us. */
function withoutItsSignals<T>(make: () => T): T {
  const events = ['SIGINT', 'SIGTERM', 'SIGHUP', 'message'] as const
  const before = events.map((event) => process.listeners(event as NodeJS.Signals)) // the types know no list for both kinds
  const made = make()
  for (const [i, event] of events.entries()) {
    for (const listen of process.listeners(event as NodeJS.Signals)) if (!before[i]?.includes(listen)) process.removeListener(event, listen)
  }
  return made
}

async function urlOf(miniflare: Miniflare, { host }: CoordinatorOptions): Promise<string> {
  const url = await miniflare.unsafeGetDirectURL('kedge')
  if (host !== '0.0.0.0' && host !== '::') url.hostname = host.includes(':') ? `[${host}]` : host
  return url.origin
}

/** Beside the bundled command line lies the bundled coordinator; in a checkout it is built from what is written. */
async function coordinatorScript(): Promise<string> {
  const bundled = fileURLToPath(new URL('coordinator.mjs', import.meta.url))
  if (await access(bundled).then(() => true, () => false)) return await readFile(bundled, 'utf8')
  const builder = new URL('../coordinator/build.ts', import.meta.url).href // in a variable, so that no bundle takes it in
  const { coordinatorScript: build }: typeof import('../coordinator/build.ts') = await import(builder)
  return await build()
}

/** Made at the first start, the same ever after: agents and people keep their tokens over restarts. */
async function openSecrets(state: string): Promise<Secrets> {
  const { disk } = nodePlatform()
  const path = join(state, 'coordinator.json')
  const bytes = await writable(state, () => disk.read(path))
  if (bytes === null) {
    const random = () => randomBytes(32).toString('base64url')
    const secrets: Secrets = { format: FORMAT, admin_token: `kdg_adm_${random()}`, registration_token: `kdg_reg_${random()}`, signing_key: random() }
    await writable(state, () => disk.writeDurably(path, new TextEncoder().encode(`${JSON.stringify(secrets, null, 2)}\n`)))
    return secrets
  }
  const json = parseJson(new TextDecoder().decode(bytes))
  const parsed = secretsText.safeParse(json)
  if (parsed.success) return parsed.data
  const newer = z.object({ format: z.number() }).safeParse(json)
  if (newer.success && newer.data.format > FORMAT) {
    throw new CoordinatorError(`${path} was written by a newer kedge (format ${newer.data.format}; this one knows ${FORMAT}). Start that version, or name another folder with --state.`)
  }
  throw new CoordinatorError(`${path} is damaged, so the tokens of this coordinator are unknown. Restore the file from a copy, or delete it for new tokens: agents keep their own secrets, people get a new admin token.`)
}

/** workerd only says that it failed; this says why. */
async function assertFree({ host, port }: CoordinatorOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => reject(new CoordinatorError(whyNotBound(error.code, host, port))))
    server.listen({ host, port }, () => server.close(() => resolve()))
  })
}

function whyNotBound(code: string | undefined, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} of ${host} is in use. Stop what listens there, or choose another with --port (0: any free one).`
    case 'EACCES':
      return `this user may not listen on port ${port}. Choose one above 1023 with --port.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no address of this machine. Choose another with --host, such as 127.0.0.1.`
    default:
      return `cannot listen on ${host} port ${port}: ${code ?? 'unknown error'}. Choose another with --host and --port.`
  }
}

async function writable<T>(state: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    const { why, remedy } = diskTrouble(error)
    throw new CoordinatorError(`cannot write the state folder ${state}: ${why}. The coordinator keeps everything there: ${remedy}, or name another with --state.`, { cause: error })
  }
}
