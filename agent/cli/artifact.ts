/** `kedge artifact`, as scripts that were written for Buildkite call it: names, flags and help. What they do is in `artifact-….ts`, imported late. */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'

export function registerArtifact(program: Command, surroundings: Surroundings): void {
  const artifact = program.command('artifact').description('hand files to other jobs and to people, from inside a job')
  const searching = (line: string) =>
    artifact
      .command(line)
      .argument('<query>', 'path of an artifact; "*" is any text, also over "/"')
      .option('--step <key>', 'only of this step, by its key or label, or of this job, by its id')
      .option('--build <number>', 'of another build of this project, by its number or address')
      .option('--include-retried-jobs', 'also of jobs that were tried again, and of attempts that were lost')

  artifact
    .command('upload')
    .argument('<paths>', 'files, with ";" between: "dist/**/*;logs/*.log"; put quotes around them')
    .argument('[destination]', 'refused: artifacts go to the coordinator')
    .description('upload files as artifacts of the job')
    .option('--content-type <type>', 'of all of them; else what the end of each name says')
    .option('--literal', 'each path is one file, whatever characters it has')
    .option('--delimiter <text>', 'what stands between paths; empty: there is one', ';')
    .option('--glob-resolve-follow-symlinks', 'look into folders that are links')
    .option('--upload-skip-symlinks', 'leave out files that are links')
    .option('--job <id>', 'refused, but for the job itself')
    .action(async (paths, destination, flags) => end(await (await import('./artifact-upload.ts')).uploadArtifacts({ paths, destination }, flags, surroundings)))

  searching('download')
    .argument('<destination>', 'folder; folders are made below it as the paths have them')
    .description('download artifacts; of several of one path, the newest')
    .action(async (query, destination, flags) => end(await (await import('./artifact-download.ts')).downloadArtifacts({ query, destination }, flags, surroundings)))

  searching('search')
    .description('list artifacts; exit status 1 if there is none')
    .option('--format <text>', 'of each: %p path, %c when, %j job, %s bytes, %S SHA-1, %T SHA-256, %u address, %i id; \\n ends a line', '%j %p %c\\n')
    .option('--allow-empty-results', 'exit status 0 also if there is none')
    .action(async (query, flags) => end(await (await import('./artifact-search.ts')).searchArtifacts(query, flags, surroundings)))

  searching('shasum')
    .description('print the SHA-1 of the one artifact that is meant')
    .option('--sha256', 'its SHA-256 instead')
    .action(async (query, flags) => end(await (await import('./artifact-search.ts')).shasumOfArtifact(query, flags, surroundings)))
}
