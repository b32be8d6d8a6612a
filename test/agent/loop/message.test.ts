import { expect, it } from 'vitest'
import { revisionOf, withResults } from '../../../agent/loop/message.ts'

it('delivers ten thousand results of a long outage in messages of 64 KiB, oldest first [D35]', () => {
  const pending = Array.from({ length: 10_000 }, (_, i) => ({ attempt: `J1-${i + 1}-1.1` as never, digest: `sha256:${'0'.repeat(64)}`, text: `{"${'x'.repeat(300)}":1}`, result: { commit: null } as never }))
  const base = { proto: 1, features: [], agent: 'a_00000000000000000000' as never, boot_seq: 1, boot_id: 'x', seq: 1, state: 'ready' as const, reason: null, slots: 2, offer_rev: 1, doorbell: false, running: [], finished: [], spooled: [], lost: [] }
  let left = pending
  let rounds = 0
  while (left.length > 0) {
    const message = withResults(base, left, 64 * 1024)
    expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThanOrEqual(64 * 1024)
    expect(message.finished[0]?.attempt).toBe(left[0]?.attempt)
    left = left.slice(message.finished.length)
    expect(message.spooled.at(-1)).toBe(left.at(-1)?.attempt)
    rounds += 1
  }
  expect(rounds).toBeLessThan(120)
})

it('lets a result travel that is too large for all the others', () => {
  const pending = [1, 2].map((n) => ({ attempt: `J1-${n}-1.1` as never, digest: 'sha256:0', text: 'x'.repeat(9000), result: { commit: null } as never }))
  const base = { proto: 1, features: [], agent: 'a_00000000000000000000' as never, boot_seq: 1, boot_id: 'x', seq: 1, state: 'ready' as const, reason: null, slots: 2, offer_rev: 1, doorbell: false, running: [], finished: [], spooled: [], lost: [] }
  const message = withResults(base, pending, 4096)
  expect(message.finished.map(({ attempt }) => attempt)).toEqual(['J1-1-1.1'])
  expect(message.spooled).toEqual(['J1-2-1.1'])
})

it('numbers an offer the same at each start, and differently once it changes', () => {
  const offer = { name: 'n', queue: 'default', tags: ['os=linux'], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  expect(revisionOf({ ...offer })).toBe(revisionOf(offer))
  expect(revisionOf({ ...offer, tags: ['os=mac'] })).not.toBe(revisionOf(offer))
})
