import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createCgroup } from '../../../agent/runner/cgroup.ts'
import { killLeftovers, markerOf, startTree } from '../../../agent/runner/process-tree.ts'
import { thisMachine } from '../../../agent/runner/this-machine.ts'
import type { AgentId } from '../../../schema/job.ts'
import { pidsWith, uniqueSeconds, until } from '../../support/process-list.ts'
import { AGENT, clock, tryCommand, uniqueAttempt } from '../../support/running-command.ts'

const misbehaving = (name: string): string => fileURLToPath(new URL(`../../support/misbehaving/${name}.sh`, import.meta.url))

/** A process that no command started. */
function stranger(token: string, env: Readonly<Record<string, string>> = {}): ChildProcess & { readonly pid: number } {
  const child = spawn('sleep', [token], { detached: true, stdio: 'ignore', env: { PATH: process.env['PATH'] ?? '', ...env } })
  if (child.pid === undefined) throw new Error('cannot start sleep')
  onTestFinished(() => void child.kill('SIGKILL'))
  return child as ChildProcess & { readonly pid: number } // just checked
}

function hasCgroups(): boolean {
  const cgroup = createCgroup(`kedge-${AGENT}-${uniqueAttempt()}`)
  cgroup?.remove()
  return cgroup !== null
}

const LEAVERS = ['forks-200', 'double-forks', 'takes-own-session', 'nohup', 'holds-output-open', 'drops-environment', 'changes-marker', 'drops-everything-slowly'] as const

describe.each(['where possible', 'none'] as const)('with a cgroup: %s', (cgroup) => {
  it.each(LEAVERS)('a build that passed leaves nobody behind: %s [I23] [D39]', async (name) => {
    const token = uniqueSeconds()
    const command = await tryCommand(`sh ${misbehaving(name)} ${token}`, { cgroup })
    const end = await command.ended
    expect(pidsWith(token)).toEqual([])
    expect(end).toMatchObject({ exitStatus: 0, signal: null, stoppedBy: null, survivors: [] })
    expect(end.leftovers[0]).toMatch(/^(sleep|sh) \(pid \d+\)$/)
  })

  it.each(LEAVERS)('a build that is cancelled leaves nobody behind: %s [I23] [D39]', async (name) => {
    const token = uniqueSeconds()
    const command = await tryCommand(`sh ${misbehaving(name)} ${token}; echo ready; sleep ${token}`, { cgroup })
    await until(() => command.printed().includes('ready'))
    command.stop('canceled')
    await expect(command.ended).resolves.toMatchObject({ signal: 'SIGTERM', stoppedBy: 'canceled', survivors: [] })
    expect(pidsWith(token)).toEqual([])
  })

  it.each(['ignores-sigterm', 'stops-itself'])('who does not heed SIGTERM is killed after the grace: %s [C14.2] [D39]', async (name) => {
    const token = uniqueSeconds()
    const command = await tryCommand(`trap '' TERM; sh ${misbehaving(name)} ${token}; sleep ${token}`, { cgroup, graceMs: 200 })
    await until(() => command.printed().includes('ready'))
    command.stop('canceled')
    await expect(command.ended).resolves.toMatchObject({ exitStatus: null, signal: 'SIGKILL', stoppedBy: 'canceled', survivors: [] })
    expect(pidsWith(token)).toEqual([])
  })

  it('a process that starts itself anew under another pid all the time is caught up with [D39]', async () => {
    const token = uniqueSeconds()
    const command = await tryCommand(`sh ${misbehaving('moves-on')} ${token}; sleep 0.1`, { cgroup })
    await expect(command.ended).resolves.toMatchObject({ exitStatus: 0, survivors: [] })
    expect(pidsWith(token)).toEqual([])
  })
})

it('a process that cut all its ties at once is ended where there is a cgroup, and only there [D39]', async () => {
  const token = uniqueSeconds()
  await (await tryCommand(`sh ${misbehaving('drops-everything-at-once')} ${token}`)).ended
  const left = pidsWith(token)
  for (const pid of left) process.kill(pid, 'SIGKILL')
  expect(left).toHaveLength(hasCgroups() ? 0 : 1)
})

it('a command that heeds SIGTERM may use the grace to tidy up', async () => {
  const command = await tryCommand(`trap 'sleep 0.1; echo tidied; exit 7' TERM; echo ready; while :; do sleep 0.01 || true; done`)
  await until(() => command.printed().includes('ready'))
  command.stop('canceled')
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 7, signal: null, stoppedBy: 'canceled', leftovers: [] })
  expect(command.printed()).toMatch(/tidied\n$/)
})

