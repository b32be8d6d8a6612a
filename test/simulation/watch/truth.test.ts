import { expect, it } from 'vitest'
import { VirtualTime } from '../time.ts'
import { Truth } from './truth.ts'

function fresh() {
  const time = new VirtualTime()
  const nobody = (): never => {
    throw new Error('nobody asks for it')
  }
  return { time, truth: new Truth(time, () => [], nobody) }
}

const rules = ({ violations }: Truth) => violations.map(({ rule }) => rule)

it('keeps what is found within an event when the event commits, and not when it is undone', () => {
  const { truth } = fresh()
  truth.beginEvent()
  truth.violate('I4', 'in an event that never happened')
  truth.endEvent('undone')
  truth.beginEvent()
  truth.violate('I2', 'in an event')
  expect(rules(truth)).toEqual([])
  truth.endEvent('committed')
  truth.violate('I5', 'outside of any')
  expect(rules(truth)).toEqual(['I2', 'I5'])
})

it('forgets what the rows of an undone event told, back to what was known before', () => {
  const { truth } = fresh()
  truth.beginEvent()
  truth.learn(truth.pins, '1-1', 'first')
  truth.endEvent('committed')
  truth.beginEvent()
  truth.learn(truth.pins, '1-1', 'second')
  truth.learn(truth.pins, '1-1', 'third')
  truth.learn(truth.pins, '1-2', 'new')
  truth.newlyGiven.push('J1-1-1.1')
  expect(truth.hasLearnt()).toBe(true)
  truth.endEvent('undone')
  expect([...truth.pins]).toEqual([['1-1', 'first']])
  expect(truth.newlyGiven).toEqual([])
  expect(truth.hasLearnt()).toBe(false)
})

it('knows for how long nothing has been wrong with all who are asked for', async () => {
  const { time, truth } = fresh()
  expect(truth.quietFor('agent-1')).toBe(Infinity)
  truth.fault('agent-1', 1000)
  truth.fault('agent-1', 10)
  truth.fault('coordinator')
  time.after(5000, () => undefined)
  await time.run(5000, () => false)
  expect([truth.quietFor('coordinator'), truth.quietFor('agent-1', 'coordinator'), truth.quietFor('agent-2')]).toEqual([5000, 4000, Infinity])
})
