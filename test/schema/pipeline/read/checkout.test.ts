import { expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

it('a checkout is as the agent does it, but for what is said', () => {
  expect(commandOf({}).checkout).toEqual({ skip: false, submodules: null, lfs: null, fresh: false })
  expect(commandOf({ checkout: { skip: 'true', submodules: false, lfs: true, fresh: true } }).checkout).toEqual({ skip: true, submodules: false, lfs: true, fresh: true })
})

it.each(['depth', 'sparse', 'flags', 'ssh_secret', 'commit_verification'])('%s is refused with a reason', (name) => {
  expect(mistakesOfCommand({ checkout: { [name]: 1 } })).toEqual([expect.stringMatching(new RegExp(`^checkout\\.${name}: \\(unsupported\\) Kedge .*Take "${name}" away`))])
})

it.each<[Json, string]>([
  [false, 'checkout: write { skip: true } instead of false.'],
  [true, 'checkout: write { skip: false } instead of true.'],
  ['none', 'checkout: this is a mapping such as { skip: true }, not "none".'],
  [{ skip: 'maybe' }, 'checkout.skip: this is true or false, not "maybe".'],
  [{ submodule: true }, 'checkout.submodule: "checkout" has no "submodule"; did you mean "submodules"?'],
])('checkout %j is refused', (checkout, message) => {
  expect(mistakesOfCommand({ checkout })).toEqual([message])
})
