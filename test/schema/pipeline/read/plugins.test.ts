import { expect, it } from 'vitest'
import type { Json } from '../../../../schema/pipeline/json.ts'
import { commandOf, mistakesOfCommand } from '../../../support/pipeline-reading.ts'

it('plugins are read in every form, in order', () => {
  const source = 'github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0'
  expect(commandOf({ plugins: [{ [source]: { image: 'alpine' } }, { './local': null }] }).plugins).toEqual([{ source, configuration: { image: 'alpine' } }, { source: './local', configuration: null }])
  expect(commandOf({ plugins: [source] }).plugins).toEqual([{ source, configuration: null }])
  expect(commandOf({ plugins: { [source]: null, b: {} } }).plugins).toEqual([{ source, configuration: null }, { source: 'b', configuration: {} }])
  expect(commandOf({ plugins: null }).plugins).toEqual([])
})

it.each<[Json, string]>([
  ['docker', 'plugins: this is a list of plugins, such as [docker#v5.9.0], not "docker".'],
  [[''], 'plugins.0: the source of this plugin is empty. (A variable that is not set becomes empty.)'],
  [[{}], 'plugins.0: this names no plugin; write its source, such as docker#v5.9.0.'],
  [[{ a: null, b: null }], 'plugins.0: these are 2 plugins in one item of the list; put "- " before each. (Or the configuration is not indented.)'],
  [[['a']], 'plugins.0: a plugin is its source, or a mapping of that to its configuration, not a list.'],
  [[{ a: 'x' }], 'plugins.0.a: the configuration of a plugin is a mapping, not "x".'],
  [[{ a: { b: ['x\0'] } }], 'plugins.0.a: a NUL character cannot stand in the configuration of a plugin, which becomes variables; take it out.'],
  [[null], 'plugins.0: this item of the list is empty; take it away.'],
])('plugins %j are refused', (plugins, message) => {
  expect(mistakesOfCommand({ plugins })).toEqual([message])
})
