import { expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

it('secrets are read in every form', () => {
  expect(commandOf({ secrets: ['API_KEY', 'db'] }).secrets).toEqual({ API_KEY: 'API_KEY', db: 'db' })
  expect(commandOf({ secrets: { MY_KEY: 'API_KEY' } }).secrets).toEqual({ MY_KEY: 'API_KEY' })
  expect(commandOf({ secrets: [{ key: 'API_KEY', environment_variable: 'MY_KEY' }, { key: 'db' }] }).secrets).toEqual({ MY_KEY: 'API_KEY', db: 'db' })
})

it.each<[Json, string]>([
  ['API_KEY', 'secrets: this is a list of names, or a mapping of variables to names, not "API_KEY".'],
  [['1KEY'], 'secrets.0: "1KEY" cannot be the name of a variable: letters, digits and "_", the first no digit.'],
  [{ MY_KEY: 'api-key' }, 'secrets.MY_KEY: "api-key" cannot be the name of a secret: letters, digits and "_", the first a letter, and not beginning with BUILDKITE, BK or KEDGE.'],
  [{ BUILDKITE_X: 'API_KEY' }, 'secrets.BUILDKITE_X: a secret cannot be in the variable "BUILDKITE_X": those that begin with BUILDKITE, BK or KEDGE are set by the agent.'],
  [{ MY_KEY: null }, 'secrets.MY_KEY: the name of the secret is missing.'],
  [['A', 'A'], 'secrets.1: two secrets would be in the variable "A"; take one of them away.'],
  [[{ environment_variable: 'A' }], 'secrets.0: this does not say which secret: give "key" its name.'],
  [[{ key: 'A', env: 'B' }], 'secrets.0.env: a secret has no "env"; it has key, environment_variable.'],
  [[null], 'secrets.0: this item of the list is empty; take it away.'],
])('secrets %j are refused', (secrets, message) => {
  expect(mistakesOfCommand({ secrets })).toContain(message)
})
