/** `kedge pipeline`: names, flags and help. What it does is in `pipeline-upload.ts` and `pipeline-check.ts`, imported late. */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'

export function registerPipeline(program: Command, surroundings: Surroundings): void {
  const pipeline = program.command('pipeline').description('check pipeline files, and upload steps from inside a job')

  pipeline
    .command('upload')
    .argument('[file]', 'pipeline file; "-" or a pipe is standard input; without it .kedge/pipeline.yml or .buildkite/pipeline.yml')
    .description('bring steps into the build, behind the step that runs this')
    .option('--replace', 'in place of all steps of the build that have not begun (BUILDKITE_PIPELINE_REPLACE)')
    .option('--dry-run', 'print what would be uploaded, and upload nothing')
    .option('--format <json|yaml>', 'of --dry-run', 'json')
    .option('--no-interpolation', 'leave variables as they are written')
    .option('--git-diff-base <commit>', 'what "if_changed" compares with (BUILDKITE_GIT_DIFF_BASE; the default branch)')
    .option('--changed-files-path <file>', 'what has changed, a path on each line, instead of what git says (BUILDKITE_CHANGED_FILES_PATH)')
    .option('--reject-secrets', 'refuse a pipeline that holds the value of a variable such as X_TOKEN or X_PASSWORD')
    .option('--job <id>', 'the job itself; another is refused')
    .option('--apply-if-changed', 'taken and not needed: "if_changed" is always heeded')
    .option('--fetch-diff-base', 'likewise: what is compared with is fetched where it is not there')
    .option('--allow-secrets', 'likewise: only --reject-secrets looks for them')
    .option('--reject-parse-warnings', 'likewise: every mistake is refused')
    .action(async (file, flags) => end(await (await import('./pipeline-upload.ts')).uploadPipeline(file, flags, surroundings)))

  pipeline
    .command('check')
    .argument('[file]', 'as for upload')
    .description('say what would run, and every mistake by its place; needs no coordinator')
    .option('--env <NAME=VALUE>', 'a variable to fill in; may be repeated', (value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
    .option('--known <key>', 'a step that the build has from another file; may be repeated', (value: string, before: readonly string[] | undefined) => [...(before ?? []), value])
    .option('--no-interpolation', 'leave variables as they are written')
    .option('--json', 'answer with one line of JSON')
    .action(async (file, flags) => end(await (await import('./pipeline-check.ts')).checkPipeline(file, flags, surroundings)))
}
