import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { AGENT_ID } from '../../../schema/job.ts'
import { nodePlatform, nodeProcesses } from '../../../agent/node-platform.ts'
import { openState, StateError } from '../../../agent/spool/identity.ts'
import { ownFolder } from '../../support/folder.ts'
import { watchDisk } from '../../support/watched-disk.ts'

const platform = nodePlatform()
const own = nodeProcesses()
const open = (folder: string, processes = own) => openState(folder, platform, processes)

test('a new folder gets an id, a secret that only its owner may read, and boot 1', async () => {
  const folder = join(await ownFolder(), 'deep', 'state')
  const state = await open(folder)
  expect(state.agentId).toMatch(AGENT_ID)
  expect(state.secret).toMatch(/^kdg_sec_[A-Za-z0-9_-]{43}$/)
  expect(state.bootSeq).toBe(1)
  expect((await stat(join(folder, 'agent.json'))).mode & 0o077).toBe(0)
})

test('the next start keeps id and secret, counts the boot and draws a new boot id', async () => {
  const folder = await ownFolder()
  const first = await open(folder)
  await first.release()
  const second = await open(folder)
  expect(second).toMatchObject({ agentId: first.agentId, secret: first.secret, bootSeq: 2 })
  expect(second.bootId).not.toBe(first.bootId)
})

test('the boot number is on the disk before anybody can use it', async () => {
  const folder = await ownFolder()
  const state = await open(folder)
  expect(JSON.parse(await readFile(join(folder, 'agent.json'), 'utf8'))).toMatchObject({ boot_seq: 1 })
  await state.jumpTo(41)
  expect(state.bootSeq).toBe(41)
  await state.release()
  expect((await open(folder)).bootSeq).toBe(42)
})

test('a second process is refused with the pid of the first, and may start once that has let go [D3]', async () => {
  const folder = await ownFolder()
  const first = await open(folder)
  await expect(open(folder)).rejects.toThrow(`another agent (process ${own.pid}) uses the state folder ${folder}`)
  await first.release()
  expect((await open(folder)).bootSeq).toBe(2)
})

test('the lock of a dead process, and one whose pid now belongs to a stranger, are taken over', async () => {
  const folder = await ownFolder()
  const times = new Map([[7001, 'monday'], [7002, 'tuesday']])
  const as = (pid: number) => ({ ...own, pid, startTime: async (of: number) => times.get(of) ?? null })
  await open(folder, as(7001))
  await expect(open(folder, as(7002))).rejects.toMatchObject({ code: 'held' })
  times.delete(7001)
  expect((await open(folder, as(7002))).bootSeq).toBe(2)
  times.set(7002, 'friday').set(7001, 'saturday')
  expect((await open(folder, as(7001))).bootSeq).toBe(3)
})

test('a torn lock is nobody\'s', async () => {
  const folder = await ownFolder()
  await writeFile(join(folder, 'agent.lock'), '{"pid":')
  expect((await open(folder)).bootSeq).toBe(1)
})

test('of many that start at once over a dead lock exactly one gets the folder', async () => {
  const folder = await ownFolder()
  const as = (pid: number) => ({ ...own, pid, startTime: async (of: number) => (of >= 8000 ? `start of ${of}` : null) })
  await open(folder, { ...as(1), pid: 1 })
  const tries = await Promise.allSettled(Array.from({ length: 12 }, (_, at) => open(folder, as(8000 + at))))
  expect(tries.filter((each) => each.status === 'fulfilled')).toHaveLength(1)
})

test('a damaged identity is not replaced by a new one: its results belong to the old', async () => {
  const folder = await ownFolder()
  await writeFile(join(folder, 'agent.json'), '{"format":1,"agent_id"')
  await expect(open(folder)).rejects.toThrow('agent.json is damaged')
  await writeFile(join(folder, 'agent.json'), '{"format":9}')
  await expect(open(folder)).rejects.toThrow('was written by a newer kedge (format 9')
  await writeFile(join(folder, 'agent.json'), 'null')
  await expect(open(folder)).rejects.toBeInstanceOf(StateError) // and the lock was let go each time
})

test('a folder that cannot be written is said in one sentence, with what to do', async () => {
  const folder = await ownFolder()
  const disk = watchDisk(platform.disk)
  disk.refuse = (verb) => (verb === 'writeDurably' ? 'EROFS' : null)
  await expect(openState(folder, { ...platform, disk }, own)).rejects.toThrow(`cannot write the state folder ${folder}: its file system is read-only. The agent keeps its identity and its unsent results there: make it writable for this user, or name another with --state.`)
  await chmod(folder, 0o700)
})

test('on a full disk the reserve makes room for the boot number [D33]', async () => {
  const folder = await ownFolder()
  await writeFile(join(folder, 'reserve'), 'x')
  const disk = watchDisk(platform.disk)
  disk.refuse = (verb) => (verb === 'writeDurably' && !disk.done.some((line) => line.endsWith('/reserve')) ? 'ENOSPC' : null)
  expect((await openState(folder, { ...platform, disk }, own)).bootSeq).toBe(1)
})

test('on a full disk without a reserve the agent does not start, says to free space, and stays who it is', async () => {
  const folder = await ownFolder()
  const first = await open(folder)
  await first.release()
  const before = await readFile(join(folder, 'agent.json'), 'utf8')
  const disk = watchDisk(platform.disk)
  disk.refuse = (verb) => (verb === 'writeDurably' ? 'ENOSPC' : null)
  await expect(openState(folder, { ...platform, disk }, own)).rejects.toMatchObject({ code: 'unwritable', message: `cannot write the state folder ${folder}: its disk is full. The agent keeps its identity and its unsent results there: free some space, or name another with --state.` })
  expect(await readFile(join(folder, 'agent.json'), 'utf8')).toBe(before)
  expect(await open(folder)).toMatchObject({ agentId: first.agentId, bootSeq: 2 })
})

test('a state of a newer version is left as it is', async () => {
  const folder = await ownFolder()
  await writeFile(join(folder, 'agent.json'), '{"format":9,"wisdom":"of the future"}')
  await expect(open(folder)).rejects.toMatchObject({ code: 'newer' })
  expect(await readFile(join(folder, 'agent.json'), 'utf8')).toBe('{"format":9,"wisdom":"of the future"}')
})
