/**
 * The command line. Each command is a file that says its name and flags here and imports what it does late, so that
 * `kedge --help` is there at once. Only this file touches the process: its arguments, environment, signals and exit code.
 */
import { fstatSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { Command, CommanderError } from 'commander'
import { VERSION } from '../../schema/version.ts'
import { takeAgentFlags } from './agent-flags.ts'
import { registerAgent } from './agent.ts'
import { registerAnnotate } from './annotate.ts'
import { registerArtifact } from './artifact.ts'
import { registerDev } from './dev.ts'
import { registerEnv } from './env.ts'
import { registerLater } from './later.ts'
import { registerLock } from './lock.ts'
import { registerMetaData } from './meta-data.ts'
import { registerPeople } from './people.ts'
import { registerPipeline } from './pipeline.ts'
import { registerRedactor } from './redactor.ts'
import { registerStep } from './step.ts'
import { didYouMean } from '../../schema/nearest.ts'
import { assertNode } from './node-version.ts'
import { errorLine, EXIT, Failure, oneLine, type ExitCode, type Surroundings } from './output.ts'

/** In the order of `--help`, below these headings. */
const COMMANDS: Readonly<Record<string, readonly ((program: Command, surroundings: Surroundings) => void)[]>> = {
  'On a machine:': [registerDev, registerAgent],
  'For people and scripts:': [registerPeople, registerPipeline, registerMetaData],
  'Inside a job, also as buildkite-agent:': [registerArtifact, registerStep, registerAnnotate, registerEnv, registerLock, registerRedactor],
  'To come:': [registerLater],
}

const HELP = `
Examples:
  kedge dev                                            try it: a coordinator and an agent
  kedge pipeline check                                 what the pipeline of this folder would run
  kedge build --repo . --follow                        build its HEAD; the exit code is the verdict
  kedge jobs app#12                                    the jobs of a build, and why they wait or failed
  kedge logs app#12/3                                  what one of them printed
  kedge agent --url https://ci.example.com --tag os=mac

Exit codes: 0 passed or done, 1 the build failed, 2 usage or bad input, 3 canceled,
4 the coordinator cannot be reached, 5 not allowed.`

let isHushed = false

const surroundings: Surroundings = {
  environment: process.env,
  folder: process.cwd(),
  home: homedir(),
  os: process.platform,
  self: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  input: { isPiped: () => !process.stdin.isTTY && isPipe(0), read: () => readFileSync(0) },
  print: (line) => void process.stdout.write(`${line}\n`),
  write: (text) => void process.stdout.write(text),
  note: (line) => {
    if (!isHushed) complain(line)
  },
  excerpt: (text) => void process.stderr.write(`${text}\n`),
  onStop: (call) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, call)
  },
  onParent: (call) => {
    if (process.channel === undefined || process.channel === null) return
    process.on('message', (message) => {
      if (message === 'stop') call('stop')
    })
    process.once('disconnect', () => call('gone'))
  },
  exit: (code) => process.exit(code),
}
// Whoever read our output is gone (`kedge builds | head`): no reason for a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed))
process.stderr.on('error', () => {})

const program = new Command('kedge')
  .description('CI whose coordinator is a Cloudflare Worker and whose agents are machines you own')
  .version(VERSION)
  .configureOutput({ outputError: () => {} }) // said below, as every other error
  .exitOverride()
  .helpCommand(false)
for (const [heading, registers] of Object.entries(COMMANDS)) {
  program.commandsGroup(heading)
  for (const register of registers) register(program, surroundings)
}
program.addHelpText('after', HELP)
takeAgentFlags(program, surroundings, () => (isHushed = true))

try {
  assertNode(process.versions.node)
  assertKnown(process.argv[2])
  if (process.argv.length <= 2) program.outputHelp()
  else await program.parseAsync(process.argv)
} catch (error) {
  process.exitCode = report(error)
  if (process.exitCode !== EXIT.ok) process.exit()
}

function assertKnown(word: string | undefined): void {
  if (word === undefined || word.startsWith('-')) return
  const names = program.commands.map((command) => command.name())
  if (!names.includes(word)) throw new Failure(EXIT.usage, `there is no command "${word}"${didYouMean(word, names) || '.'} "kedge --help" lists them.`)
}

/** Something is sent, by another program or from a file; `/dev/null`, which jobs have, sends nothing. */
function isPipe(descriptor: number): boolean {
  const stat = fstatSync(descriptor)
  return stat.isFIFO() || stat.isFile() || stat.isSocket()
}

/** Looked at in the arguments themselves: they may be what is wrong. */
function isJsonAsked(): boolean {
  const end = process.argv.indexOf('--')
  return process.argv.slice(2, end < 0 ? undefined : end).includes('--json')
}

function complain(line: string): void {
  process.stderr.write(`kedge: ${oneLine(line)}\n`)
}

function say(exitCode: ExitCode, message: string): ExitCode {
  complain(message)
  if (isJsonAsked()) surroundings.print(errorLine(exitCode, message))
  return exitCode
}

function report(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok // --help, --version
    if (error.code === 'commander.help') return EXIT.usage // a group of commands without one of them: help was printed
    const sentence = error.message.replace(/^error: /, '').replace(/\s*\(Did you mean (.*?)\?\)/, '; did you mean $1?').replace(/[.\s]+$/, '')
    return say(EXIT.usage, `${sentence}${sentence.endsWith('?') ? '' : '.'} Add --help to see what there is.`)
  }
  if (error instanceof Failure) return say(error.exitCode, error.message)
  say(EXIT.failed, `something went wrong that nobody foresaw: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`)
  return EXIT.failed
}
