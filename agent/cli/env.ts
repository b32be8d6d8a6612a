/** `kedge env`, as scripts that were written for Buildkite call it. What it does is in `env-calls.ts`, imported late. */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'

export function registerEnv(program: Command, surroundings: Surroundings): void {
  const calls = () => import('./env-calls.ts')
  const env = program.command('env').description("see and change a job's environment, from inside it")

  env.command('get')
    .argument('[names...]', 'without any, all')
    .description('print variables as later phases of the job will have them; exit status 1 if one is not set')
    .option('--format <format>', 'plain, json or json-pretty; plain unless it is given')
    .action(async (names, flags) => end((await calls()).getEnv(names, flags, surroundings)))

  env.command('dump')
    .description('print the environment of this very process as JSON')
    .option('--format <format>', 'json or json-pretty; json unless it is given')
    .action(async (flags) => end((await calls()).dumpEnv(flags, surroundings)))

  const changing = (command: Command) =>
    command
      .option('--input-format <format>', 'plain or json; plain unless it is given')
      .option('--output-format <format>', 'plain, json, json-pretty or quiet; plain unless it is given')

  changing(env.command('set'))
    .argument('[variables...]', 'each as NAME=value; "-" reads them from standard input, one a line')
    .description('set variables for the later phases of the job: its hooks, and its command if this is a hook')
    .action(async (given, flags) => end((await calls()).setEnv(given, flags, surroundings)))

  changing(env.command('unset'))
    .argument('[names...]', '"-" reads them from standard input, one a line')
    .description('unset variables for the later phases of the job')
    .action(async (given, flags) => end((await calls()).unsetEnv(given, flags, surroundings)))
}
