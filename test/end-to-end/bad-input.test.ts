/**
 * What people and configurations get wrong, at the real command line before a real installation: one line that says what
 * was wrong and the way out, the exit code that scripts go by, and nothing lost or left behind.
 */
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PROTOCOL, PROTOCOL_HEADER } from '../../schema/refusal.ts'
import { answeringServer } from '../support/answering-server.ts'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { serveGit } from '../support/git-server.ts'
import { PROGRAM, sharedCoordinator, startAgent } from '../support/installation.ts'
import { commitFile, createRepository, git, repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

interface Said {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that ends by itself. */
async function kedge(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Said> {
  const folder = await ownFolder()
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text))
  return await new Promise((resolve) => void child.once('close', (code) => resolve({ code, ...said })))
}

const people = (token = coordinator().adminToken) => ({ KEDGE_URL: coordinator().url, KEDGE_TOKEN: token })
/** One line on stderr, behind the program's name, and nothing for a script to take for an answer. */
const oneLine = (said: string): Pick<Said, 'stdout' | 'stderr'> => ({ stdout: '', stderr: `kedge: ${said}\n` })
/** The same with --json: the script finds it where it looks for the answer. */
const oneLineOfJson = (said: string): Pick<Said, 'stdout' | 'stderr'> => ({ stdout: `${JSON.stringify({ error: { exit_code: 2, message: said } })}\n`, stderr: `kedge: ${said}\n` })

test('a repository or commit that cannot be had ends its build with one sentence and 1, and the next build passes', async () => {
  const root = await ownFolder()
  const empty = await repositoryAt(join(root, 'empty.git'), '--bare')
  const full = await createRepository()
  await commitFile(full, 'a.txt', 'a\n')
  await git(root, 'clone', '--quiet', '--bare', full, join(root, 'app.git'))
  const open = await serveGit(root)
  const closed = await serveGit(root, { password: 'sesame' })
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken })
  const absent = 'a'.repeat(40)

  const cases: readonly (readonly [repository: string, flags: readonly string[], said: string])[] = [
    [`${open.origin}/nothing.git`, [], `the default branch of ${open.origin}/nothing.git: there is no repository there, or the agent may not see it (repository '${open.origin}/nothing.git/' not found). Correct its address, or give the agent access.`],
    [`${closed.origin}/app.git`, [], `the default branch of ${closed.origin}/app.git: the server wants credentials, and the agent's are missing or refused (could not read Username for '${closed.origin}': terminal prompts disabled). Give the agent's user an SSH key or a git credential for it.`],
    [`${open.origin}/empty.git`, [], `the default branch of ${open.origin}/empty.git: the repository has no commit yet. Push one.`],
    [`${open.origin}/app.git`, ['--commit', absent], `aaaaaaa of ${open.origin}/app.git: the commit is not on the remote. Push it, or build it from its path.`],
    [`${open.origin}/app.git`, ['--branch', 'mian'], `branch mian of ${open.origin}/app.git: there is no branch or tag of that name; its default branch is main. Push it, or name another.`],
  ]
  expect(await readdir(empty.path)).toContain('HEAD')
  for (const [number, [repository, flags, said]] of cases.entries()) {
    const project = `cannot-${number}`
    const { code, stderr } = await kedge(['build', '--repo', repository, '--project', project, ...flags, '--command', 'true', '--queue', agent.queue, '--follow'], people())
    expect([code, stderr.split('\n').at(-2)]).toEqual([1, `kedge: ${project} #1 failed: cannot check out ${said}`])
  }
  expect(await kedge(['build', '--repo', `${open.origin}/app.git`, '--project', 'can', '--command', 'cat a.txt', '--queue', agent.queue, '--follow'], people())).toMatchObject({ code: 0, stdout: expect.stringMatching(/^a$/m) })
})

test('what is no repository, or names no commit, is said before anything is sent', async () => {
  const folder = await ownFolder()
  const empty = (await repositoryAt(join(folder, 'empty'))).path
  const full = await createRepository()
  await commitFile(full, 'a.txt', 'a\n')
  await mkdir(join(folder, 'plain'))
  const nowhere = { KEDGE_URL: 'http://127.0.0.1:9', KEDGE_TOKEN: 'kdg_api_x' } // would be told, if it were asked
  const build = (...args: readonly string[]) => kedge(['build', '--command', 'true', ...args], nowhere)
  expect(await build('--repo', join(folder, 'plain'))).toMatchObject({ code: 2, ...oneLine(`${join(folder, 'plain')} is not in a git repository; run git init there, or give --repo another path`) })
  expect(await build('--repo', empty)).toMatchObject({ code: 2, ...oneLine(`${empty} has no commit yet; commit something first`) })
  expect(await build('--repo', full, '--commit', 'abcdef1')).toMatchObject({ code: 2, ...oneLine(`there is no commit abcdef1 in ${full}; git log there shows which there are, and git fetch gets those of others`) })
  expect(await build('--repo', './nowhere')).toMatchObject({ code: 2, stderr: expect.stringMatching(/^kedge: \.\/nowhere is neither a folder here nor a URL of a git repository; give --repo .*\n$/) })
})

