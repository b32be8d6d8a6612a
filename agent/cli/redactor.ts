/** `kedge redactor`, as scripts that were written for Buildkite call it. What it does is in `redactor-calls.ts`, imported late. */
import type { Command } from 'commander'
import type { Surroundings } from './output.ts'

export function registerRedactor(program: Command, surroundings: Surroundings): void {
  program
    .command('redactor')
    .description("hide values in a job's log, from inside it")
    .command('add')
    .argument('[file]', 'without it, standard input is read')
    .description('hide a value in what the job prints from now on')
    .option('--format <format>', 'none: the whole text, without white space around it; json: each value of an object; none unless it is given')
    .action(async (file, flags) => {
      process.exitCode = (await import('./redactor-calls.ts')).addRedactions(file, flags, surroundings)
    })
}
