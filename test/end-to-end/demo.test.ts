/**
 * The demonstration as a stranger starts it: real processes, real commits, and nothing left of it afterwards. Its
 * temporary folder lies in one of ours, whose name is in the arguments or environment of all that it starts.
 */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ownFolder } from '../support/folder.ts'
import { until } from '../support/process-list.ts'

const demo = join(import.meta.dirname, '../../agent/cli/demo.ts')

function livingWith(text: string): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && ['cmdline', 'environ'].some((file) => read(`/proc/${name}/${file}`).includes(text)))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // gone, or not ours
  }
}

it('shows a build that passes, one that fails, one that is cancelled and one whose agent is killed, and leaves nothing behind', async () => {
  const folder = await ownFolder()
  const child = spawn(process.execPath, [demo, '--once', '--json'], { env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { result: '', story: '' }
  child.stdout.on('data', (bytes: Buffer) => (output.result += bytes.toString('utf8')))
  child.stderr.on('data', (bytes: Buffer) => (output.story += bytes.toString('utf8')))
  const code = await new Promise((resolve) => child.once('close', resolve))

  expect(code, output.story).toBe(0)
  const { builds } = JSON.parse(output.result) as { readonly builds: readonly { readonly number: number; readonly state: string; readonly commit: string; readonly seconds: number }[] }
  expect(builds.map(({ number, state }) => `${number} ${state}`)).toEqual(['1 passed', '2 failed', '3 passed', '4 canceled', '5 passed', '6 passed'])
  expect(new Set(builds.map(({ commit }) => commit)).size).toBe(5)
  expect(output.story).toMatch(/#3 kill -9 of agent bo[^]*#3 runs on bo, attempt 2/)
  expect(readdirSync(folder).filter((name) => name.startsWith('kedge-demo-'))).toEqual([])
  await until(() => livingWith(folder).length === 0)
})