it('a command that is stopped (SIGSTOP) is woken, so that it can heed SIGTERM', async () => {
  const command = await tryCommand('echo ready; kill -STOP $$')
  await until(() => command.printed().includes('ready'))
  command.stop('canceled')
  await expect(command.ended).resolves.toMatchObject({ signal: 'SIGTERM' })
})

it('a later stop can shorten the grace, but not change the reason', async () => {
  const token = uniqueSeconds()
  const command = await tryCommand(`sh ${misbehaving('ignores-sigterm')} ${token}`)
  await until(() => command.printed().includes('ready'))
  command.stop('canceled', 600_000)
  command.stop('agent_stopping', 0)
  await expect(command.ended).resolves.toMatchObject({ signal: 'SIGKILL', stoppedBy: 'canceled' })
  expect(pidsWith(token)).toEqual([])
})

it('a command that was started when no more files could be opened is watched and ended like any other', async () => {
  const [attempt, token] = [uniqueAttempt(), uniqueSeconds()]
  const table = { ...thisMachine(), row: () => { throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }) } }
  const births = table.births()
  const child = stranger(token, markerOf(attempt, AGENT))
  const tree = startTree({ pid: child.pid, births, attempt, agent: AGENT, output: null, cgroup: null, clock, table })
  await until(() => pidsWith(token).length === 1)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  tree.terminate(0)
  await exited
  expect([await tree.end(), tree.startTime, pidsWith(token)]).toEqual([{ leftovers: [], survivors: [] }, null, []])
})

it('a background process that ends by itself may print its last lines', async () => {
  const command = await tryCommand(`exec > >(sleep 0.05; tr a-z A-Z); echo hello`)
  await expect(command.ended).resolves.toMatchObject({ exitStatus: 0, leftovers: [] })
  expect(command.printed()).toBe('HELLO\n')
})

it('processes that the command did not start are left alone, whatever they carry', async () => {
  const [attempt, token] = [uniqueAttempt(), uniqueSeconds()]
  stranger(token)
  stranger(token, markerOf(attempt, 'a_99999999999999999999' as AgentId)) // another agent's attempt of the same name
  await until(() => pidsWith(token).length === 2)
  await (await tryCommand('sleep 0.1 & true', { attempt })).ended
  expect(pidsWith(token)).toHaveLength(2)
})

describe('leftovers of an earlier agent process', () => {
  const startTimeOf = (pid: number): string => `${thisMachine().row(pid)?.startedAt}@${thisMachine().machineStart}`

  it('are found by their marker and ended [C14.3]', async () => {
    const [attempt, token] = [uniqueAttempt(), uniqueSeconds()]
    const { pid } = stranger(token, markerOf(attempt, AGENT))
    await until(() => pidsWith(token).length === 1)
    await expect(killLeftovers(attempt, null, { agent: AGENT, clock })).resolves.toEqual({ leftovers: [], survivors: [] })
    expect(pidsWith(token), `pid ${pid}`).toEqual([])
  })

  it('are found by the recorded leader, with what it started, when the start time is the same', async () => {
    const [attempt, token] = [uniqueAttempt(), uniqueSeconds()]
    const child = spawn('sh', ['-c', 'env -i sleep "$0" & env -i sleep "$0" & wait', token], { detached: true, stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await until(() => pidsWith(token).length === 3)
    await killLeftovers(attempt, { pid: child.pid ?? 0, startTime: startTimeOf(child.pid ?? 0) }, { agent: AGENT, clock })
    expect(pidsWith(token)).toEqual([])
  })

  it('do not include a stranger that got the recorded pid since [D40]', async () => {
    const token = uniqueSeconds()
    const { pid } = stranger(token)
    await until(() => pidsWith(token).length === 1)
    for (const startTime of ['1@an-earlier-start', 12345, null]) await killLeftovers(uniqueAttempt(), { pid, startTime }, { agent: AGENT, clock })
    expect(pidsWith(token)).toEqual([pid])
  })

  it('do not include the attempt of the same name of another agent on this machine', async () => {
    const [attempt, token] = [uniqueAttempt(), uniqueSeconds()]
    const { pid } = stranger(token, markerOf(attempt, 'a_99999999999999999999' as AgentId))
    await until(() => pidsWith(token).length === 1)
    await killLeftovers(attempt, null, { agent: AGENT, clock })
    expect(pidsWith(token)).toEqual([pid])
  })
})
