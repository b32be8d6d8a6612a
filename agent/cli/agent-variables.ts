/**
 * Flags that may also stand in the environment, by the variables that Buildkite's agent reads: scripts export them for all
 * calls of a command. A flag that is given wins. Those that a command reads itself are not here.
 */
import type { Command } from 'commander'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { present } from './settings.ts'

const SYMLINKS = { globResolveFollowSymlinks: 'BUILDKITE_AGENT_ARTIFACT_GLOB_RESOLVE_FOLLOW_SYMLINKS', uploadSkipSymlinks: 'BUILDKITE_ARTIFACT_UPLOAD_SKIP_SYMLINKS' }

/** By command, and there by the name that commander has for the flag. */
const VARIABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'pipeline upload': { dryRun: 'BUILDKITE_PIPELINE_UPLOAD_DRY_RUN', format: 'BUILDKITE_PIPELINE_UPLOAD_DRY_RUN_FORMAT', rejectSecrets: 'BUILDKITE_AGENT_PIPELINE_UPLOAD_REJECT_SECRETS' },
  'artifact upload': { contentType: 'BUILDKITE_ARTIFACT_CONTENT_TYPE', literal: 'BUILDKITE_AGENT_ARTIFACT_LITERAL', delimiter: 'BUILDKITE_AGENT_ARTIFACT_DELIMITER', ...SYMLINKS },
  'step get': { format: 'BUILDKITE_STEP_GET_FORMAT' },
  'step update': { append: 'BUILDKITE_STEP_UPDATE_APPEND' },
}

export function readAgentVariables(command: Command, path: string, { environment }: Surroundings): void {
  for (const [flag, variable] of Object.entries(VARIABLES[path] ?? {})) {
    const text = present(environment[variable])
    const source = command.getOptionValueSource(flag)
    if (text === undefined || (source !== undefined && source !== 'default')) continue
    const takesText = command.options.find((option) => option.attributeName() === flag)?.required === true
    command.setOptionValueWithSource(flag, takesText ? text : truthOf(text, variable), 'env')
  }
  // Of this one, unlike the others, the flag is the denial.
  const noInterpolation = path === 'pipeline upload' ? present(environment['BUILDKITE_PIPELINE_NO_INTERPOLATION']) : undefined
  if (noInterpolation !== undefined && truthOf(noInterpolation, 'BUILDKITE_PIPELINE_NO_INTERPOLATION')) command.setOptionValueWithSource('interpolation', false, 'env')
}

function truthOf(text: string, variable: string): boolean {
  if (/^(?:1|t|true)$/i.test(text)) return true
  if (/^(?:0|f|false)$/i.test(text)) return false
  throw new Failure(EXIT.usage, `${variable} must be true or false, not "${text}".`)
}
