/**
 * Command lines as processes: near what each command takes, and far from it. Every one ends by itself, with an exit code
 * that is known; what is no use of it ends with 2 and one line that says so, and nothing ever shows a stack.
 */
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EXIT } from '../../agent/cli/output.ts'
import { ownFolder } from '../support/folder.ts'
import { runs } from './seed.ts'

const MAIN = new URL('../../agent/cli/main.ts', import.meta.url).pathname
/** Nobody listens there. */
const URL_OF_NOBODY = 'http://127.0.0.1:9'
const AT_ONCE = 4
const ENDS_WITHIN_MS = 30_000

const text = fc.oneof(fc.constantFrom('', ' ', '0', '-1', '1e9', '99999999999', '1.5', 'x', '#', 'app#1', 'app#1/2', '#1', 'app#0', '__proto__', '../..', 'a=b', '=', '--', '-', 'ü', 'a\nb', 'x'.repeat(5000), 'https://a b', 'ftp://x', 'http://[::1', '/dev/null', 'missing'), fc.string({ unit: 'binary', maxLength: 12 }).map((one) => one.replaceAll('\0', '')))
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  build: ['--repo', '--commit', '--branch', '--command', '--project', '--env', '--message', '--priority', '--queue', '--tag', '--timeout'],
  builds: ['--project', '--state', '--branch', '--limit'],
  logs: ['--project', '--attempt'],
  artifacts: ['--project', '--download', '--to'],
  'meta-data': ['--project'],
  cancel: ['--project'],
  retry: ['--project'],
  unblock: ['--project', '--field'],
  agents: [],
  'token create': ['--kind', '--name', '--scope', '--life', '--uses'],
  'token list': [],
  'token revoke': [],
  login: [],
}
const BARE = ['--json', '--follow', '--failed', '--no-doorbell', '--help', '--version']

/** A command of people with flags that are mostly its own. */
const near = fc.constantFrom(...Object.keys(FLAGS)).chain((command) =>
  fc
    .array(fc.oneof(fc.tuple(fc.constantFrom(...(FLAGS[command] ?? []), '--url', '--token-file'), text).map(([flag, value]) => [flag, value]), fc.constantFrom(...BARE).map((flag) => [flag]), text.map((value) => [value])), { maxLength: 4 })
    .map((words) => [...command.split(' '), ...words.flat()]),
)
/** Words in any order; those two would stay. */
const far = fc.array(fc.oneof(text, fc.constantFrom(...Object.keys(FLAGS), ...BARE, '--url', '--config', '--port')), { maxLength: 5 }).filter(([first]) => first !== 'agent' && first !== 'dev')
/** What stays when it is right, with something that is not. */
const wrong = fc
  .tuple(
    fc.constantFrom<readonly [string, ...string[]]>(
      ['agent', '--slots', '0'], ['agent', '--slots', '1e3'], ['agent', '--queue', 'a b'], ['agent', '--tag', 'x'], ['agent', '--name', ''], ['agent', '--url', 'ftp://x'], ['agent', '--url', `${URL_OF_NOBODY}/path`], ['agent', '--config', 'missing.json'], ['agent', '--config', 'broken.json'], ['agent', '--token-file', 'missing'], ['agent', '--nonsense'], ['agent', 'word'],
      ['dev', '--port', 'x'], ['dev', '--port', '65536'], ['dev', '--agents', '-1'], ['dev', '--agents', '33'], ['dev', '--slots', '0'], ['dev', '--nonsense'], ['dev', 'word'],
    ),
    fc.array(fc.constantFrom('--json', '--no-doorbell', '--state=here'), { maxLength: 2 }),
  )
  .map(([words, more]) => [...words, ...more.filter((flag) => words[0] === 'agent' || flag !== '--no-doorbell')])

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

it('whatever the command line says, it ends with an exit code that is known, in one line and without a stack', async () => {
  const folder = await ownFolder()
  await writeFile(join(folder, 'broken.json'), '{"slots": 1,}')
  const kedge = (args: readonly string[]): Promise<Ended> => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder, NODE_COMPILE_CACHE: join(folder, 'compiled'), KEDGE_URL: URL_OF_NOBODY, KEDGE_TOKEN: 'kdg_api_x' }, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (piece: string) => (said[name] += piece))
    const late = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS)
    return new Promise((resolve) => void child.once('close', (code) => {
      clearTimeout(late)
      resolve({ code, ...said })
    }))
  }
  const seen = new Set<number | null>()
  const some = fc.oneof({ weight: 5, arbitrary: fc.record({ args: near, isWrong: fc.constant(false) }) }, { weight: 2, arbitrary: fc.record({ args: far, isWrong: fc.constant(false) }) }, { weight: 3, arbitrary: fc.record({ args: wrong, isWrong: fc.constant(true) }) })
  await fc.assert(
    fc.asyncProperty(fc.array(some, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (lines) => {
      const ends = await Promise.all(lines.map(async ({ args, isWrong }) => ({ args, isWrong, ...(await kedge(args)) })))
      for (const { args, isWrong, code, stdout, stderr } of ends) {
        seen.add(code)
        const what = JSON.stringify(args).slice(0, 300)
        expect(code, what).toBeOneOf(isWrong ? [EXIT.usage] : [EXIT.ok, EXIT.usage, EXIT.unreachable])
        expect(stderr, what).not.toMatch(/^\s+at |Error:|nobody foresaw/m)
        if (code !== EXIT.ok && !stdout.startsWith('Usage') && !stderr.startsWith('Usage')) expect(stderr, what).toMatch(/^kedge: [^\n]+\n$/)
        if (code !== EXIT.ok && args.includes('--json') && !args.includes('--') && stderr.startsWith('kedge: ')) expect(JSON.parse(stdout), what).toMatchObject({ error: { exit_code: code } })
      }
    }),
    runs(12),
  )
  expect([...seen].sort()).toEqual(expect.arrayContaining([EXIT.ok, EXIT.usage, EXIT.unreachable])) // else it did not come far
})
