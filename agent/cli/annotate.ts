/** `kedge annotate` and `kedge annotation`, as scripts that were written for Buildkite call them. What they do is in `annotate-calls.ts`, imported late. */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'

export function registerAnnotate(program: Command, surroundings: Surroundings): void {
  const calls = () => import('./annotate-calls.ts')
  const placed = (command: Command) =>
    command
      .option('--context <name>', 'tells the annotations of a build apart; "default" unless it is given')
      .option('--scope <scope>', 'what it is about: build (so it is unless it says so) or job')
      .option('--job <id>', 'the job that it comes from: only the one that this runs in')

  placed(program.command('annotate').argument('[body]', 'Markdown; without it, standard input is the body'))
    .description('show something on the page of the build, from inside a job')
    .option('--style <style>', 'default, info, warning, error or success')
    .option('--append', 'put the body behind that of the annotation that is there')
    .option('--priority <number>', 'from 1 to 10; the greatest is shown first, and 3 is usual')
    .option('--redacted-vars <patterns>', 'hide the values of these variables, such as *_TOKEN,*_SECRET')
    .action(async (body, flags) => end(await (await calls()).annotateBuild(body, flags, surroundings)))

  const annotation = program.command('annotation').description('take an annotation off the page of the build, from inside a job')
  placed(annotation.command('remove'))
    .description('remove an annotation')
    .action(async (flags) => end(await (await calls()).removeAnnotation(flags, surroundings)))
}
