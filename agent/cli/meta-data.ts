/**
 * `kedge meta-data`, as scripts that were written for Buildkite call it in jobs, and as people do with a build: names,
 * flags and help. What it does is in `meta-data-calls.ts` and `build-meta-data.ts`, imported late.
 */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'
import { clientOf, outputOf, reaching } from './reaching.ts'

export function registerMetaData(program: Command, surroundings: Surroundings): void {
  const calls = () => import('./meta-data-calls.ts')
  const metaData = reaching(program.command('meta-data').enablePositionalOptions().argument('[build]', 'PROJECT#NUMBER').argument('[key]', 'the value of this one alone, as it is'))
    .description('what the jobs of a build tell each other: of any build, or with a command of its own from inside a job')
    .option('--project <slug>', 'project, when only a number is given')
    .action(async (build, key, flags) => (build === undefined ? metaData.help({ error: true }) : end(await (await import('./build-meta-data.ts')).buildMetaData(await clientOf(flags, surroundings), { build, key }, flags, outputOf(surroundings)))))
  /** Another is refused with a sentence: the token of a job opens its own build and no other. */
  const command = (line: string) => metaData.command(line).option('--job <id>', 'the job itself; another is refused').option('--build <id>', "the job's own build; another is refused")

  command('set')
    .argument('<key>')
    .argument('[value]', 'without it, or with "-", standard input is the value')
    .description('set a value of the build, in the place of the one before')
    .option('--redacted-vars <patterns>', 'hide the values of these variables, such as *_TOKEN,*_SECRET')
    .action(async (key, value, flags) => end(await (await calls()).setMetaData({ key, value }, flags, surroundings)))

  command('get')
    .argument('<key>')
    .description('print a value of the build as it is, without a line end; exit status 1 if there is none')
    .option('--default <value>', 'print this if there is none')
    .action(async (key, flags) => end(await (await calls()).getMetaData(key, flags, surroundings)))

  command('exists')
    .argument('<key>')
    .description('exit status 0 if the build has a value for the key, and 100 if not')
    .action(async (key, flags) => end(await (await calls()).existsMetaData(key, flags, surroundings)))

  command('keys')
    .description('print the keys that have values, one a line')
    .action(async (flags) => end(await (await calls()).metaDataKeys(flags, surroundings)))
}
