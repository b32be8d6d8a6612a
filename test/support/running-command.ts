/** A command as a test starts it: real processes, in a folder of its own, its output kept as text. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { nodePlatform } from '../../agent/node-platform.ts'
import type { Clock } from '../../agent/platform.ts'
import { startCommand, type CommandRequest, type RunningCommand } from '../../agent/runner/command.ts'
import { attemptId, type AgentId, type AttemptId } from '../../schema/job.ts'

export const AGENT = 'a_00000000000000000001' as AgentId // the form of one
export const clock: Clock = nodePlatform().clock

/** Real time, but many times as fast: for waits of seconds that must happen in full. */
export function fastClock(times: number): Clock {
  return { wall: () => clock.wall(), monotonic: () => clock.monotonic() * times, after: (ms, call) => clock.after(ms / times, call) }
}

let builds = 0

/** Of no other test on this machine, now. */
export function uniqueAttempt(): AttemptId {
  builds += 1
  return attemptId({ project: (process.pid % 900_000) + 1, build: builds, n: 1, fence: 1 })
}

export interface TriedCommand extends RunningCommand {
  readonly printed: () => string
}

export async function tryCommand(command: string, request: Partial<CommandRequest> = {}): Promise<TriedCommand> {
  const cwd = await mkdtemp(join(tmpdir(), 'kedge-test-'))
  const chunks: Uint8Array[] = []
  const running = startCommand({
    command, cwd, clock, attempt: uniqueAttempt(), agent: AGENT, timeoutMs: 60_000, graceMs: 10_000,
    env: { PATH: process.env['PATH'] ?? '' },
    output: async (chunk) => void chunks.push(chunk),
    ...request,
  })
  onTestFinished(async () => {
    running.stop('agent_stopping', 0)
    await running.ended.catch(() => undefined)
    await rm(cwd, { recursive: true, force: true })
  })
  return { ...running, printed: () => Buffer.concat(chunks).toString() }
}