test('what the coordinator refuses is told by the flag, in one line, also with --json, and starts no build', async () => {
  const project = await client(coordinator()).project({ command: 'true' })
  const build = (...args: readonly string[]) => kedge(['build', '--project', project.slug, ...args, '--json'], people())
  expect(await build('--command', ' ')).toMatchObject({ code: 2, ...oneLineOfJson('--command must not be empty.') })
  expect(await build('--env', 'A B=1', '--tag', 'gpu')).toMatchObject({ code: 2, ...oneLineOfJson('--env "A B" is not an environment name: letters, digits and "_", not beginning with a digit; --tag must be KEY=VALUE without spaces.') })
  expect(await build('--commit', 'HEAD')).toMatchObject({ code: 2, ...oneLineOfJson('--commit must be a full commit id: 40 (or 64) hex digits.') })
  expect(await kedge(['build', '--project', 'no-such', '--json'], people())).toMatchObject({ code: 2, stdout: expect.stringMatching(/^\{"error":\{"exit_code":2,"message":"There is no project no-such\. .*"\}\}\n$/), stderr: expect.stringMatching(/^kedge: There is no project no-such\. .*\n$/) })
  expect(await kedge(['logs', `${project.slug}#7`], people())).toMatchObject({ code: 2, ...oneLine(`Project ${project.slug} has no builds yet.`) })
  expect(await kedge(['cancel', `${project.slug}#0`], people())).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^kedge: "0" cannot be a build: .*\n$/) })
  expect(await kedge(['builds', '--state', 'passd'], people())).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^kedge: --state must be .*; did you mean "passed"\?\n$/) })
  expect(await kedge(['token', 'revoke', 'nope'], people())).toMatchObject({ code: 2, ...oneLine('There is no token with the id nope. "kedge token list" shows them.') })
})

test('a refused first build of a repository leaves no project behind', async () => {
  const repository = await createRepository()
  await commitFile(repository, 'a.txt', 'a\n')
  const build = (...args: readonly string[]) => kedge(['build', '--repo', repository, '--project', 'left-behind', ...args], people())
  expect(await build('--command', ' ')).toMatchObject({ code: 2, ...oneLine('--command must not be empty.') })
  expect(await build('--command', 'true', '--tag', 'gpu')).toMatchObject({ code: 2, ...oneLine('--tag must be KEY=VALUE without spaces.') })
  expect(await build('--command', 'true', '--env', 'A')).toMatchObject({ code: 2, ...oneLine('--env takes NAME=VALUE, not "A"') })
  expect(await kedge(['builds', '--project', 'left-behind'], people())).toMatchObject({ code: 2, stderr: expect.stringMatching(/^kedge: There is no project left-behind\./) })
})

test('a misplaced token is told by its kind and ends with 5: of an agent at the API, of the API at an agent', async () => {
  const { url, registrationToken, adminToken } = coordinator()
  expect(await kedge(['builds'], people(registrationToken))).toMatchObject({ code: 5, ...oneLine('This takes an admin or API token; the one presented is a registration token.') })
  const made = await kedge(['token', 'create', '--scope', 'build', '--name', 'bob'], people())
  const bob = made.stdout.trim()
  const repository = await createRepository()
  await commitFile(repository, 'a.txt', 'a\n')
  expect(await kedge(['build', '--repo', repository, '--project', 'bobs', '--command', 'true'], people(bob))).toMatchObject({ code: 5, stdout: '', stderr: expect.stringMatching(/^kedge: there is no project bobs yet, and your token may not make one: "bob" has the scope "build"; this needs "admin"\. .* Or build one that is there, with --project\.\n$/) })

  const state = join(await ownFolder(), 'agent')
  const join_ = (token: Readonly<Record<string, string>>) => kedge(['agent', '--url', url, '--state', state], token)
  const refusal = (why: string) => ({ code: 5, ...oneLine(`${url} does not let this agent join: ${why}; an admin makes another token with: npx kedge token create --kind registration`) })
  expect(await join_({ KEDGE_REGISTRATION_TOKEN: bob })).toMatchObject(refusal('a registration token (kdg_reg_…) is needed here, but this is the API token'))
  expect(await join_({ KEDGE_REGISTRATION_TOKEN: adminToken })).toMatchObject(refusal('a registration token (kdg_reg_…) is needed here, but this is the admin token'))
  expect(await join_({ KEDGE_REGISTRATION_TOKEN: 'kdg_reg_of-another' })).toMatchObject(refusal('this registration token is not known here'))
  expect(await join_({})).toMatchObject({ code: 5, stdout: '', stderr: expect.stringMatching(/^kedge: \S+ does not let this agent join: no agent a_\w{20} has joined there; give it a registration token \(--token\); an admin makes one with: npx kedge token create --kind registration\n$/) })
})

