/**
 * `npm run demo`: a coordinator and two agents build commits of this very repository, and the terminal tells what
 * becomes of them: one passes, one fails, one is cancelled, one outlives the `kill -9` of its agent, one goes through the
 * repository's own pipeline. Everything lies in
 * one temporary folder, the checkout is only read; each step waits for what it needs to see, never for a time.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BuildView } from '../../schema/api.ts'
import { isFinalBuild, parseAttemptId, type AgentId, type AttemptId } from '../../schema/job.ts'
import { startCoordinator } from '../embedded.ts'
import { nodePlatform } from '../node-platform.ts'
import { killLeftovers } from '../runner/process-tree.ts'
import { shellWord } from '../shell-word.ts'
import { table } from './builds.ts'
import { createClient, type Client } from './client.ts'
import { AGENTS, BUILD, PROJECT, SIGN_IN_LINK } from './replies.ts'

const once = process.argv.includes('--once')
const json = process.argv.includes('--json')
const unknown = process.argv.slice(2).find((word) => word !== '--once' && word !== '--json')
const root = join(import.meta.dirname, '..', '..')
const LOOK_MS = 150
/** An agent that has not handed back what runs by then is ended. */
const STOP_MS = 10_000
const began = Date.now()
const run = promisify(execFile)
/** Undone in reverse, whatever happened. */
const undo: (() => Promise<unknown>)[] = []
const stop = new AbortController()
let isClosing = false

function tell(text: string): void {
  const line = `${`${((Date.now() - began) / 1000).toFixed(1)} s`.padStart(7)}  ${text}\n`
  if (json) process.stderr.write(line)
  else process.stdout.write(line)
}

async function git(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const who = { GIT_AUTHOR_NAME: 'Kedge', GIT_AUTHOR_EMAIL: 'demo@kedge.invalid', GIT_COMMITTER_NAME: 'Kedge', GIT_COMMITTER_EMAIL: 'demo@kedge.invalid' }
  const { stdout } = await run('git', [...args], { env: { ...process.env, ...who, ...env }, maxBuffer: 64 * 1024 * 1024 })
  return stdout.trim()
}

