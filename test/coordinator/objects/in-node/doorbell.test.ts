import { describe, expect, it } from 'vitest'
import { Doorbell, type Attached } from '../../../../coordinator/objects/doorbell.ts'
import type { AgentId } from '../../../../schema/job.ts'
import { TestCluster } from '../../../support/cluster.ts'

/** A cluster whose agents are all idle behind an open doorbell, and what they were rung, in order. */
function house(...names: readonly string[]) {
  const test = new TestCluster()
  test.project()
  const rung: string[] = []
  const waiting: (() => void)[] = []
  const agents = names.map((name) => test.agent(name))
  for (const agent of agents) agent.join()
  const attached = agents.map((agent): Attached => ({ agent: agent.id, queue: 'default', tags: [], send: () => void rung.push(agent.offer.name) }))
  const doorbell = new Doorbell(() => attached, (call) => void waiting.push(call))
  return {
    rung,
    doorbell,
    memory: () => test.cluster.memory,
    idOf: (name: string): AgentId => agents[names.indexOf(name)]?.id ?? ('' as AgentId), // one of them
    build: () => {
      test.effects.length = 0
      test.build()
      doorbell.follow(test.effects, test.cluster.memory)
    },
    ring: (name: string) => doorbell.follow([{ kind: 'ring', agent: agents[names.indexOf(name)]?.id ?? ('' as AgentId) }], test.cluster.memory),
    /** The time to repeat a ring passes. */
    pass: () => {
      for (const call of waiting.splice(0)) call()
    },
  }
}

describe('the doorbell', () => {
  it('rings one idle agent for one job, and another for the next', () => {
    const { rung, build } = house('anne', 'ben')
    build()
    build()
    expect(rung).toEqual(['anne', 'ben'])
  })

  it('rings somebody else when the first does not answer: it may be frozen behind an open socket [I7]', () => {
    const { rung, build, pass, doorbell, idOf } = house('anne', 'ben', 'carl')
    build()
    pass()
    expect(rung).toEqual(['anne', 'ben', 'anne'])
    doorbell.answered(idOf('ben'))
    pass()
    expect(rung).toEqual(['anne', 'ben', 'anne', 'anne'])
  })

  it('goes on to the next until one answers', () => {
    const { rung, build, pass } = house('anne', 'ben', 'carl')
    build()
    pass()
    pass()
    expect(rung).toContain('carl')
  })

  it('passes on what whoever answered did not take, to each once', () => {
    const { rung, build, doorbell, memory, idOf } = house('anne', 'ben', 'carl')
    build()
    for (const name of ['anne', 'ben', 'carl']) {
      const call = doorbell.answered(idOf(name))
      expect(call).not.toBeNull()
      if (call !== null) doorbell.ringNext(call, memory())
    }
    expect(rung).toEqual(['anne', 'ben', 'carl'])
  })

  it('rings those last that answered none of their rings, until they are heard again', () => {
    const { rung, build, pass, doorbell, idOf } = house('anne', 'ben')
    build()
    pass()
    doorbell.answered(idOf('ben'))
    for (let times = 0; times < 4; times += 1) pass()
    rung.length = 0
    build()
    expect(rung).toEqual(['ben'])
    doorbell.answered(idOf('ben'))
    doorbell.answered(idOf('anne'))
    rung.length = 0
    build()
    expect(rung).toEqual(['anne'])
  })

  it('rings nobody else for what is one agent\'s own affair, and repeats it three times', () => {
    const { rung, ring, pass } = house('anne', 'ben')
    ring('anne')
    for (let times = 0; times < 6; times += 1) pass()
    expect(rung).toEqual(['anne', 'anne', 'anne', 'anne'])
  })
})
