import { expect, it } from 'vitest'
import { VirtualTime } from './time.ts'

function world() {
  const time = new VirtualTime()
  const happened: string[] = []
  return { time, happened, say: (text: string) => () => void happened.push(`${text} at ${time.now}`) }
}

it('lets things happen in order, and at one instant as they were planned', async () => {
  const { time, happened } = world()
  const planned = Array.from({ length: 200 }, (_, n) => ({ at: (n * 7919) % 50, n }))
  for (const { at, n } of planned) time.after(at, () => happened.push(`${at}/${n}`))
  await time.run(1000, () => false)
  expect(happened).toEqual(planned.sort((one, other) => one.at - other.at || one.n - other.n).map(({ at, n }) => `${at}/${n}`))
  expect(time.steps).toBe(200)
})

it('lets nothing happen that was taken back', async () => {
  const { time, happened, say } = world()
  const takeBack = time.after(5, say('never'))
  time.after(1, takeBack)
  time.after(10, say('still'))
  await time.run(100, () => false)
  expect(happened).toEqual(['still at 10'])
})

it('lets the plans of a frozen owner happen when it thaws, and those of a dead one never', async () => {
  const { time, happened, say } = world()
  const dead = { isAlive: true, frozenUntil: 0 }
  const frozen = { isAlive: true, frozenUntil: 50 }
  time.after(15, say('of the frozen'), frozen)
  time.after(20, say('of the dead'), dead)
  time.after(20, say('of nobody'))
  time.after(60, say('of the thawed'), frozen)
  dead.isAlive = false
  await time.run(100, () => false)
  expect(happened).toEqual(['of nobody at 20', 'of the frozen at 50', 'of the thawed at 60'])
})

it('waits for every promise that a step set going before it goes on', async () => {
  const { time, happened, say } = world()
  time.after(1, () => {
    void (async () => {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
      say('set going')()
    })()
  })
  time.after(1, say('next'))
  await time.run(100, () => false)
  expect(happened).toEqual(['set going at 1', 'next at 1'])
})

it('stops at the time that it was given, and goes on from there', async () => {
  const { time, happened, say } = world()
  time.after(30, say('first'))
  time.after(70, say('second'))
  await time.run(50, () => false)
  expect([time.now, ...happened]).toEqual([50, 'first at 30'])
  await time.run(100, () => true)
  expect(happened).toEqual(['first at 30', 'second at 70'])
})

it('says so when time stands still', async () => {
  const { time } = world()
  const again = (): void => void time.after(0, again)
  time.after(2500, again)
  await expect(time.run(1_000_000, () => false)).rejects.toThrow('time stands still at 2.500 s: something goes round in a circle')
})