test('a state folder that cannot be used ends agent and coordinator with 2 and one line, and stays as it is', async () => {
  const folder = await ownFolder()
  const file = join(folder, 'file')
  await writeFile(file, 'precious')
  const agent = (state: string) => kedge(['agent', '--url', coordinator().url, '--state', state])
  const dev = (state: string) => kedge(['dev', '--port', '0', '--state', state])
  for (const [state, why, remedy] of [[file, 'a file is in its place', 'move that file away'], [join(file, 'sub'), 'a part of the path is a file or a broken link', 'correct the path']] as const) {
    expect(await agent(state)).toMatchObject({ code: 2, ...oneLine(`cannot write the state folder ${state}: ${why}. The agent keeps its identity and its unsent results there: ${remedy}, or name another with --state.`) })
    expect(await dev(state)).toMatchObject({ code: 2, ...oneLine(`cannot write the state folder ${state}: ${why}. The coordinator keeps everything there: ${remedy}, or name another with --state.`) })
  }
  expect(await readFile(file, 'utf8')).toBe('precious')
  if (process.platform === 'linux') expect(await agent('/proc/kedge')).toMatchObject({ code: 2, ...oneLine('cannot write the state folder /proc/kedge: it is not there and cannot be made. The agent keeps its identity and its unsent results there: make it, or name another with --state.') })

  for (const [name, run, advice] of [['agent.json', agent, 'give this one a folder of its own'], ['coordinator.json', dev, 'name another folder']] as const) {
    const state = join(folder, name.replace('.json', ''))
    await mkdir(state)
    await writeFile(join(state, name), '{"format": 9, "wisdom": "of the future"}')
    expect(await run(state)).toMatchObject({ code: 2, ...oneLine(`${join(state, name)} was written by a newer kedge (format 9; this one knows 1). Start that version, or ${advice} with --state.`) })
    expect(await readFile(join(state, name), 'utf8')).toBe('{"format": 9, "wisdom": "of the future"}')
    await writeFile(join(state, name), '{"format": 1, "half')
    expect(await run(state)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^kedge: \S+ is damaged, so .* Restore the file from a copy.*\n$/) })
    expect(await readFile(join(state, name), 'utf8')).toBe('{"format": 1, "half')
  }
})

test('data of a coordinator that cannot be read ends it with 2 and one line, without a word of the runtime', async () => {
  const folder = await ownFolder()
  const dev = (state: string) => kedge(['dev', '--port', '0', '--agents', '0', '--state', state])
  const blocked = join(folder, 'blocked')
  await mkdir(blocked)
  await writeFile(join(blocked, 'coordinator'), 'precious')
  expect(await dev(blocked)).toMatchObject({ code: 2, ...oneLine(`cannot write ${blocked}/coordinator: a part of the path is a file or a broken link. The coordinator keeps its data there: correct the path, or name another folder with --state.`) })
  expect(await readFile(join(blocked, 'coordinator'), 'utf8')).toBe('precious')

  const damaged = join(folder, 'damaged')
  const objects = join(damaged, 'coordinator', 'r2', 'miniflare-R2BucketObject')
  await mkdir(objects, { recursive: true })
  await writeFile(join(objects, 'metadata.sqlite'), 'no database at all, but a text that is long enough to be looked at'.repeat(100))
  expect(await dev(damaged)).toMatchObject({ code: 2, ...oneLine(`a database in ${damaged}/coordinator is damaged. Restore the folder from a copy, or name another with --state.`) })
})

test.each([
  ['too old', { min: PROTOCOL.max + 1, max: PROTOCOL.max + 2 }, `the coordinator speaks protocol ${PROTOCOL.max + 1} to ${PROTOCOL.max + 2} and this agent ${PROTOCOL.max}; update this agent`],
  ['too new', { min: PROTOCOL.min - 1, max: PROTOCOL.min - 1 }, `the coordinator speaks protocol ${PROTOCOL.min - 1} to ${PROTOCOL.min - 1} and this agent ${PROTOCOL.max}; update the coordinator, or install an older agent`],
])('an agent that is %s for its coordinator says which side to update, and waits to be stopped', async (_what, proto, said) => {
  const { url } = await answeringServer(() => ({ status: 426, headers: { [PROTOCOL_HEADER]: String(proto.max) }, body: { error: { code: 'proto_unsupported', message: 'another protocol', retry: true, proto } } }))
  const agent = await startAgent({ url, token: 'kdg_reg_x' })
  await eventually('it says so', (saw) => {
    saw(agent.output())
    return agent.output().includes(said)
  })
  agent.signal('SIGTERM')
  expect(await agent.ended).toEqual({ code: 0, signal: null })
})

test('a typo in kedge.json stops the agent at the place, before it asks anybody', async () => {
  const folder = await ownFolder()
  const file = join(folder, 'kedge.json')
  await writeFile(file, '{\n  "slots": 2,\n  "quue": "gpu"\n}')
  expect(await kedge(['agent', '--config', file])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/kedge\.json:3:3: "quue" is not a setting; did you mean "queue"\? There are url, .*\n$/) })
  await writeFile(file, '{\n  "slots": two\n}')
  expect(await kedge(['agent', '--config', file])).toMatchObject({ code: 2, ...oneLine(`${file}:2:12 is not JSON: expected value, found "two".`) })
})
