/** `kedge lock`, as scripts of several jobs meet it on one agent. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { acquireLock, doneOnce, doOnce, releaseLock, showLock } from '../../../agent/cli/lock-calls.ts'
import { EXIT, Failure } from '../../../agent/cli/output.ts'
import { forgetLocks, releaseLocksOf } from '../../../agent/runner/job-locks.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'

async function agent() {
  const folder = join(await ownFolder(), 'locks')
  /** What is printed by a command in the job of that attempt. */
  const as = (attempt: string) => {
    const printed: string[] = []
    return { around: surroundings({ environment: { KEDGE_LOCKS: folder, KEDGE_ATTEMPT: attempt }, print: (line) => void printed.push(line) }), last: () => printed.at(-1) }
  }
  return { folder, as }
}

const failureOf = async (work: () => unknown): Promise<Failure> => {
  const failure: unknown = await (async () => work())().then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

describe('acquire and release', () => {
  it('give a lock to one at a time, to whoever waits next', async () => {
    const { as, folder } = await agent()
    const [one, other] = [as('J1-1-1.1'), as('J1-1-2.1')]
    expect(await acquireLock('llama', {}, one.around)).toBe(EXIT.ok)
    const token = one.last() ?? ''
    expect(token).toMatch(/^acquired\(.+\)$/)
    let hasOther = false
    const waiting = acquireLock('llama', {}, other.around).then(() => (hasOther = true))
    await acquireLock('another', {}, other.around) // not in the way
    expect(hasOther).toBe(false)
    showLock('llama', {}, other.around)
    expect(other.last()).toBe(token)
    expect(releaseLock({ key: 'llama', token }, {}, one.around)).toBe(EXIT.ok)
    await waiting
    expect(other.last()).not.toBe(token)
    expect(readdirSync(folder)).toHaveLength(2)
  })

  it('of many at once let each in alone', async () => {
    const { as } = await agent()
    let within = 0
    let most = 0
    await Promise.all(Array.from({ length: 8 }, async (_, n) => {
      const { around, last } = as(`J1-1-${n + 1}.1`)
      await acquireLock('llama', {}, around)
      most = Math.max(most, (within += 1))
      await Promise.resolve()
      within -= 1
      releaseLock({ key: 'llama', token: last() ?? '' }, {}, around)
    }))
    expect(most).toBe(1)
  })

  it('refuse the token of another, and what is not held', async () => {
    const { as } = await agent()
    const { around } = as('J1-1-1.1')
    expect(await failureOf(() => releaseLock({ key: 'llama', token: 'x' }, {}, around))).toMatchObject({ exitCode: 1, message: expect.stringContaining('nobody holds the lock "llama"') })
    await acquireLock('llama', {}, around)
    expect(await failureOf(() => releaseLock({ key: 'llama', token: 'x' }, {}, around))).toMatchObject({ message: expect.stringContaining('that token does not release the lock') })
  })

  it('give up after the time that they are told', async () => {
    const { as } = await agent()
    await acquireLock('llama', {}, as('J1-1-1.1').around)
    expect(await failureOf(() => acquireLock('llama', { lockWaitTimeout: '1ms' }, as('J1-1-2.1').around))).toMatchObject({ exitCode: 1, message: expect.stringContaining('gave up after 1ms: another job holds "llama"') })
    for (const lockWaitTimeout of ['5', 'soon', '-1s', '1s ']) expect(await failureOf(() => acquireLock('llama', { lockWaitTimeout }, as('J1-1-2.1').around))).toMatchObject({ exitCode: EXIT.usage })
  })
})

describe('do and done', () => {
  it('have the work done once: the others wait, and are told', async () => {
    const { as } = await agent()
    const [one, other, late] = [as('J1-1-1.1'), as('J1-1-2.1'), as('J1-1-3.1')]
    await doOnce('llama', {}, one.around)
    expect(one.last()).toBe('do')
    const waiting = doOnce('llama', {}, other.around)
    expect(await failureOf(() => doneOnce('llama', {}, other.around))).toMatchObject({ exitCode: 1, message: expect.stringContaining('J1-1-1.1 does') })
    expect(doneOnce('llama', {}, one.around)).toBe(EXIT.ok)
    expect(doneOnce('llama', {}, one.around)).toBe(EXIT.ok) // said twice
    await waiting
    await doOnce('llama', {}, late.around)
    expect([other.last(), late.last()]).toEqual(['done', 'done'])
  })

  it('and acquire do not mix under one key', async () => {
    const { as } = await agent()
    const { around } = as('J1-1-1.1')
    await doOnce('once', {}, around)
    await acquireLock('held', {}, around)
    expect(await failureOf(() => acquireLock('once', {}, around))).toMatchObject({ message: expect.stringContaining('done once') })
    expect(await failureOf(() => doOnce('held', {}, around))).toMatchObject({ message: expect.stringContaining('Use another key.') })
    expect(await failureOf(() => releaseLock({ key: 'once', token: 'doing' }, {}, around))).toMatchObject({ exitCode: 1 })
  })
})

describe('a job that ends', () => {
  it('holds nothing any more, but what it did once stays done', async () => {
    const { as, folder } = await agent()
    const [one, other] = [as('J1-1-1.1'), as('J1-1-2.1')]
    await acquireLock('held', {}, one.around)
    await doOnce('begun', {}, one.around)
    await doOnce('finished', {}, one.around)
    doneOnce('finished', {}, one.around)
    await acquireLock('of another', {}, other.around)
    const waiting = doOnce('begun', {}, other.around)
    releaseLocksOf(folder, 'J1-1-1.1')
    await waiting
    expect(other.last()).toBe('do')
    await acquireLock('held', {}, other.around)
    await doOnce('finished', {}, other.around)
    expect(other.last()).toBe('done')
    expect(await failureOf(() => acquireLock('of another', { lockWaitTimeout: '1ms' }, one.around))).toBeInstanceOf(Failure)
    mkdirSync(join(folder, 'a folder of a job', 'within'), { recursive: true })
    execFileSync('mkfifo', [join(folder, 'a pipe of a job')])
    releaseLocksOf(folder, 'J1-1-9.1')
    expect(readdirSync(folder).filter((name) => name.includes(' '))).toEqual([])
    writeFileSync(join(folder, '.being-written'), '')
    releaseLocksOf(folder, 'J1-1-9.1')
    expect(readdirSync(folder)).toContain('.being-written')
    forgetLocks(folder)
    expect(existsSync(folder)).toBe(false)
    releaseLocksOf(folder, 'J1-1-1.1')
  })
})

it('outside a job, with another scope or without a key it says what is wrong', async () => {
  const { as } = await agent()
  expect(await failureOf(() => acquireLock('a', {}, surroundings()))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('inside a job only') })
  expect(await failureOf(() => acquireLock('a', { lockScope: 'cluster' }, as('J1-1-1.1').around))).toMatchObject({ message: expect.stringContaining('--lock-scope must be machine, not "cluster"') })
  for (const key of ['', 'x'.repeat(2000)]) expect(await failureOf(() => showLock(key, {}, as('J1-1-1.1').around))).toMatchObject({ exitCode: EXIT.usage })
})