/** Waits until `look` finds something, and gives up as soon as somebody stops the demonstration. */
async function until<T>(look: () => Promise<T | null>): Promise<T> {
  for (;;) {
    stop.signal.throwIfAborted()
    const found = await look()
    if (found !== null) return found
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

interface Commits {
  readonly repository: string
  readonly good: readonly string[]
  readonly broken: string
}

/** A temporary clone that borrows the checkout's objects, so that nothing is copied and nothing written there. */
async function prepareCommits(folder: string): Promise<Commits> {
  const top = await git(['-C', root, 'rev-parse', '--show-toplevel']).catch(() => '')
  if (top === '' || (await realpath(top)) !== (await realpath(root))) throw new Error(`${root} is not a git checkout of Kedge, so there are no commits to build. Clone the repository and run the demo there.`)
  const repository = join(folder, 'kedge.git')
  const here = ['-C', repository]
  await git(['init', '--quiet', '--bare', '--template=', '--initial-branch=main', repository])
  await mkdir(join(repository, 'objects', 'info'), { recursive: true })
  await writeFile(join(repository, 'objects', 'info', 'alternates'), `${await git(['-C', root, 'rev-parse', '--path-format=absolute', '--git-path', 'objects'])}\n`)

  const head = await git(['-C', root, 'rev-parse', 'HEAD'])
  const isShallow = (await git(['-C', root, 'rev-parse', '--is-shallow-repository'])) === 'true'
  let good: readonly string[] = isShallow ? [] : await buildable(head)
  let tip = head
  if (good.length < 4) {
    tell(isShallow ? 'This is a shallow clone: its history is not here, so four commits with the files of HEAD are made in a temporary clone.' : `Only ${good.length} commits here have what the builds need, so four commits with the files of HEAD are made in a temporary clone.`)
    const made: string[] = []
    for (let n = 1; n <= 4; n++) {
      const parent: readonly string[] = made.length === 0 ? [] : ['-p', made.at(-1) ?? '']
      made.push(await git([...here, 'commit-tree', `${head}^{tree}`, ...parent, '-m', `Demonstrate, ${n} of 4`]))
    }
    good = made
    tip = made.at(-1) ?? head
  }
  const broken = await breakRule(repository, tip, folder)
  await git([...here, 'update-ref', 'refs/heads/main', tip])
  await git([...here, 'update-ref', 'refs/heads/broken', broken])
  return { repository, good, broken }
}

/** The latest four that have what the builds run. */
async function buildable(head: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const commit of (await git(['-C', root, 'rev-list', '--max-count=60', head])).split('\n')) {
    const paths = ['vitest.config.mts', 'schema/tsconfig.json', 'coordinator/core/tsconfig.json', 'test/schema/job.test.ts', 'test/coordinator/core']
    const hasAll = await git(['-C', root, 'rev-parse', ...paths.map((path) => `${commit}:${path}`)]).then(() => true, () => false)
    if (hasAll && found.push(commit) === 4) break
  }
  return found
}

/** A commit after `parent` in which a job's id names its build before its project. */
async function breakRule(repository: string, parent: string, folder: string): Promise<string> {
  const here = ['-C', repository]
  const path = 'schema/job.ts'
  const text = `${await git([...here, 'show', `${parent}:${path}`])}\n`
  const wrong = text.replace('`J${project}-${build}-${n}`', '`J${build}-${project}-${n}`')
  if (wrong === text) throw new Error(`${path} no longer spells a job's id where this demo breaks it. Correct breakRule in agent/cli/demo.ts.`)
  const file = join(folder, 'broken.ts')
  await writeFile(file, wrong)
  const index = { GIT_INDEX_FILE: join(folder, 'index') }
  const blob = await git([...here, 'hash-object', '-w', file])
  await git([...here, 'read-tree', parent], index)
  await git([...here, 'update-index', '--cacheinfo', `100644,${blob},${path}`], index)
  const tree = await git([...here, 'write-tree'], index)
  return await git([...here, 'commit-tree', tree, '-p', parent, '-m', 'Swap project and build in the ids of jobs'])
}

interface Fleet {
  readonly folder: string
  readonly url: string
  readonly token: string
  readonly children: Map<string, ChildProcess>
}

function startAgent({ folder, url, token, children }: Fleet, name: string): void {
  // Settings of an agent that the user has of their own, or of a build that this runs in, must not reach these.
  const own = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('KEDGE_')))
  const args = [join(root, 'agent/cli/main.ts'), 'agent', '--url', url, '--name', name, '--slots', '1', '--tag', `demo=${name}`, '--state', join(folder, name), '--hooks-path', join(folder, 'hooks'), '--json']
  const child = spawn(process.execPath, args, { cwd: folder, env: { ...own, KEDGE_REGISTRATION_TOKEN: token }, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], detached: true })
  children.set(name, child)
  child.stderr?.on('data', (bytes: Buffer) => tell(`${name}: ${bytes.toString('utf8').trim()}`))
  child.on('error', (error) => stop.abort(new Error(`cannot start agent ${name}: ${error.message}`)))
  child.on('exit', (code, signal) => {
    if (signal !== 'SIGKILL' && !isClosing) stop.abort(new Error(`agent ${name} ended (${signal ?? `exit ${code}`}), which nobody asked for.`))
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exit = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  if (child.connected) child.send('stop')
  else child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await exit
  clearTimeout(timer)
}

interface Part {
  readonly what: string
  readonly intended: string
  readonly commit: string
  readonly branch: string
  /** Null: the commit's own pipeline. */
  readonly command: string | null
  readonly agent: string
  /** Null until the build was started. */
  view: BuildView | null
  said: string
}

/** A hook of both agents. The packages of the checkout serve every build: nothing is downloaded. */
const PRE_COMMAND = `ln -sfn ${shellWord(join(root, 'node_modules'))} node_modules && export PATH="$PWD/node_modules/.bin:$PATH"\n`
const TYPES = 'echo "type check" && tsc -p schema && tsc -p coordinator/core'
const TESTS = 'vitest run --project unit test/schema/job.test.ts test/coordinator/core'
const KILLED = 'type check and unit tests, its agent killed'

async function play(client: Client, fleet: Fleet, { good, broken }: Commits): Promise<readonly Part[]> {
  const part = (what: string, intended: string, agent: string, commit: string | undefined, command: string | null): Part => ({ what, intended, agent, commit: commit ?? '', branch: commit === broken ? 'broken' : 'main', command, view: null, said: '' })
  const passes = part('type check', 'passed', 'ada', good[0], TYPES)
  const fails = part('unit tests of a broken rule', 'failed', 'ada', broken, TESTS)
  const killed = part(KILLED, 'passed', 'bo', good[1], `${TYPES} && ${TESTS} test/conformance`)
  // Long enough that it surely runs when somebody looks.
  const canceled = part('all of that, cancelled meanwhile', 'canceled', 'ada', good[2], `${TYPES} && ${TESTS} test/conformance test/schema`)
  const another = part('type check of another commit', 'passed', 'bo', good[3], TYPES)
  const pipeline = part("the repository's own pipeline, with a part of its tests", 'passed', 'ada', good[0], null)
  const parts = [passes, fails, killed, canceled, another, pipeline]
  for (const one of parts) {
    const message = await git(['-C', join(fleet.folder, 'kedge.git'), 'log', '-1', '--format=%s', one.commit])
    one.view = await client.post('/api/v1/projects/kedge/builds', BUILD, { commit: one.commit, branch: one.branch, ...(one.command === null ? { env: { TESTS: 'test/coordinator/core' } } : { command: one.command }), message, agents: { tags: [`demo=${one.agent}`] } })
    tell(`#${one.view.number} starts: ${one.what} (${one.commit.slice(0, 7)} ${message})`)
  }

  let isKilled = false
  let isCanceled = false
  await until(async () => {
    for (const one of parts) await follow(client, one)
    const victim = isKilled ? null : await working(client, killed)
    if (victim !== null) {
      isKilled = true
      const child = fleet.children.get(killed.agent)
      const gone = new Promise<void>((resolve) => void child?.once('exit', () => resolve()))
      undo.push(async () => {
        const { attempt, agent } = victim
        await killLeftovers(attempt, null, { agent, clock: nodePlatform().clock }) // if this ends before the new agent has done so
      })
      child?.kill('SIGKILL')
      await gone
      tell(`#${killed.view?.number} kill -9 of agent ${killed.agent} (process ${child?.pid}) in the middle of ${victim.attempt}; it is started again at once`)
      startAgent(fleet, killed.agent)
    }
    if (!isCanceled && (await working(client, canceled)) !== null) {
      isCanceled = true
      tell(`#${canceled.view?.number} somebody cancels it while it runs`)
      await client.post(`/api/v1/projects/kedge/builds/${canceled.view?.number}/cancel`, BUILD)
    }
    return parts.every(({ view }) => view !== null && isFinalBuild(view.state)) ? true : null
  })
  return parts
}

/** The attempt of which the log has begun to arrive: its command surely runs. */
async function working(client: Client, { view }: Part): Promise<{ readonly attempt: AttemptId; readonly agent: AgentId } | null> {
  const job = view?.jobs.at(-1)
  const attempt = job?.attempts.at(-1)
  if (!job || job.state !== 'running' || attempt?.state !== 'running' || parseAttemptId(attempt.id) === null) return null
  if (!(await logOf(client, job.id)).includes('type check')) return null
  return { attempt: attempt.id as AttemptId, agent: attempt.agent_id as AgentId } // the coordinator's own ids
}

async function logOf(client: Client, job: string): Promise<string> {
  return await client.open(`/api/v1/jobs/${job}/log`, { accept: 'text/plain' }, stop.signal).then((response) => response.text(), () => '')
}

/** Tells what is new of a build. */
async function follow(client: Client, one: Part): Promise<void> {
  if (one.view === null || isFinalBuild(one.view.state)) return
  one.view = await client.get(`/api/v1/projects/kedge/builds/${one.view.number}`, BUILD)
  if (one.command === null) return followPipeline(one, one.view)
  const job = one.view.jobs.at(-1)
  const attempt = job?.attempts.at(-1)
  if (!job) return
  const lost = job.attempts.filter(({ state }) => state === 'lost').map(({ id, reason }) => `; ${id} was lost${reason ? `: ${reason.message}` : ''}`).join('')
  const said = isFinalBuild(one.view.state) ? `${one.view.state}${tail(await logOf(client, job.id))}` : attempt && job.state === 'running' ? `runs on ${attempt.agent}, attempt ${attempt.fence}${lost}` : ''
  if (said !== '' && said !== one.said) tell(`#${one.view.number} ${said}`)
  if (said !== '') one.said = said
}

/** Its steps as they end. */
function followPipeline(one: Part, { number, state, jobs }: BuildView): void {
  const ended = jobs.filter((job) => job.finished_at !== null).map((job) => `${job.label ?? 'upload of the pipeline'}: ${job.state}`)
  const said = `${isFinalBuild(state) ? `${state}; ` : ''}${ended.join(', ')}`
  if (said !== '' && said !== one.said) tell(`#${number} ${said}`)
  one.said = said
}

function tail(log: string): string {
  const lines = log.replace(/\u001b\[[0-9;]*m/g, '').split('\n').map((line) => line.trim())
  const telling = lines.findLast((line) => line.startsWith('Tests ')) ?? lines.find((line) => line.includes('error TS')) ?? lines.findLast((line) => line !== '')
  return telling === undefined ? '' : `: ${telling.replace(/\s+/g, ' ')}`
}

function seconds({ view }: Part): number {
  return view?.started_at && view.finished_at ? (Date.parse(view.finished_at) - Date.parse(view.started_at)) / 1000 : 0
}

function asIntended(parts: readonly Part[]): boolean {
  return parts.every(({ view, intended, what }) => view?.state === intended && (what !== KILLED || view.jobs.at(-1)?.attempts.length === 2))
}

async function demonstrate(): Promise<number> {
  await readFile(join(root, 'node_modules/vitest/package.json')).catch(() => {
    throw new Error('the packages that the builds need are not installed. Run npm ci first.')
  })
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'kedge-demo-')))
  undo.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const commits = await prepareCommits(folder)
  stop.signal.throwIfAborted()
  const coordinator = await startCoordinator({ host: '127.0.0.1', port: 0, state: join(folder, 'coordinator'), note: tell })
  undo.push(() => coordinator.stop())
  const client = createClient({ url: coordinator.url, token: coordinator.adminToken })
  const link = await client.post('/api/v1/login-links', SIGN_IN_LINK)
  tell(`The coordinator is ready. Its pages: ${coordinator.url}`)
  tell(`Sign in, once: ${link.url}`)
  await client.post('/api/v1/projects', PROJECT, { slug: 'kedge', repository: commits.repository, default_branch: 'main' })
  await mkdir(join(folder, 'hooks'))
  await writeFile(join(folder, 'hooks', 'pre-command'), PRE_COMMAND, { mode: 0o755 })
  const fleet: Fleet = { folder, url: coordinator.url, token: coordinator.registrationToken, children: new Map() }
  undo.push(() => Promise.all([...fleet.children.values()].map(ended)))
  for (const name of ['ada', 'bo']) startAgent(fleet, name)
  await until(async () => ((await client.get('/api/v1/agents', AGENTS)).length === 2 ? true : null))
  tell('Two agents, ada and bo, have joined: processes of their own, with one slot each.')
  tell(`The commit that is to fail, ${commits.broken.slice(0, 7)}, was made in a temporary clone: it swaps project and build in the ids of jobs.`)
  const parts = await play(client, fleet, commits)
  const ok = asIntended(parts)
  report(parts, ok)
  if (!once) {
    tell(`All of it is on ${coordinator.url} until you press Ctrl-C.`)
    await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  return ok ? 0 : 1
}

