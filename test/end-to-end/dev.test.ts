/** `kedge dev` as a person starts, stops and kills it. workerd names our state folder in its arguments: that is how it is found. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ownFolder } from '../support/folder.ts'
import { portOfItsOwn } from '../support/port.ts'
import { eventually } from '../support/wait.ts'

const main = join(import.meta.dirname, '../../agent/cli/main.ts')

interface Dev {
  readonly child: ChildProcess
  readonly url: string
  readonly admin_token: string
  readonly registration_token: string
}

function start(state: string, ...flags: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>; stdout(): string } {
  const child = spawn(process.execPath, [main, 'dev', '--state', state, '--json', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')))
  return { child, ended: new Promise((resolve) => void child.once('close', (code) => resolve({ code, stdout, stderr }))), stdout: () => stdout }
}

async function ready(state: string, ...flags: readonly string[]): Promise<Dev> {
  const { child, ended, stdout } = start(state, ...flags)
  await Promise.race([eventually('the coordinator is ready', () => stdout().includes('\n')), ended.then(({ stderr }) => Promise.reject(new Error(stderr)))])
  return { child, ...(JSON.parse(stdout()) as Omit<Dev, 'child'>) } // the line that it promises
}

/** Removed when nothing works in it any more: agents that write while it goes would make the removal fail. */
async function ownState(): Promise<string> {
  const state = join(await ownFolder(), 'state')
  onTestFinished(async () => {
    await eventually('its processes are gone', (saw) => (saw(processesOf(state)), processesOf(state).length === 0))
  })
  return state
}

/** Of the coordinator, its watcher and its agents. */
function processesOf(state: string): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/cmdline`).includes(state))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // gone
  }
}

async function ask<T>({ url, admin_token }: Dev, path: string, body?: unknown): Promise<T> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${admin_token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }) })
  return (await response.json()) as T
}

test('a coordinator that is killed leaves no process, and goes on from its folder with the same tokens', async () => {
  const state = await ownState()
  const port = String(await portOfItsOwn())
  const first = await ready(state, '--port', port)
  expect((await stat(join(state, 'coordinator.json'))).mode & 0o777).toBe(0o600)
  await ask(first, '/api/v1/projects', { slug: 'app', checkout: false, command: 'echo hello' })
  await ask(first, '/api/v1/projects/app/builds', {})
  await eventually('build 1 passes', async () => (await ask<{ state: string }>(first, '/api/v1/projects/app/builds/1')).state === 'passed')

  first.child.kill('SIGKILL')
  await eventually('its processes are gone', (saw) => (saw(processesOf(state)), processesOf(state).length === 0))

  const second = await ready(state, '--port', port)
  expect({ ...second, child: null }).toEqual({ ...first, child: null })
  expect(await ask(second, '/api/v1/projects/app/builds/1')).toMatchObject({ state: 'passed' })
  await ask(second, '/api/v1/projects/app/builds', {})
  await eventually('build 2 passes', async () => (await ask<{ state: string }>(second, '/api/v1/projects/app/builds/2')).state === 'passed')
  expect(await ask(second, '/api/v1/agents')).toHaveLength(1) // the same agent as before
})

test('SIGTERM ends it with 0, agents and workerd included', async () => {
  const state = await ownState()
  const { child } = await ready(state, '--port', '0', '--agents', '2')
  const code = new Promise((resolve) => void child.once('exit', resolve))
  child.kill('SIGTERM')
  expect(await code).toBe(0)
  await eventually('its processes are gone', (saw) => (saw(processesOf(state)), processesOf(state).length === 0))
})

test('a folder and a port that are in use are told in one line with the way out', async () => {
  const state = await ownState()
  const dev = await ready(state, '--port', '0', '--agents', '0')
  const { port } = new URL(dev.url)
  const said = (message: string) => ({ code: 2, stdout: `${JSON.stringify({ error: { exit_code: 2, message } })}\n`, stderr: `kedge: ${message}\n` })
  expect(await start(state, '--port', '0').ended).toEqual(said(`another coordinator (process ${dev.child.pid}) uses the state folder ${state}. Stop it first, or name another folder with --state.`))
  expect(await start(`${state}-2`, '--port', port).ended).toEqual(said(`port ${port} of 127.0.0.1 is in use. Stop what listens there, or choose another with --port (0: any free one).`))
})
