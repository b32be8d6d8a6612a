/**
 * All checks, one summary: `npm test`. Each check that is not a test (types, lint, the deployable Worker, the built
 * programs) counts as one. What passes says one line; what fails shows its output. The last line is
 * `N passed, N failed`, and nothing is ever skipped silently: a check that cannot run says why and counts as failed. Only
 * the tests before a browser are left out where there is none, those on small file systems where none may be
 * mounted, and the cases of others where there are none; a line says so, and they count as neither.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, rmSync, statfsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findChromium, NO_CHROMIUM } from './browser/chromium.ts'
import { COMPILED } from './support/compiled.ts'
import { mayMount, NO_MOUNTING } from './support/mounting.ts'

const root = join(import.meta.dirname, '..')
/** Tests make thousands of small repositories and spools: in memory, where there is enough of it, they cost half as much. */
const inMemory: Readonly<Record<string, string>> = roomInMemory() ? { TMPDIR: '/dev/shm' } : {}
const scratch = await mkdtemp(join(tmpdir(), 'kedge-checks-'))
let passed = 0
let failed = 0

interface Ended {
  readonly status: number | null
  readonly output: string
}

function roomInMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    return bavail * bsize > 8 * 2 ** 30
  } catch {
    return false // no such place: macOS
  }
}

/** Those that still run: they must not outlive this one. */
const children = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal)
    rmSync(scratch, { recursive: true, force: true })
    process.exit(130)
  })
}

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', WRANGLER_SEND_METRICS: 'false', NODE_COMPILE_CACHE: COMPILED, KEDGE_TESTS_FIND_BUILT: '1', ...env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` }, stdio: ['ignore', 'pipe', 'pipe'] })
    children.add(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
    const end = (ended: Ended) => {
      children.delete(child)
      resolve(ended)
    }
    child.on('error', (error) => end({ status: null, output: error.message }))
    child.on('close', (status) => end({ status, output }))
  })
}

function report(name: string, ok: boolean, since: number, detail = ''): void {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name}  (${((Date.now() - since) / 1000).toFixed(1)} s)`)
  if (!ok) console.log(detail.trimEnd().split('\n').slice(-200).join('\n'))
}

/** A command that must succeed; `says` must be in what it prints. */
async function check(name: string, command: string, args: readonly string[]): Promise<void> {
  const since = Date.now()
  const { status, output } = await run(command, args)
  report(name, status === 0, since, output)
  if (status === 0) passed += 1
  else failed += 1
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly { readonly name: string; readonly status: string; readonly message: string; readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages: readonly string[] }[] }[]
}

/** One project of vitest.config.mts. A test that was skipped counts as failed: nothing here may be skipped. */
async function tests(project: string, { niceness = 0 }: { readonly niceness?: number } = {}): Promise<void> {
  const since = Date.now()
  const file = join(scratch, `${project}.json`)
  const { status, output } = await run('nice', ['-n', String(niceness), 'vitest', 'run', '--project', project, '--reporter=json', `--outputFile=${file}`], project === 'unit' || project === 'simulation' ? inMemory : {})
  if (!existsSync(file)) {
    failed += 1
    return report(`tests: ${project}`, false, since, output)
  }
  const result = JSON.parse(await readFile(file, 'utf8')) as VitestReport
  passed += result.numPassedTests
  failed += result.numFailedTests + result.numPendingTests
  const broken = result.testResults.flatMap(({ name, status: of, message, assertionResults }) => [
    ...(of === 'failed' && assertionResults.length === 0 ? [`${name}\n${message}`] : []),
    ...assertionResults.filter((one) => one.status !== 'passed').map((one) => `${one.fullName}: ${one.status}\n${one.failureMessages.join('\n')}`),
  ])
  const isOk = status === 0 && result.numPassedTests > 0 && broken.length === 0
  if (!isOk && result.numFailedTests + result.numPendingTests === 0) failed += 1 // a file that could not be loaded, or an unhandled error
  report(`tests: ${project}, ${result.numPassedTests} passed`, isOk, since, broken.length > 0 ? broken.join('\n\n') : output)
}

/** Other worlds with each commit, and the same ones for the same commit. */
async function seedOfThisCommit(): Promise<number> {
  const { status, output } = await run('git', ['rev-parse', 'HEAD'])
  return status === 0 ? 1_000_000 + (parseInt(output.slice(0, 8), 16) % 900_000_000) : 1_000_000
}

/** What has no clock of its own takes what the others leave: half of the time of whole processes is waiting. */
function aside(command: string, args: readonly string[]): readonly [string, readonly string[]] {
  return ['nice', ['-n', '19', command, ...args]]
}

async function withoutClock(): Promise<void> {
  for (const project of ['schema', 'coordinator/core', 'coordinator', 'coordinator/pages/tsconfig.islands.json', 'agent', 'test', 'test/tsconfig.workers.json', 'test/browser']) await check(`types: ${project}`, ...aside('tsc', ['-p', project]))
  // Less far aside: a test that is starved for a minute would count as one that hangs.
  await tests('simulation', { niceness: 5 })
  await check('lint', ...aside('oxlint', ['--deny-warnings']))
  await check('the Worker can be deployed', ...aside('wrangler', ['deploy', '--dry-run', '--outdir', join(scratch, 'worker')]))
  const simulate = ['--disable-warning=ExperimentalWarning', 'test/simulation/main.ts']
  const { KEDGE_CASES: cases } = process.env
  if (cases !== undefined && existsSync(join(cases, 'index.json'))) await check('conformance: cases of others', ...aside('node', ['--disable-warning=ExperimentalWarning', 'test/conformance/cases/main.ts', '--cases', cases]))
  else console.log('none    conformance: KEDGE_CASES names no folder of cases')
  await check('simulation: the seeds that are always lived through', ...aside('node', [...simulate, '--from', '1', '--seeds', '150']))
  const own = await seedOfThisCommit()
  await check(`simulation: seeds of this commit, from ${own}`, ...aside('node', [...simulate, '--from', String(own), '--seeds', '60']))
  await check('simulation: each rule is needed', ...aside('node', [...simulate, '--mutations', '--seeds', '60']))
}

async function withClock(): Promise<void> {
  await tests('end-to-end')
  // Faults mostly wait, a browser mostly works.
  await Promise.all([tests('faults'), fleetAndPages()])
  if (!mayMount()) console.log(`none    tests: ${NO_MOUNTING}`)
}

async function fleetAndPages(): Promise<void> {
  await check('soak: a small fleet under harm', 'node', ['--disable-warning=ExperimentalWarning', 'test/soak/main.ts', '--quick'])
  if (findChromium() !== null) await tests('browser')
  else console.log(`none    tests: ${NO_CHROMIUM}`)
}

try {
  await check('islands', 'node', ['coordinator/build.ts', 'islands'])
  await check('build', 'node', ['coordinator/build.ts'])
  for (const project of ['unit', 'workers']) await tests(project)
  await Promise.all([withClock(), withoutClock()])
} finally {
  await rm(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