function report(parts: readonly Part[], ok: boolean): void {
  const rows = parts.map((one) => [`#${one.view?.number}`, one.view?.state ?? '', `${one.intended} intended`, one.commit.slice(0, 7), `${seconds(one).toFixed(1)} s`, `${one.view?.jobs.at(-1)?.attempts.length} attempt(s)`, one.what])
  for (const row of table(rows)) tell(row)
  tell(ok ? 'All ended as intended.' : 'Not all ended as intended.')
  if (json) process.stdout.write(`${JSON.stringify({ builds: parts.map((one) => ({ number: one.view?.number, state: one.view?.state, commit: one.commit, seconds: seconds(one) })) })}\n`)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(signal))
process.stdout.on('error', () => stop.abort('SIGHUP'))
process.stderr.on('error', () => {})
let code = 2
try {
  if (unknown !== undefined) throw new Error(`there is no option "${unknown}". There are --once (end with a table) and --json (end with a line of JSON).`)
  code = await demonstrate()
} catch (error) {
  code = stop.signal.reason === 'SIGINT' ? 130 : 1
  if (typeof error !== 'string') tell(`The demo ends: ${error instanceof Error ? error.message : String(error)}`)
}
isClosing = true
tell('Stops the agents and the coordinator, and removes the temporary folder.')
for (const step of undo.reverse()) {
  await step().catch((error: unknown) => {
    code = 1
    tell(`Could not clean up: ${error instanceof Error ? error.message : String(error)}`)
  })
}
process.exit(code)
