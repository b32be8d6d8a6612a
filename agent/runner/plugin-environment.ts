/**
 * What a plugin is called, and the variables in which its hooks find their configuration: the names and forms that
 * plugins written for Buildkite's agent read.
 */
import type { JobSpec } from '../../schema/sync.ts'

export type Plugin = NonNullable<JobSpec['plugins']>[number]

/** `docker-compose` for `github.com/buildkite-plugins/docker-compose-buildkite-plugin#v5`. */
export function pluginName(source: string): string {
  const last = (source.split('#', 1)[0] ?? '').replace(/[/\\]+$/, '').split(/[/\\]/).at(-1) ?? ''
  return last.toLowerCase().replace(/^\.+/, '').replace(/[^a-z0-9]+/g, '-').replaceAll('-buildkite-plugin-git', '').replaceAll('-buildkite-plugin', '') || 'plugin'
}

/** Plugins that ask for a terminal unless their configuration says otherwise; no job has one, so that docker would refuse to start. */
const WITHOUT_TERMINAL: Readonly<Record<string, Readonly<Record<string, string>>>> = { DOCKER: { BUILDKITE_PLUGIN_DOCKER_TTY: 'false' } }

/** For the hooks of this plugin alone. Values within lists and mappings have a variable each; null has none. */
export function pluginEnvironment({ source, configuration }: Plugin): Readonly<Record<string, string>> {
  const name = variable(pluginName(source))
  return { ...WITHOUT_TERMINAL[name], BUILDKITE_PLUGIN_NAME: name, BUILDKITE_PLUGIN_CONFIGURATION: JSON.stringify(configuration ?? {}), ...Object.fromEntries(values(configuration, `BUILDKITE_PLUGIN_${name}`)) }
}

/** All of the step, as JSON: `BUILDKITE_PLUGINS`. */
export function pluginList(plugins: readonly Plugin[]): string {
  return JSON.stringify(plugins.map(({ source, configuration }) => ({ [source]: configuration })))
}

function values(value: unknown, prefix: string): readonly (readonly [string, string])[] {
  if (value === null || value === undefined) return []
  if (typeof value === 'object') return Object.entries(value).flatMap(([key, one]) => values(one, `${prefix}_${variable(key)}`)) // of a list, the keys are 0, 1, 2
  return [[prefix, String(value)]]
}

function variable(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}
