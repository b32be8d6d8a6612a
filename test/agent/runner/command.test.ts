import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { CommandError, findShell } from '../../../agent/runner/command.ts'
import { pidsWith, uniqueSeconds, until } from '../../support/process-list.ts'
import { fastClock, tryCommand } from '../../support/running-command.ts'

it('stdout and stderr come in the order in which they were printed', async () => {
  const command = await tryCommand('for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done')
  await command.ended
  expect(command.printed()).toBe([1, 2, 3, 4, 5].map((i) => `out ${i}\nerr ${i}\n`).join(''))
})

it('a script may open /dev/stderr and /dev/stdout', async () => {
  const command = await tryCommand('echo a >/dev/stderr; echo b | tee /dev/stdout')
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 0 })
  expect(command.printed()).toBe('a\nb\nb\n')
})

it('exit status and signal are told apart', async () => {
  await expect((await tryCommand('exit 3')).ended).resolves.toMatchObject({ exitStatus: 3, signal: null, stoppedBy: null })
  await expect((await tryCommand('kill -KILL $$')).ended).resolves.toMatchObject({ exitStatus: null, signal: 'SIGKILL', stoppedBy: null })
  await expect((await tryCommand('exit 137')).ended).resolves.toMatchObject({ exitStatus: 137, signal: null })
})

it('a script of several lines ends at the first that fails', async () => {
  const command = await tryCommand('echo one\nfalse\necho two')
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 1 })
  expect(command.printed()).toBe('one\n')
})

it('the shell is bash where there is one', async () => {
  const command = await tryCommand('echo "${BASH_VERSION:+bash}"')
  await command.ended
  expect(command.printed()).toBe(findShell(process.env['PATH'] ?? '').endsWith('/bash') ? 'bash\n' : '\n')
})

it('whoever reads input gets its end at once', async () => {
  const command = await tryCommand('if read -r answer; then echo "$answer"; else echo nothing; fi')
  await command.ended
  expect(command.printed()).toBe('nothing\n')
})

it('the command leads a session of its own, and carries the marker of its attempt', async () => {
  const command = await tryCommand('echo "$$ $KEDGE_ATTEMPT $KEDGE_AGENT_ID"; ps -o sid= -p $$')
  await command.ended
  const [first, sid] = command.printed().split('\n')
  expect(first).toMatch(/^\d+ J\d+-\d+-1\.1 a_00000000000000000001$/)
  expect([Number(sid), Number(first?.split(' ')[0])]).toEqual([command.pid, command.pid])
})

it('a command that prints faster than its output is taken has to wait, and nothing is lost', async () => {
  let bytes = 0
  let release = (): void => undefined
  const isReleased = new Promise<void>((resolve) => (release = resolve))
  const command = await tryCommand('exec head -c 10000000 /dev/zero', {
    output: async (chunk) => {
      bytes += chunk.length
      await isReleased
    },
  })
  // Either it waits in the kernel for room in the pipe, time after time, or it was never held up.
  let waits = 0
  await until(() => (waits = isSleeping(command.pid) ? waits + 1 : 0) === 20 || bytes === 10_000_000)
  expect(bytes).toBeLessThan(1_000_000)
  release()
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 0 })
  expect(bytes).toBe(10_000_000)
})

it('at its time limit it is stopped', async () => {
  const token = uniqueSeconds()
  await expect((await tryCommand(`sleep ${token}; sleep ${token}`, { timeoutMs: 100 })).ended).resolves.toMatchObject({ exitStatus: null, signal: 'SIGTERM', stoppedBy: 'timed_out' })
  expect(pidsWith(token)).toEqual([])
})

it('a time limit further away than a timer can be does not strike at once', async () => {
  await expect((await tryCommand('sleep 0.05', { timeoutMs: 2 ** 40 })).ended).resolves.toMatchObject({ exitStatus: 0, stoppedBy: null })
})

it('a stop after the command has ended changes nothing', async () => {
  const command = await tryCommand('true')
  const end = await command.ended
  command.stop('canceled')
  expect(end).toEqual({ exitStatus: 0, signal: null, stoppedBy: null, leftovers: [], survivors: [] })
  await expect(command.ended).resolves.toEqual(end)
})

it('command text longer than an argument may be runs all the same', async () => {
  const command = await tryCommand(`# ${'x'.repeat(300_000)}\necho ran\nfalse\necho not this`)
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 1 })
  expect(command.printed()).toBe('ran\n')
})

it('a folder that is not there is named', async () => {
  await expect(tryCommand('true', { cwd: '/nowhere/at/all' })).rejects.toThrow(new CommandError('cannot start the command in /nowhere/at/all: its folder is not there. Something removed it since it was prepared; a new build will make it again.'))
})

it('an environment that is too large is refused with a sentence, and no pipe stays open', async () => {
  await (await tryCommand('true')).ended // fills the stock of pipes
  const before = openFiles()
  await expect(tryCommand('true', { env: { LARGE: 'x'.repeat(200_000) } })).rejects.toMatchObject({ code: 'environment_invalid', message: expect.stringContaining('its environment is larger than the system allows') }) // no fault of this machine's
  await until(() => openFiles() < before)
})

it('nothing is left when the output cannot be taken, and the reason is told', async () => {
  const token = uniqueSeconds()
  const command = await tryCommand(`echo hello; sleep ${token}; sleep ${token}`, { output: () => Promise.reject(new Error('the disk is full')) })
  await expect(command.ended).rejects.toThrow('the disk is full')
  expect(pidsWith(token)).toEqual([])
})

it('output that a stranger holds open is waited for a bounded time, then let go [C14.2]', async () => {
  const command = await tryCommand('echo hello; read -r line < go || true; sleep 0.2', { clock: fastClock(20) })
  const held = openSync(`/proc/${command.pid}/fd/1`, 'w') // this process is never taken for one of the build's
  await expect(command.ended).resolves.toMatchObject({ survivors: [] })
  closeSync(held)
  expect(command.printed()).toContain('hello\n')
})

it('a command leaves no open file of the agent and no folder behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kedge-test-'))
  vi.stubEnv('TMPDIR', folder)
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true })
  })
  await (await tryCommand('true')).ended
  const five = async () => {
    for (let i = 0; i < 5; i += 1) await (await tryCommand(`echo ${'x'.repeat(130_000)} >/dev/null`, { cwd: folder })).ended
  }
  let before = openFiles()
  await five()
  // The stock is filled anew once it is empty, which other tests of this process have a share in: then it is full enough for five more.
  if (openFiles() > before + 64) {
    before = openFiles()
    await five()
  }
  await until(() => openFiles() < before) // each took a pipe, two files, from the stock
  expect(readdirSync(folder).filter((name) => !name.startsWith('kedge-test-'))).toEqual([])
})

function isSleeping(pid: number): boolean {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(' S ')
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}
