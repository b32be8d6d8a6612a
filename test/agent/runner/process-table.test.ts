import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { linuxProcessTable } from '../../../agent/runner/process-table-linux.ts'
import { parsePs } from '../../../agent/runner/process-table-mac.ts'
import type { Snapshot } from '../../../agent/runner/process-table.ts'
import { processTable } from '../../../agent/runner/this-machine.ts'

interface Machine {
  readonly pidMax: number
  readonly threads: number
  readonly births: number
  readonly stats: Readonly<Record<number, string>>
}

/** A `/proc` of our own. */
async function proc({ pidMax, threads, births, stats }: Machine): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kedge-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'sys/kernel/random'), { recursive: true })
  await writeFile(join(folder, 'sys/kernel/random/boot_id'), 'b-1\n')
  await writeFile(join(folder, 'sys/kernel/pid_max'), `${pidMax}\n`)
  await writeFile(join(folder, 'loadavg'), `0.1 0.1 0.1 1/${threads} 4000\n`)
  await writeFile(join(folder, 'stat'), `cpu 1 2 3\nbtime 1\nprocesses ${births}\nprocs_running 1\n`)
  for (const [pid, line] of Object.entries(stats)) {
    await mkdir(join(folder, pid))
    if (line !== '') await writeFile(join(folder, pid, 'stat'), line)
  }
  return folder
}

const stat = (pid: number, { name = 'sh', state = 'S', threads = 1, group = pid } = {}): string => `${pid} (${name}) ${state} 1 ${group} ${group} ${'0 '.repeat(11)}20 0 ${threads} 0 777 1 2 3
`
const pids = ({ rows }: Snapshot): number[] => [...rows.keys()].sort((a, b) => a - b)
const machine = { pidMax: 32768, threads: 100, births: 1000, stats: { 50: stat(50), 4000: stat(4000), 4010: stat(4010) } }

it('reads a process whose name holds spaces and parentheses', async () => {
  const table = linuxProcessTable(await proc({ ...machine, stats: { 7: stat(7, { name: 'a) S 1 (b c' }) } }))
  expect(table.row(7)).toEqual({ pid: 7, parent: 1, group: 7, session: 7, startedAt: 777, name: 'a) S 1 (b c' })
  expect(table.row(8)).toBeNull()
})

it('skips the pids that are older, as long as pids cannot have wrapped around', async () => {
  const table = linuxProcessTable(await proc(machine))
  expect(pids(await table.snapshot([{ pid: 4000, births: 990 }]))).toEqual([4000, 4010])
})

it('reads them all when pids may have wrapped around since', async () => {
  const table = linuxProcessTable(await proc({ ...machine, births: 40_000 }))
  expect(pids(await table.snapshot([{ pid: 4000, births: 990 }]))).toEqual([50, 4000, 4010])
})

it('reads them all for one who does not know, whoever else asks', async () => {
  const table = linuxProcessTable(await proc(machine))
  expect(pids(await table.snapshot([{ pid: 4000, births: 990 }, null]))).toEqual([50, 4000, 4010])
})

it('leaves out zombies and threads of the kernel, but not a process whose first thread has ended', async () => {
  const stats = { 1: stat(1, { state: 'Z', threads: 0 }), 2: stat(2, { group: 0 }), 3: stat(3, { state: 'Z', threads: 4 }) }
  expect(pids(await linuxProcessTable(await proc({ ...machine, stats })).snapshot([null]))).toEqual([3])
})

it('says when a process was gone before it could be read', async () => {
  const gone = linuxProcessTable(await proc({ ...machine, stats: { 50: '', 60: stat(60) } }))
  expect(await gone.snapshot([null])).toMatchObject({ isComplete: false })
  expect(await linuxProcessTable(await proc(machine)).snapshot([null])).toMatchObject({ isComplete: true })
})

it('says when a process died just then, and not again for one that nobody reaps', async () => {
  const table = linuxProcessTable(await proc({ ...machine, stats: { 50: stat(50, { state: 'Z', threads: 0 }), 60: stat(60) } }))
  expect(await table.snapshot([null])).toMatchObject({ isComplete: false })
  expect(await table.snapshot([null])).toMatchObject({ isComplete: true })
})

it.runIf(process.platform === 'linux')('sees itself on this machine', async () => {
  const table = processTable(process.platform)
  const snapshot = await table.snapshot([null])
  const row = snapshot.rows.get(process.pid)
  expect(row).toMatchObject({ pid: process.pid, parent: process.ppid, startedAt: table.row(process.pid)?.startedAt })
  expect(row && snapshot.carries(row, [`PATH=${process.env['PATH'] ?? ''}`])).toBe(true)
  expect(row && snapshot.carries(row, ['PATH=']), 'only whole entries count').toBe(false)
})

it('refuses a platform that it cannot look at, with what to do', () => {
  expect(() => processTable('win32')).toThrow(/run the agent in WSL/)
})

it('reads what ps prints on macOS, without zombies', () => {
  const text = '  501   1  501 Ss   Tue Nov 24 21:38:00 2026     my program\n  502 501  501 Z    Tue Nov 24 21:38:01 2026     (sh)\n'
  expect(parsePs(text)).toEqual([{ pid: 501, parent: 1, group: 501, session: 0, startedAt: Date.UTC(2026, 10, 24, 21, 38), name: 'my program' }])
})
