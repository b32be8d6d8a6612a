/** `kedge step` and `kedge build cancel`, as scripts that were written for Buildkite call them: names, flags and help. What they do is in `step-calls.ts`, imported late. */
import { InvalidArgumentError, type Command } from 'commander'
import { end, type Surroundings } from './output.ts'

/** `build` is the command that people start builds with. */
export function registerStep(program: Command, surroundings: Surroundings): void {
  const calls = () => import('./step-calls.ts')
  const step = program.command('step').description('look at, change and cancel steps of a build, from inside a job')
  const command = (line: string) => step.command(line).option('--step <key-or-id>', "the step; without it the job's own (BUILDKITE_STEP_ID)").option('--build <id>', "the job's own build; another is refused")

  command('get')
    .argument('[attribute]', 'id, key, label, type, state or outcome; without it all of them')
    .description('print an attribute of a step')
    .option('--format <json>', 'print it as JSON')
    .action(async (attribute, flags) => end(await (await calls()).getStep(attribute, flags, surroundings)))

  command('update')
    .argument('<attribute>', 'label or priority')
    .argument('[value]', 'without it, standard input is the value')
    .description('change an attribute of a step')
    .option('--append', 'put the value behind the one that is there')
    .option('--redacted-vars <patterns>', 'hide the values of these variables, such as *_TOKEN,*_SECRET')
    .action(async (attribute, value, flags) => end(await (await calls()).updateStep({ attribute, value }, flags, surroundings)))

  command('cancel')
    .description('cancel the jobs of a step that are not finished')
    .option('--force', 'taken and not needed: a job that does not end is killed after ten seconds')
    .option('--force-grace-period-seconds <n>', 'likewise', seconds)
    .action(async (flags) => end(await (await calls()).cancelStep(flags, surroundings)))

  program.commands
    .find((one) => one.name() === 'build')
    ?.command('cancel')
    .description('cancel the build that this job is of, from inside a job')
    .option('--build <id>', 'the own build; another is refused')
    .action(async (flags) => end(await (await calls()).cancelBuild(flags, surroundings)))
}

function seconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a number of seconds from 0 on.')
  return Number(text)
}
