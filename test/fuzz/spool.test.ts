/**
 * An agent's state folder after anything happened to one of its files: the agent starts, with what cannot be read moved
 * away, or it refuses with a sentence; and a whole result that lies beside is delivered all the same [I5, C15.4].
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readSent } from '../../agent/log/sent.ts'
import { nodePlatform, nodeProcesses } from '../../agent/node-platform.ts'
import { openState, StateError } from '../../agent/spool/identity.ts'
import { openSpool } from '../../agent/spool/results.ts'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { AttemptResult } from '../../schema/sync.ts'
import { ownFolder } from '../support/folder.ts'
import { hostileBytes, mutated, type Json } from './hostile.ts'
import { runs, TIMES } from './seed.ts'

const [whole, hit, running] = [1, 2, 3].map((build) => attemptId({ project: 1, build, n: 1, fence: 1 })) as [AttemptId, AttemptId, AttemptId] // of three
const result: AttemptResult = { outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: null, finished_at: 5, log_bytes: 0, log_sha256: '' }
const FILES = ['agent.json', 'agent.lock', 'known', 'reserve', ...[hit, running].flatMap((attempt) => ['spec.json', 'started', 'result.json', 'verdict', 'log', 'log.sent', 'log.sealed'].map((name) => `spool/${attempt}/${name}`))]

const platform = nodePlatform()
const lives = { disk: platform.disk, clock: platform.clock }

/** A folder with a whole result, one of which a file will be hit, and an attempt that ran. */
async function begun(folder: string): Promise<void> {
  const state = await openState(folder, platform, nodeProcesses())
  const spool = await openSpool(folder, lives.disk, lives.clock)
  for (const attempt of [whole, hit, running]) {
    await spool.journal({ attempt, token: 'kdg_att_x' })
    await spool.markStarted(attempt, { pid: 2 ** 22, startTime: 'x' })
  }
  for (const attempt of [whole, hit]) await spool.finish(attempt, result)
  await writeFile(join(folder, 'known'), 'J9-9-9.9\n')
  await writeFile(join(folder, 'spool', running, 'log'), 'some words')
  await writeFile(join(folder, 'spool', running, 'log.sent'), '{"epoch":1,"bytes":3}')
  await spool.close()
  await state.release()
}

const SHAPES: Readonly<Record<string, Json>> = {
  'agent.json': { format: 1, agent_id: 'a_00000000000000000001', secret: `kdg_sec_${'x'.repeat(43)}`, boot_seq: 3 },
  'agent.lock': { pid: 2 ** 22, start: 'x', host: 'h', nonce: 'n' },
  'spec.json': { format: 1, assignment: { attempt: hit, token: 'kdg_att_x' } },
  started: { format: 1, process: { pid: 2 ** 22, startTime: 'x' } },
  'result.json': { format: 1, attempt: hit, digest: 'sha256:x', result: JSON.stringify(result) },
  verdict: { format: 1, verdict: 'accepted', at: 5 },
  'log.sent': { epoch: 1, bytes: 3 },
}
const blow = fc.constantFrom(...FILES).chain((file) => {
  const shape = SHAPES[file.slice(file.lastIndexOf('/') + 1)]
  const bytes = shape === undefined ? hostileBytes : fc.oneof(hostileBytes, mutated(shape).map((text) => new TextEncoder().encode(text)))
  return fc.record({ file: fc.constant(file), how: fc.constantFrom('bytes', 'bytes', 'bytes', 'cut', 'gone', 'folder'), bytes })
})

it('after anything happened to one file an agent starts or says why not, and loses no result that is whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(blow, { minLength: 1, maxLength: 2 }), async (blows) => {
      const folder = join(await ownFolder(), 'state')
      await begun(folder)
      for (const { file, how, bytes } of blows) {
        const path = join(folder, file)
        const before = await readFile(path).catch(() => Buffer.alloc(0))
        await rm(path, { recursive: true, force: true })
        if (how === 'folder') await mkdir(path)
        else if (how !== 'gone') await writeFile(path, how === 'cut' ? before.subarray(0, before.length >> 1) : bytes)
      }
      const refused = (error: unknown) => {
        expect(error).toBeInstanceOf(StateError)
        expect((error as StateError).message).toMatch(/^.{20,}\.$/) // the line above says so
      }
      const state = await openState(folder, platform, nodeProcesses()).catch(refused)
      const spool = await openSpool(folder, lives.disk, lives.clock).catch(refused)
      await state?.release()
      if (spool === undefined) {
        // It did not start; what is whole is where it was.
        expect(await readdir(join(folder, 'spool', whole))).toContain('result.json')
        return
      }
      expect(spool.pending().map(({ attempt }) => attempt)).toContain(whole)
      const told = new Set<string>([...spool.replayed.lost, ...spool.replayed.finished].map(({ attempt }) => attempt))
      // Nobody may be left waiting: each is delivered, reported lost, or was settled.
      for (const attempt of [hit, running]) expect(told.has(attempt) || blows.some(({ file }) => file === 'known' || (file.includes(attempt) && file.endsWith('verdict')))).toBe(true)
      for (const attempt of [whole, hit, running]) expect(await spool.journal({ attempt, token: 'kdg_att_x' })).toBe('known')
      expect(await readSent(lives.disk, spool.logPath(running))).toEqual({ epoch: expect.toBeOneOf([1, 2]), bytes: expect.any(Number) })
      await spool.close()
    }),
    runs(50),
  )
}, 60_000 * TIMES)
