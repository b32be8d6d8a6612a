import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ownFolder } from '../../support/folder.ts'

const main = new URL('../../../agent/cli/main.ts', import.meta.url).pathname

async function kedge(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const folder = await ownFolder()
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...environment } })
}

test('a mistyped command names the nearest one, in one line', async () => {
  expect(await kedge(['agnet'])).toMatchObject({ status: 2, stdout: '', stderr: 'kedge: there is no command "agnet"; did you mean "agent"? "kedge --help" lists them.\n' })
})

test('a mistyped flag names the nearest one, in one line', async () => {
  expect(await kedge(['dev', '--prot', '1'])).toMatchObject({ status: 2, stderr: "kedge: unknown option '--prot'; did you mean --port? Add --help to see what there is.\n" })
})

test('a number out of range is refused with the range', async () => {
  expect(await kedge(['agent', '--slots', '0'])).toMatchObject({ status: 2, stderr: 'kedge: --slots must be a whole number from 1 to 64, not "0".\n' })
})

test('a mistake in the tokens of forges ends kedge dev before anything is started, and is said without them', async () => {
  const { status, stderr } = await kedge(['dev', '--port', '0'], { KEDGE_FORGES: '[{"url":"https://github.com","token":"two words"}]' })
  expect({ status, stderr }).toEqual({ status: 2, stderr: 'kedge: KEDGE_FORGES [0].token must be the token alone: no blanks, no line end. It is in the environment of this command: mend it there, or leave it away.\n' })
})

test('help goes to stdout and is no error', async () => {
  const { status, stdout, stderr } = await kedge(['--help'])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('dev [options]')
  expect(stdout).toContain('Exit codes: 0 passed or done, 1 the build failed, 2 usage or bad input, 3 canceled,')
})

test.each([
  [['buidl'], 'there is no command "buidl"; did you mean "build"? "kedge --help" lists them.'],
  [['frobnicate'], 'there is no command "frobnicate". "kedge --help" lists them.'],
  [['token', 'crate'], "unknown command 'crate'; did you mean create? Add --help to see what there is."],
  [['logs'], "missing required argument 'build'. Add --help to see what there is."],
  [['build', 'extra'], "too many arguments for 'build'. Expected 0 arguments but got 1. Add --help to see what there is."],
  [['build', '--priority', 'high'], "option '--priority <n>' argument 'high' is invalid. It must be a whole number. Add --help to see what there is."],
  [['agent', '--slots'], "option '--slots <n>' argument missing. Add --help to see what there is."],
  [['agents', '--url', 'ci.example'], '--url must be the address of a coordinator, such as http://127.0.0.1:8787 or https://kedge.example.com, without a path or password; "ci.example" is none.'],
  [['builds', '--token-file', 'nope'], 'cannot read the token from nope: there is no such file. Name another file with --token-file.'],
])('misuse ends with 2 and one line: kedge %j', async (args, said) => {
  expect(await kedge(args)).toMatchObject({ status: 2, stdout: '', stderr: `kedge: ${said}\n` })
})

test.each([
  [['builds', '--json', '--url', 'http://127.0.0.1:3'], 4, 'cannot reach the coordinator at http://127.0.0.1:3: connection refused. Start it with: npx kedge dev'],
  [['builds', '--json', '--token-file', 'nope'], 2, 'cannot read the token from nope: there is no such file. Name another file with --token-file.'],
  [['build', '--json', '--priority', 'high'], 2, "option '--priority <n>' argument 'high' is invalid. It must be a whole number. Add --help to see what there is."],
  [['dev', '--agents', '99', '--json'], 2, '--agents must be a whole number from 0 to 32, not "99".'],
  [['buidl', '--json'], 2, 'there is no command "buidl"; did you mean "build"? "kedge --help" lists them.'],
])('with --json what went wrong is one line of JSON on stdout, too: kedge %j', async (args, exit_code, message) => {
  const { status, stdout, stderr } = await kedge(args)
  expect({ status, stderr, json: JSON.parse(stdout) as unknown }).toEqual({ status: exit_code, stderr: `kedge: ${message}\n`, json: { error: { exit_code, message } } })
})

test('a command that is given --json to run is no wish for JSON', async () => {
  expect(await kedge(['builds', '--url', 'http://127.0.0.1:3', '--', '--json'])).toMatchObject({ stdout: '' })
})

test('KEDGE_TOKEN that no header can hold is told as that, without showing it', async () => {
  expect(await kedge(['builds'], { KEDGE_TOKEN: 'kdg_adm_secret\nkdg_adm_other' })).toMatchObject({ status: 2, stdout: '', stderr: 'kedge: KEDGE_TOKEN must hold one token and nothing else, such as kdg_….\n' })
})

test('a group of commands without one of them shows its help', async () => {
  const { status, stderr } = await kedge(['token'])
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^Usage: kedge token [^]*revoke/)])
})
