/**
 * Flags that every command of Buildkite's agent takes, also those that jobs call: how much it says, and where it calls.
 * Scripts that were written for it give them, so each is taken here, and not shown in --help: they change little.
 */
import { Option, type Command } from 'commander'
import { readAgentVariables } from './agent-variables.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { present } from './settings.ts'

/** Commands with these names, and all below them. */
const INSIDE_JOBS: ReadonlySet<string> = new Set(['meta-data', 'artifact', 'step', 'annotate', 'annotation', 'env', 'lock', 'redactor', 'pipeline upload', 'build cancel'])
const LEVELS = ['debug', 'info', 'notice', 'warn', 'error', 'fatal']
/** From these on only what went wrong is said. */
const QUIET: ReadonlySet<string> = new Set(['error', 'fatal'])
/** There is nothing to switch: no colours, no HTTP/2, no profile, no experiment, and a failed call is told in one sentence anyway. */
const WITHOUT_EFFECT = ['--debug', '--debug-http', '--trace-http', '--no-color', '--no-http2', '--profile <name>', '--experiment <name>']

/** Calls `hush` before a command that is to say only what went wrong. */
export function takeAgentFlags(program: Command, surroundings: Surroundings, hush: () => void): void {
  const { environment } = surroundings
  for (const command of program.commands.flatMap((one) => insideJobs(one, one.name()))) {
    const taken = [...WITHOUT_EFFECT, '--agent-access-token <token>', '--endpoint <url>'].map((flags) => new Option(flags))
    for (const option of [...taken, new Option('--log-level <level>').choices(LEVELS)]) command.addOption(option.hideHelp())
    command.hook('preAction', (_self, action) => {
      const { logLevel, endpoint, agentAccessToken } = action.opts<{ readonly logLevel?: string; readonly endpoint?: string; readonly agentAccessToken?: string }>()
      if (QUIET.has(logLevel ?? environment['BUILDKITE_AGENT_LOG_LEVEL'] ?? '')) hush()
      refuseAnother('--endpoint', endpoint, present(environment['BUILDKITE_AGENT_ENDPOINT']))
      refuseAnother('--agent-access-token', agentAccessToken, present(environment['BUILDKITE_AGENT_ACCESS_TOKEN']))
      readAgentVariables(action, pathOf(action), surroundings)
    })
  }
}

function insideJobs(command: Command, path: string): readonly Command[] {
  return INSIDE_JOBS.has(path) ? leaves(command) : command.commands.flatMap((one) => insideJobs(one, `${path} ${one.name()}`))
}

/** Such as `artifact upload`. */
function pathOf(command: Command): string {
  const { parent } = command
  return parent === null || parent.parent === null ? command.name() : `${pathOf(parent)} ${command.name()}`
}

function leaves(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves)
}

/** A job calls the coordinator that it is of, with the token that is its own. */
function refuseAnother(flag: string, given: string | undefined, own: string | undefined): void {
  if (given !== undefined && given !== own) throw new Failure(EXIT.usage, `${flag} can only be what this job has anyway: leave it out. A job acts on its own build.`)
}
