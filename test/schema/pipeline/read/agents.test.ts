import { expect, it } from 'vitest'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

const wanted = (agents: Parameters<typeof commandOf>[0][string]) => {
  const { queue, tags } = commandOf({ agents })
  return { queue, tags }
}

it('agents are chosen by a mapping or by a list', () => {
  expect(wanted({ queue: 'deploy', os: 'linux', gpu: 1, fast: true })).toEqual({ queue: 'deploy', tags: ['fast=true', 'gpu=1', 'os=linux'] })
  expect(wanted(['queue=deploy', 'os=linux'])).toEqual({ queue: 'deploy', tags: ['os=linux'] })
  expect(wanted(['os=linux', 'os=linux', 'zone=b', 'zone=a'])).toEqual({ queue: null, tags: ['os=linux', 'zone=a', 'zone=b'] })
  expect(commandOf({ agent_query_rules: ['os=linux'] }).tags).toEqual(['os=linux'])
})

it('a tag without a value asks for any', () => {
  expect(wanted({ postgres: '*' }).tags).toEqual(['postgres=*'])
  expect(wanted({ postgres: null, gpu: '' }).tags).toEqual(['gpu=*', 'postgres=*'])
  expect(wanted(['postgres', 'gpu=']).tags).toEqual(['gpu=*', 'postgres=*'])
})

it('values of the matrix may stand in them', () => {
  expect(wanted({ queue: 'builders-{{ matrix.arch }}', os: '{{matrix.os}}' })).toEqual({ queue: 'builders-{{ matrix.arch }}', tags: ['os={{matrix.os}}'] })
})

it.each([
  ['linux', 'agents: this is a mapping such as { queue: deploy, os: linux }, not "linux".'],
  [{ queue: '' }, 'agents.queue: the name of the queue is empty; write one, or leave it out for the default queue. (A variable that is not set becomes empty.)'],
  [{ queue: 'a b' }, 'agents.queue: "a b" cannot be a queue: letters, digits, "_", "." and "-" only, at most 64.'],
  [{ postgres: '1.9*' }, 'agents.postgres: a part of a tag\'s value cannot be "*", as in "1.9*": write it in full, or "*" alone for any.'],
  [{ os: 'my os' }, 'agents.os: "os=my os" cannot be the tag of an agent: at most 64 letters, digits, "_", "." and "-", then "=" and a value of at most 128 characters without spaces and "=".'],
  [{ os: ['linux'] }, 'agents.os: this is text, not a list.'],
  [['queue=a', 'queue=b'], 'agents: these are 2 queues; a job waits in one.'],
  [['os=linux', null], 'agents.1: this item of the list is empty; take it away.'],
])('agents %j are refused', (agents, message) => {
  expect(mistakesOfCommand({ agents })).toEqual([message])
})
