import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ownFolder } from '../../support/folder.ts'

const main = new URL('../../../agent/cli/main.ts', import.meta.url).pathname

async function kedge(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd: await ownFolder() })
}

test('a mistyped command names the nearest one, in one line', async () => {
  expect(await kedge('agnet')).toMatchObject({ status: 2, stdout: '', stderr: 'kedge: there is no command "agnet"; did you mean "agent"? "kedge --help" lists them.\n' })
})

test('a mistyped flag names the nearest one, in one line', async () => {
  expect(await kedge('dev', '--prot', '1')).toMatchObject({ status: 2, stderr: "kedge: unknown option '--prot'; did you mean --port? Add --help to see what there is.\n" })
})

test('a number out of range is refused with the range', async () => {
  expect(await kedge('agent', '--slots', '0')).toMatchObject({ status: 2, stderr: 'kedge: --slots must be a whole number from 1 to 64, not "0".\n' })
})

test('help goes to stdout and is no error', async () => {
  const { status, stdout, stderr } = await kedge('--help')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('dev [options]')
})
