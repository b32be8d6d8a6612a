import { expect, it } from 'vitest'
import { pluginEnvironment, pluginList, pluginName, type Plugin } from '../../../agent/runner/plugin-environment.ts'

it.each([
  ['github.com/buildkite-plugins/docker-compose-buildkite-plugin#v5.0.0', 'docker-compose'],
  ['https://git.example/team/Cache_It-buildkite-plugin.git#main', 'cache-it'],
  ['git@git.example:team/notes.git', 'notes-git'],
  ['./.buildkite/plugins/notes/', 'notes'],
  ['github.com/team/mono/.buildkite', 'buildkite'],
  ['#', 'plugin'],
])('the plugin %s is called %s', (source, name) => {
  expect(pluginName(source)).toBe(name)
})

it('a configuration is a variable for each value, however deep, and the whole as JSON', () => {
  const configuration = { image: 'node:24', 'always-pull': true, workers: 3, off: null, volumes: ['a:b', 'c:d'], environment: [{ 'MY.NAME': 'x' }], empty: {} }
  expect(pluginEnvironment({ source: 'github.com/buildkite-plugins/docker-run-buildkite-plugin#v1', configuration })).toEqual({
    BUILDKITE_PLUGIN_NAME: 'DOCKER_RUN',
    BUILDKITE_PLUGIN_CONFIGURATION: JSON.stringify(configuration),
    BUILDKITE_PLUGIN_DOCKER_RUN_IMAGE: 'node:24',
    BUILDKITE_PLUGIN_DOCKER_RUN_ALWAYS_PULL: 'true',
    BUILDKITE_PLUGIN_DOCKER_RUN_WORKERS: '3',
    BUILDKITE_PLUGIN_DOCKER_RUN_VOLUMES_0: 'a:b',
    BUILDKITE_PLUGIN_DOCKER_RUN_VOLUMES_1: 'c:d',
    BUILDKITE_PLUGIN_DOCKER_RUN_ENVIRONMENT_0_MY_NAME: 'x',
  })
})

it('without a configuration it is an empty mapping', () => {
  expect(pluginEnvironment({ source: './notes', configuration: null })).toEqual({ BUILDKITE_PLUGIN_NAME: 'NOTES', BUILDKITE_PLUGIN_CONFIGURATION: '{}' })
})

it('the docker plugin is told that there is no terminal, unless its configuration says something', () => {
  const ttyOf = (configuration: Plugin['configuration']) => pluginEnvironment({ source: 'github.com/buildkite-plugins/docker-buildkite-plugin#v5.9.0', configuration })['BUILDKITE_PLUGIN_DOCKER_TTY']
  expect([ttyOf(null), ttyOf({ image: 'node:24' }), ttyOf({ tty: true })]).toEqual(['false', 'false', 'true'])
})

it('the list of a step names each by its source', () => {
  expect(pluginList([{ source: './a', configuration: null }, { source: './b', configuration: { c: 1 } }])).toBe('[{"./a":null},{"./b":{"c":1}}]')
})
