/** Flags that scripts for Buildkite give any command of its agent. */
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { takeAgentFlags } from '../../../agent/cli/agent-flags.ts'
import { EXIT } from '../../../agent/cli/output.ts'
import { surroundings } from '../../support/surroundings.ts'

/** Runs one; the answer is what it did. */
async function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const done: string[] = []
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} })
  for (const [group, name] of [['meta-data', 'get'], ['pipeline', 'upload'], ['pipeline', 'check']] as const) {
    const parent = program.commands.find((one) => one.name() === group) ?? program.command(group)
    parent.command(name).argument('[word]').action((word: string) => void done.push(`${name} ${word}`))
  }
  takeAgentFlags(program, surroundings({ environment }), () => void done.push('hushed'))
  await program.parseAsync(['node', 'kedge', ...args])
  return done
}

it('are taken and change nothing', async () => {
  for (const flag of ['--debug', '--debug-http', '--trace-http', '--no-color', '--no-http2', '--log-level=info', '--experiment=x', '--profile=cpu']) expect(await run(['meta-data', 'get', flag, 'k'])).toEqual(['get k'])
  expect(await run(['pipeline', 'upload', 'f', '--debug', '--no-color'])).toEqual(['upload f'])
})

it('--log-level error and fatal, or the variable of it, hush all but failures', async () => {
  expect(await run(['meta-data', 'get', 'k', '--log-level', 'error'])).toEqual(['hushed', 'get k'])
  expect(await run(['meta-data', 'get', 'k'], { BUILDKITE_AGENT_LOG_LEVEL: 'fatal' })).toEqual(['hushed', 'get k'])
  expect(await run(['meta-data', 'get', 'k', '--log-level', 'warn'], { BUILDKITE_AGENT_LOG_LEVEL: 'fatal' })).toEqual(['get k'])
  await expect(run(['meta-data', 'get', 'k', '--log-level', 'loud'])).rejects.toMatchObject({ code: 'commander.invalidArgument' })
})

it('name the coordinator and token of the job, or are refused without showing them', async () => {
  const own = { BUILDKITE_AGENT_ENDPOINT: 'https://ci.example', BUILDKITE_AGENT_ACCESS_TOKEN: 'kdg_job_own' }
  expect(await run(['meta-data', 'get', 'k', '--endpoint', 'https://ci.example', '--agent-access-token', 'kdg_job_own'], own)).toEqual(['get k'])
  for (const [flag, value] of [['--endpoint', 'https://other.example'], ['--agent-access-token', 'kdg_job_other']] as const) {
    await expect(run(['meta-data', 'get', 'k', flag, value], own)).rejects.toMatchObject({ exitCode: EXIT.usage, message: `${flag} can only be what this job has anyway: leave it out. A job acts on its own build.` })
  }
})

it("are none of a command that is Kedge's alone", async () => {
  await expect(run(['pipeline', 'check', '--debug'])).rejects.toMatchObject({ code: 'commander.unknownOption' })
})

describe('variables in place of flags', () => {
  async function flagsOf(group: string, name: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<unknown> {
    let flags: unknown
    const program = new Command().exitOverride().configureOutput({ writeErr: () => {} })
    program.command(group).command(name).option('--literal').option('--delimiter <text>', '', ';').option('--content-type <type>').option('--no-interpolation').action((given) => (flags = given))
    takeAgentFlags(program, surroundings({ environment }), () => undefined)
    await program.parseAsync(['node', 'kedge', group, name, ...args])
    return flags
  }

  it('are those of the command, and a flag that is given wins', async () => {
    const environment = { BUILDKITE_AGENT_ARTIFACT_LITERAL: 'true', BUILDKITE_AGENT_ARTIFACT_DELIMITER: ',', BUILDKITE_ARTIFACT_CONTENT_TYPE: 'text/plain', BUILDKITE_PIPELINE_NO_INTERPOLATION: 'true' }
    expect(await flagsOf('artifact', 'upload', ['--content-type', 'text/html'], environment)).toMatchObject({ literal: true, delimiter: ',', contentType: 'text/html', interpolation: true })
    expect(await flagsOf('artifact', 'upload', [], { BUILDKITE_AGENT_ARTIFACT_LITERAL: 'false' })).toMatchObject({ literal: false, delimiter: ';' })
    expect(await flagsOf('pipeline', 'upload', [], environment)).toMatchObject({ delimiter: ';', interpolation: false })
  })

  it('that are neither true nor false are refused', async () => {
    await expect(flagsOf('artifact', 'upload', [], { BUILDKITE_AGENT_ARTIFACT_LITERAL: 'maybe' })).rejects.toMatchObject({ exitCode: EXIT.usage, message: 'BUILDKITE_AGENT_ARTIFACT_LITERAL must be true or false, not "maybe".' })
  })
})
