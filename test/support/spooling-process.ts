/**
 * An agent's spool at work without the agent, as a process of its own that a test may kill at any instant. Each line it
 * prints is printed before or after the step it names, never at the same time: `finished` and `settled` after, `settling`
 * before. Arguments: the state folder, and the number of the first job.
 */
import { writeSync } from 'node:fs'
import { nodePlatform } from '../../agent/node-platform.ts'
import { openSpool } from '../../agent/spool/results.ts'
import { attemptId } from '../../schema/job.ts'

const [folder = '', first = '1'] = process.argv.slice(2)
const { disk, clock } = nodePlatform()
const say = (...words: readonly string[]): void => void writeSync(1, `${words.join(' ')}\n`)

const spool = await openSpool(folder, disk, clock)
for (const { attempt, digest } of spool.pending()) say('replayed', attempt, digest)
for (const { attempt } of spool.replayed.lost) say('lost', attempt)
say('open')
let next = Number(first)
const lane = async (): Promise<void> => {
  for (;;) {
    // Leaves when it is killed.
    const n = next++
    const attempt = attemptId({ project: 1, build: 1, n, fence: 1 })
    say('journalling', attempt, await spool.journal({ attempt, token: `kdg_att_${n}` }))
    await spool.markStarted(attempt, null)
    const { digest } = await spool.finish(attempt, { outcome: 'failed', exit_status: n % 256, signal: null, reason: null, commit: null, started_at: n, finished_at: n, log_bytes: 0, log_sha256: '' })
    say('finished', attempt, digest)
    await spool.logSealed(attempt)
    if (n % 3 === 0) continue
    say('settling', attempt)
    await spool.settle(attempt, 'accepted')
    say('settled', attempt)
  }
}
await Promise.all([lane(), lane(), lane()])
