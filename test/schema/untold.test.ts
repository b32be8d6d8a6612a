import { expect, it } from 'vitest'
import type { NotificationView } from '../../schema/api.ts'
import { untold } from '../../schema/untold.ts'

const view = (over: Partial<NotificationView> = {}): NotificationView => ({ kind: 'commit_status', name: 'ci', step: null, told: null, to_tell: null, problem: null, ...over })

it('nothing is said of what was told', () => {
  expect(untold([view(), view({ told: 'success' })])).toEqual([])
})

it('one reason is said once, whomever it keeps from hearing', () => {
  expect(untold([view({ problem: 'x answered 401' })])).toEqual(['the commit status "ci" could not be told: x answered 401.'])
  expect(untold([...'abcdef'].map((name) => view({ name, problem: 'x answered 401' })))).toEqual(['6 commit statuses "a", "b", "c", "d" and others could not be told: x answered 401.'])
})

it('what is tried again says so, apart from what is not', () => {
  const hook = view({ kind: 'webhook', name: 'example.com', problem: 'example.com answered 500' })
  expect(untold([{ ...hook, to_tell: 'passed' }, hook])).toEqual(['the webhook at example.com could not be told: example.com answered 500. It is tried again.', 'the webhook at example.com could not be told: example.com answered 500.'])
})
