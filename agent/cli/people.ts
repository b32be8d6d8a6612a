/** The commands of people: names, flags and help. What they do is in `builds.ts`, `build-artifacts.ts`, `unblock.ts` and `fleet.ts`, imported late. */
import { InvalidArgumentError, type Command } from 'commander'
import type { AgentAction } from './fleet.ts'
import { end, type Surroundings } from './output.ts'
import { clientOf, outputOf, reaching, type AccessFlags } from './reaching.ts'

export function registerPeople(program: Command, surroundings: Surroundings): void {
  const output = outputOf(surroundings)
  const client = (flags: AccessFlags) => clientOf(flags, surroundings)

  reaching(program.command('build'))
    .description('start a build')
    .option('--repo <path|url>', 'repository; a folder is built where it lies, at its HEAD')
    .option('--commit <sha>', 'commit to build')
    .option('--branch <name>', 'branch to build')
    .option('--command <command>', 'shell command to run; without it the pipeline of the commit, or the project’s own')
    .option('--project <slug>', 'project; without it named after the repository')
    .option('--env <NAME=VALUE>', 'environment of the command; may be repeated', gather)
    .option('--message <text>', 'shown with the build')
    .option('--priority <n>', 'greater runs earlier', whole)
    .option('--queue <name>', 'queue of the agents that may run it')
    .option('--tag <key=value>', 'tag that the agent must have; may be repeated', gather)
    .option('--timeout <seconds>', 'time limit', whole)
    .option('--follow', 'print the log as it comes; the exit code is the verdict')
    .action(async (flags) => end(await (await import('./builds.ts')).startBuild(await client(flags), flags, output)))

  reaching(program.command('builds'))
    .description('list builds, newest first')
    .option('--project <slug>', 'of one project')
    .option('--state <state>', 'in one state')
    .option('--branch <name>', 'of one branch')
    .option('--limit <n>', 'at most so many', whole)
    .action(async (flags) => end(await (await import('./builds.ts')).listBuilds(await client(flags), flags, output)))

  reaching(program.command('jobs').argument('<build>', 'PROJECT#NUMBER'))
    .description('list the jobs of a build, how they stand and why')
    .option('--project <slug>', 'project, when only a number is given')
    .action(async (build, flags) => end(await (await import('./jobs.ts')).listJobs(await client(flags), build, flags, output)))

  reaching(program.command('logs').argument('<build>', 'PROJECT#NUMBER, optionally /JOB'))
    .description('print the log of a build, or of one of its jobs: without /JOB, of the one by which it failed')
    .option('--project <slug>', 'project, when only a number is given')
    .option('--attempt <n>', 'an earlier attempt')
    .option('--follow', 'until the build has ended; the exit code is its verdict')
    .action(async (build, flags) => end(await (await import('./builds.ts')).showLogs(await client(flags), build, flags, output)))

  reaching(program.command('artifacts').argument('<build>', 'PROJECT#NUMBER, optionally /JOB'))
    .description('list what the jobs of a build uploaded, or download it')
    .option('--project <slug>', 'project, when only a number is given')
    .option('--download <query>', 'those of these paths, in which "*" is any text, also over "/"; put quotes around it')
    .option('--to <folder>', 'where they go, in folders as their paths have them (default: here)')
    .action(async (build, flags) => end(await (await import('./build-artifacts.ts')).buildArtifacts(await client(flags), build, flags, output)))

  reaching(program.command('cancel').argument('<build>', 'PROJECT#NUMBER'))
    .description('cancel a build')
    .option('--project <slug>', 'project, when only a number is given')
    .action(async (build, flags) => end(await (await import('./builds.ts')).cancelBuild(await client(flags), build, flags, output)))

  reaching(program.command('retry').argument('<build>', 'PROJECT#NUMBER, optionally /JOB'))
    .description('run the finished jobs of a build again, or one of them')
    .option('--project <slug>', 'project, when only a number is given')
    .option('--failed', 'only those that did not pass')
    .action(async (build, flags) => end(await (await import('./builds.ts')).retryBuild(await client(flags), build, flags, output)))

  reaching(program.command('unblock').argument('<build>', 'PROJECT#NUMBER').argument('[step]', 'key or number of the block; may be left out when only one asks'))
    .description('let a block of a build pass, with answers to its fields')
    .option('--project <slug>', 'project, when only a number is given')
    .option('--field <KEY=VALUE>', 'an answer; may be repeated, also for several options of one field', gather)
    .action(async (build, step, flags) => end(await (await import('./unblock.ts')).unblockBuild(await client(flags), { build, step }, flags, output)))

  const agents = reaching(program.command('agents'))
    .description('list agents, what they run, and why they do not; drain, resume or revoke one')
    .action(async (flags) => end(await (await import('./fleet.ts')).listAgents(await client(flags), flags, output)))
  const change = (action: AgentAction, description: string): void => {
    reaching(agents.command(action).argument('<agent>', 'its name, or its id'))
      .description(description)
      .action(async (named, _, command) => {
        const flags = command.optsWithGlobals()
        return end(await (await import('./fleet.ts')).changeAgent(await client(flags), action, named, flags, output))
      })
  }
  change('drain', 'let it finish what it runs and take no more, until it is resumed')
  change('resume', 'let a drained one take jobs again')
  change('revoke', 'never let it in again')

  const token = program.command('token').description('make, list and revoke tokens')
  reaching(token.command('create'))
    .description('make a token; it is shown once')
    .option('--kind <registration|api>', 'registration lets agents join, api is for people and scripts', 'api')
    .option('--name <text>', 'to recognise it by')
    .option('--scope <read|build|admin>', 'of an API token')
    .option('--life <seconds>', 'how long it lasts', whole)
    .option('--uses <n>', 'how many agents may join with it', whole)
    .action(async (flags) => end(await (await import('./fleet.ts')).createToken(await client(flags), flags, output)))
  reaching(token.command('list'))
    .description('list tokens')
    .action(async (flags) => end(await (await import('./fleet.ts')).listTokens(await client(flags), flags, output)))
  reaching(token.command('revoke').argument('<id>'))
    .description('end a token')
    .action(async (id, flags) => end(await (await import('./fleet.ts')).revokeToken(await client(flags), id, flags, output)))

  reaching(program.command('login'))
    .description('print a link that signs you in to the pages, once')
    .action(async (flags) => end(await (await import('./fleet.ts')).signInLink(await client(flags), flags, output)))
}

function gather(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

function whole(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}
