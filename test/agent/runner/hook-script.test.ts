/** Generated scripts, run by the real `startCommand` with a real bash. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findShell } from '../../../agent/runner/command.ts'
import { hookScript, type Hook, type HookName } from '../../../agent/runner/hook-script.ts'
import { shellWord } from '../../../agent/shell-word.ts'
import { ownFolder } from '../../support/folder.ts'
import { pidsWith, uniqueSeconds, until } from '../../support/process-list.ts'
import { tryCommand, type TriedCommand } from '../../support/running-command.ts'

const bash = findShell(process.env['PATH'] ?? '')

interface Tried {
  readonly command?: string
  readonly env?: Readonly<Record<string, string>>
  readonly graceMs?: number
  readonly programs?: readonly string[]
  readonly changes?: string
  /** What stands in the place of the command `kedge`. */
  readonly upload?: string
}

/** `hooks`: by `agent pre-command`. */
async function start(hooks: Readonly<Record<string, string>>, { command = 'true', env = {}, graceMs = 10_000, programs = [], changes, upload = 'echo "uploads $*"' }: Tried = {}): Promise<TriedCommand & { readonly handover: string }> {
  const folder = await ownFolder()
  const made = Object.entries(hooks).map(([title, text]): Hook => {
    const [owner, name] = title.split(' ') as [Hook['owner'], HookName] // as the tests below write them
    const path = join(folder, "the hooks' own", owner, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, 0o755)
    return { owner, name, path, runs: programs.includes(title) ? 'program' : 'sourced' }
  })
  const handover = join(folder, 'handover')
  writeFileSync(handover, '') // as the machine has it before a job
  const kedge = join(folder, 'kedge')
  writeFileSync(kedge, `#!/bin/sh\n${upload}\n`)
  chmodSync(kedge, 0o755)
  const script = hookScript({ hooks: made.toReversed(), command, bash, handover, changes: changes ?? join(folder, 'changes'), kedge })
  return { ...(await tryCommand(script, { env: { PATH: process.env['PATH'] ?? '', ...env }, graceMs })), handover }
}

async function run(hooks: Readonly<Record<string, string>>, tried: Tried = {}): Promise<{ readonly printed: string; readonly exitStatus: number | null }> {
  const running = await start(hooks, tried)
  const { exitStatus, leftovers } = await running.ended
  expect(leftovers).toEqual([])
  expect(readFileSync(running.handover, 'utf8')).toBe('') // environments hold secrets
  return { printed: running.printed(), exitStatus }
}

/** Without the lines that say which hook runs, and what a hook's own bash may say of a child that was stopped before it. */
const said = (printed: string) => printed.split('\n').filter((line) => line !== '' && !line.startsWith('~~~ ') && !/\bTerminated\b/.test(line))

const ORDER = ['agent environment', 'agent pre-checkout', 'agent post-checkout', 'repository post-checkout', 'agent pre-command', 'repository pre-command', 'agent post-command', 'repository post-command', 'agent pre-exit', 'repository pre-exit']

describe('the order', () => {
  it('is that of the job\'s life, each hook is announced, and the status is the command\'s', async () => {
    const { printed, exitStatus } = await run(Object.fromEntries(ORDER.map((title) => [title, `echo ${title}`])), { command: 'echo command; exit 7' })
    expect(printed.split('\n')).toEqual([...ORDER.slice(0, 6).flatMap((title) => [`~~~ Running ${title} hook`, title]), '~~~ Running command', 'command', ...ORDER.slice(6).flatMap((title) => [`~~~ Running ${title} hook`, title]), ''])
    expect(exitStatus).toBe(7)
  })

  it('has a command hook in place of the command, the repository\'s before the agent\'s', async () => {
    const both = { 'agent command': 'echo agent', 'repository command': 'echo repository; exit 4' }
    expect(await run(both, { command: 'echo command' })).toEqual({ printed: '~~~ Running repository command hook\nrepository\nkedge: the repository command hook ended with status 4\n', exitStatus: 4 })
    expect(said((await run({ 'agent command': 'echo agent' }, { command: 'echo command' })).printed)).toEqual(['agent'])
  })

  it('has checkout hooks after pre-checkout, the plugins\' instead of the agent\'s', async () => {
    const around = { 'agent pre-checkout': 'echo before', 'agent post-checkout': 'echo after' }
    expect(said((await run({ ...around, 'agent checkout': 'echo agent; cd /' }, { command: 'pwd' })).printed)).toEqual(['before', 'agent', 'after', '/'])
    expect(said((await run({ ...around, 'agent checkout': 'echo agent', 'plugin checkout': 'echo plugin; exit 6' })).printed)).toEqual(['before', 'plugin', 'kedge: the plugin checkout hook ended with status 6'])
  })

  it('leaves out a repository\'s hooks that a checkout hook took away, but never its command hook', async () => {
    const taken = 'rm -f "${BASH_SOURCE[0]%/agent/*}"/repository/*'
    expect(said((await run({ 'agent checkout': taken, 'repository pre-command': 'echo taken' }, { command: 'echo ran' })).printed)).toEqual(['kedge: the repository pre-command hook is not there any more, so it is not run', 'ran'])
    expect((await run({ 'agent checkout': taken, 'repository command': 'echo taken' }, { command: 'echo ran' })).exitStatus).toBe(1)
  })

  it.each(ORDER.slice(0, 6))('ends with a failing %s: only pre-exit comes after it', async (title) => {
    const { printed, exitStatus } = await run({ 'agent post-command': 'echo after', 'agent pre-exit': 'echo "at exit $BUILDKITE_LAST_HOOK_EXIT_STATUS ${BUILDKITE_COMMAND_EXIT_STATUS-none}"', [title]: 'exit 3' }, { command: 'echo command' })
    expect(said(printed)).toEqual([`kedge: the ${title} hook ended with status 3`, 'at exit 3 none'])
    expect(exitStatus).toBe(3)
  })

  it('lets later hooks know how the command and the last hook ended', async () => {
    const { printed, exitStatus } = await run({ 'agent pre-command': 'true', 'agent post-command': 'echo "$BUILDKITE_COMMAND_EXIT_STATUS $BUILDKITE_LAST_HOOK_EXIT_STATUS"; exit 5', 'repository pre-exit': 'echo "$BUILDKITE_COMMAND_EXIT_STATUS $BUILDKITE_LAST_HOOK_EXIT_STATUS"' }, { command: 'exit 9' })
    expect(said(printed)).toEqual(['9 0', 'kedge: the agent post-command hook ended with status 5', '9 5'])
    expect(exitStatus).toBe(5)
  })

  it.each(['repository post-command', 'repository pre-exit', 'agent pre-exit'])('fails a job that passed when its %s fails', async (title) => {
    expect(await run({ 'agent pre-exit': 'true', [title]: 'false' })).toMatchObject({ exitStatus: 1 })
  })
})

describe('a command that is the name of a file', () => {
  const make = 'cd "$THERE"; printf "%s\\n" "#!/bin/sh" "echo file of \\$0" >"test it.sh"'

  it('is that file, also one that a hook has made, where the hook went, and that nobody may execute', async () => {
    const env = { THERE: await ownFolder() }
    expect(said((await run({ 'agent pre-command': make }, { command: 'test it.sh\n', env })).printed)).toEqual(['file of ./test it.sh'])
  })

  it('is none when only a folder is called so, or no file is there', async () => {
    const env = { THERE: await ownFolder() }
    expect((await run({ 'agent pre-command': `${make}; mkdir true` }, { command: 'true', env })).exitStatus).toBe(0)
    expect((await run({ 'agent pre-command': make }, { command: 'other.sh', env })).exitStatus).toBe(127)
  })
})

describe('what kedge env leaves', () => {
  /** As `kedge env` writes it, from a hook or command that knows its place beside the handover. */
  const record = (...records: readonly string[]) => records.map((one) => `printf '%s\\0' ${shellWord(one)} >>"$CHANGES"; `).join('')

  it('by a hook, a program or the command is there in the phases that come, over what they exported', async () => {
    const changes = join(await ownFolder(), 'changes')
    const show = 'echo "${A-none} ${B-none} ${C-none}"'
    const { printed, exitStatus } = await run({
      'agent environment': `${record('A=of env', 'A=$(echo last)')}export A=exported; ${show}`,
      'repository pre-command': `${show}; ${record('B=1\n2', 'C')}`,
      'repository post-command': show,
      'agent pre-exit': show,
    }, { env: { CHANGES: changes, C: 'here' }, command: `${show}; ${record('B=of the command')}`, changes })
    expect(said(printed)).toEqual(['exported none here', '$(echo last) none here', '$(echo last) 1', '2 none', '$(echo last) of the command none', '$(echo last) of the command none'])
    expect(exitStatus).toBe(0)
    expect(readFileSync(changes, 'utf8')).toBe('')
  })

  it('is never evaluated, and what is no name, is the script\'s own, or is not ended counts for nothing', async () => {
    const changes = join(await ownFolder(), 'changes')
    const hostile = ['A[$(touch "$CHANGES.ran")]=1', 'A[$(touch "$CHANGES.ran")]', '=x', '', '1=x', '__kedge_status=9', 'KEDGE_ATTEMPT=J9-9-9.9', 'SHELLOPTS=x', '; exit 7', 'GOOD=yes']
    const { printed, exitStatus } = await run({ 'agent environment': `${record(...hostile)}printf 'GOOD=not ended' >>"$CHANGES"` }, { env: { CHANGES: changes }, command: 'echo "$GOOD $KEDGE_ATTEMPT"; ls "$CHANGES".*', changes })
    expect(said(printed)[0]).toMatch(/^yes J(?!9-)/)
    expect(exitStatus).toBe(2) // of ls: nothing ran
  })
})

describe('what a hook exports', () => {
  const show = 'repository pre-command'

  it('is seen by the next and by the command, in any form; what is not exported is not', async () => {
    const value = `"a" 'b' $(echo no) \`c\` \\ $d\n#whole\ndeclare -x FAKE="1"\t… end `
    const { printed, exitStatus } = await run({
      'agent environment': 'export VALUE="$GIVEN" EMPTY= ; LOCAL=1; readonly FIXED=2; export FIXED; typeset -ix COUNT=3; export NEVER_SET; declare -ax LIST=(1 2); unset GONE',
      [show]: 'export FIXED=again; [ "$VALUE" = "$GIVEN" ] && echo "same ${EMPTY-none} ${LOCAL-none} $COUNT ${GONE-none} ${NEVER_SET-none} ${FAKE-none}"',
    }, { env: { GIVEN: value, GONE: 'here' }, command: 'printf "%s|" "$VALUE" "$FIXED" "${GONE-none}"' })
    expect(said(printed)[0]).toBe('same  none 3 none none none')
    expect(printed).toContain(`${value}|again|none|`)
    expect(exitStatus).toBe(0)
  })

  it('is seen although it says exit, or set -e ends it where that is no failure of a pre- hook', async () => {
    expect(said((await run({ 'agent environment': 'export A=1; exit 0', 'agent pre-exit': 'echo "$A $B"', [show]: 'set -eu; export B=2; false; export B=3' })).printed)).toEqual(['kedge: the repository pre-command hook ended with status 1', '1 2'])
  })

  it('is the only thing of it: options, traps, functions and arguments stay its own', async () => {
    const { printed, exitStatus } = await run({
      'agent environment': 'set -euf -o pipefail; shopt -s extglob nullglob; IFS=,; umask 077; printf() { echo mine; }; export() { :; }; eval() { :; }; trap "echo own trap" EXIT; builtin export A=1',
      [show]: 'echo "$A $# $- ${IFS@Q}"; echo "$NOTHING"; false; printf "%s\\n" "${0##*/} ${BASH_SOURCE[0]##*/}"',
    })
    expect(printed.split('\n').slice(1)).toEqual(['own trap', '~~~ Running repository pre-command hook', expect.stringMatching(/^1 0 h?Bc \$' \\t\\n'$/), '', 'pre-command pre-command', '~~~ Running command', ''])
    expect(exitStatus).toBe(0)
  })

  it('may be PATH, IFS or anything else that a shell lives by', async () => {
    const { printed, exitStatus } = await run({ 'agent environment': 'export PATH=/nowhere IFS=e BASH_ENV=/nowhere LC_ALL=nothing CDPATH=/ POSIXLY_CORRECT=1 BASH=/nowhere', [show]: 'echo "$PATH"', 'agent pre-exit': 'echo last' }, { command: 'echo command' })
    expect(said(printed).filter((line) => !/setlocale|BASH_ENV|\/nowhere: No such/.test(line))).toEqual(['/nowhere', 'command', 'last'])
    expect(exitStatus).toBe(0)
  })

  it('cannot be the marker by which its processes are found', async () => {
    expect(said((await run({ 'agent environment': 'export KEDGE_ATTEMPT=J9-9-9.9; unset KEDGE_AGENT_ID' }, { command: 'echo "$KEDGE_ATTEMPT $KEDGE_AGENT_ID"' })).printed)[0]).toMatch(/^J\d+-\d+-1\.1 a_0+1$/)
  })

  it('includes the folder where it stands', async () => {
    const { printed } = await run({ 'agent environment': 'mkdir "a  \'b"; cd "a  \'b"', 'agent pre-exit': 'pwd' }, { command: 'pwd; cd /' })
    expect(said(printed)).toEqual([expect.stringMatching(/\/a {2}'b$/), expect.stringMatching(/\/a {2}'b$/)])
  })

  it('is nothing when it becomes another program, or is one', async () => {
    const { printed, exitStatus } = await run({
      'agent environment': 'export A=1; exec true',
      'agent pre-command': '#!/usr/bin/env node\nprocess.env.B = "2"; console.log(process.env.GIVEN, process.argv.length)',
      [show]: 'echo "${A-none} ${B-none}"',
    }, { env: { GIVEN: 'given' }, programs: ['agent pre-command'] })
    expect(said(printed)).toEqual(['given 2', 'none none'])
    expect(exitStatus).toBe(0)
  })
})

describe('plugins', () => {
  const pluginHooks = async (hooks: readonly (readonly [plugin: string, name: HookName, text: string])[], command: string) => {
    const folder = await ownFolder()
    const made = hooks.map(([plugin, name, text]): Hook => {
      const path = join(folder, `${plugin}-${name}`)
      writeFileSync(path, text)
      if (plugin === 'agent') return { owner: 'agent', name, path, runs: 'sourced' }
      return { owner: 'plugin', name, path, runs: 'sourced', plugin: { name: plugin, env: { BUILDKITE_PLUGIN_NAME: plugin.toUpperCase(), [`BUILDKITE_PLUGIN_${plugin.toUpperCase()}_SAYS`]: `it's ${plugin}` } } }
    })
    const running = await tryCommand(hookScript({ hooks: made, command, bash, handover: join(folder, 'handover'), changes: join(folder, 'changes'), kedge: '/nowhere' }))
    const { exitStatus } = await running.ended
    return { printed: running.printed(), exitStatus }
  }

  it('have their own configuration in their own hooks, in their order, and hand on what they export', async () => {
    const show = 'echo "$BUILDKITE_PLUGIN_NAME ${BUILDKITE_PLUGIN_A_SAYS-none} ${BUILDKITE_PLUGIN_B_SAYS-none} ${FROM_A-none}"'
    const { printed } = await pluginHooks([['a', 'pre-command', `${show}; export FROM_A=1`], ['b', 'pre-command', show], ['a', 'pre-exit', show]], 'echo "${BUILDKITE_PLUGIN_NAME-none} ${BUILDKITE_PLUGIN_B_SAYS-none} $FROM_A"')
    expect(printed.split('\n')).toEqual(['~~~ Running plugin a pre-command hook', "A it's a none none", '~~~ Running plugin b pre-command hook', "B none it's b 1", '~~~ Running command', 'none none 1', '~~~ Running plugin a pre-exit hook', "A it's a none 1", ''])
  })

  it('that are left out leave nothing of their configuration to the next hook', async () => {
    const show = 'echo "${BUILDKITE_PLUGIN_A_SAYS-none} ${BUILDKITE_PLUGIN_B_SAYS-none}"'
    const { printed } = await pluginHooks([['a', 'environment', 'exit 3'], ['b', 'pre-command', 'true'], ['b', 'post-command', 'true'], ['a', 'pre-exit', show], ['agent', 'pre-exit', show]], 'true')
    expect(said(printed)).toEqual(['kedge: the plugin a environment hook ended with status 3', 'none none', "it's a none"])
  })

  it('stand in place of the command, the first of several, or do without one', async () => {
    expect(said((await pluginHooks([['a', 'command', 'echo first'], ['b', 'command', 'echo second']], 'echo command')).printed)).toEqual(['first'])
    expect(await pluginHooks([['a', 'post-command', 'echo "$BUILDKITE_COMMAND_EXIT_STATUS"']], '')).toEqual({ printed: '~~~ Running plugin a post-command hook\n0\n', exitStatus: 0 })
  })
})

describe('the command among hooks', () => {
  it('runs as without them: by bash -e, as a process of its own, with no input', async () => {
    const { printed, exitStatus } = await run({ 'agent pre-exit': 'true' }, { command: 'echo "it\'s $-"\n[ "$BASHPID" = "$$" ] && cat; kill -0 "$PPID" && echo child\nfalse\necho never' })
    expect(said(printed)).toEqual([expect.stringMatching(/^it's .*e/), 'child'])
    expect(exitStatus).toBe(1)
  })

  it('may be longer than an argument', async () => {
    expect(await run({ 'agent pre-exit': 'true' }, { command: `# ${'x'.repeat(300_000)}\necho ran\nfalse\necho never` })).toEqual({ printed: '~~~ Running command\nran\n~~~ Running agent pre-exit hook\n', exitStatus: 1 })
  })

  it('that a signal ends has the status that shells give it, and no line of the script is printed', async () => {
    expect(await run({ 'agent pre-exit': 'true' }, { command: 'kill -KILL $$' })).toEqual({ printed: '~~~ Running command\n~~~ Running agent pre-exit hook\n', exitStatus: 137 })
  })

  it('may use what a hook left running, which is gone after the job', async () => {
    const token = uniqueSeconds()
    const running = await start({ 'agent pre-command': `sleep ${token} & export SERVER=$!` }, { command: 'kill -0 "$SERVER" && echo there' })
    expect(await running.ended).toMatchObject({ exitStatus: 0, leftovers: [expect.stringContaining('sleep')] })
    expect(said(running.printed())).toEqual(['there'])
    expect(pidsWith(token)).toEqual([])
  })
})

describe('a stop', () => {
  const begun = (running: TriedCommand) => until(() => running.printed().includes('begun'))

  it('ends the command, skips post-command, and runs pre-exit in what is left of the grace', async () => {
    const token = uniqueSeconds()
    const running = await start({ 'agent pre-command': 'export A=1', 'agent post-command': 'echo after', 'repository pre-exit': 'echo "leaves $A $BUILDKITE_COMMAND_EXIT_STATUS"', 'agent pre-exit': 'sleep 0.2; echo last' }, { command: `echo begun; sleep ${token}; echo never` })
    await until(() => pidsWith(token).length > 0)
    running.stop('canceled')
    expect(await running.ended).toMatchObject({ exitStatus: null, signal: 'SIGTERM', stoppedBy: 'canceled', leftovers: [], survivors: [] })
    expect(said(running.printed())).toEqual(['begun', 'last', 'leaves 1 143'])
    expect(pidsWith(token)).toEqual([])
  })

  it('waits for a command that tidies up before pre-exit runs', async () => {
    const running = await start({ 'agent pre-exit': 'echo last' }, { command: "trap 'sleep 0.2; echo tidied; exit 0' TERM; echo begun; while :; do sleep 0.05; done 2>/dev/null" })
    await begun(running)
    running.stop('canceled')
    await running.ended
    expect(said(running.printed())).toEqual(['begun', 'tidied', 'last'])
  })

  it('in a hook before the command leaves the command out', async () => {
    const token = uniqueSeconds()
    const running = await start({ 'agent environment': `echo begun; sleep ${token}`, 'repository pre-command': 'echo never', 'agent pre-exit': 'echo last' }, { command: 'echo never' })
    await until(() => pidsWith(token).length > 0) // it heeds a signal once it is there
    running.stop('timed_out')
    expect(await running.ended).toMatchObject({ stoppedBy: 'timed_out', signal: 'SIGTERM' })
    expect(said(running.printed())).toEqual(['begun', 'last'])
  })

  it('ends also a pre-exit hook that never comes to its end', async () => {
    const [command, token] = [uniqueSeconds(), uniqueSeconds()]
    const running = await start({ 'agent pre-exit': `echo last; sleep ${token}` }, { command: `echo begun; sleep ${command}`, graceMs: 500 })
    await until(() => pidsWith(command).length > 0)
    running.stop('canceled')
    expect(await running.ended).toMatchObject({ signal: 'SIGKILL', stoppedBy: 'canceled', survivors: [] })
    expect(said(running.printed())).toEqual(['begun', 'last'])
    expect(pidsWith(token)).toEqual([])
  })
})

describe('artifacts', () => {
  const env = { BUILDKITE_ARTIFACT_PATHS: 'dist/*;-x' }

  it('are uploaded after the command and its hooks, between hooks of their own', async () => {
    const { printed, exitStatus } = await run({ 'agent post-command': 'echo after', 'repository pre-artifact': 'echo before; export ADDED=1', 'agent post-artifact': 'echo uploaded $ADDED', 'agent pre-exit': 'echo last' }, { command: 'echo made', env })
    expect(said(printed)).toEqual(['made', 'after', 'before', 'uploads artifact upload -- dist/*;-x', 'uploaded 1', 'last'])
    expect(printed).toContain('~~~ Uploading artifacts\n')
    expect(exitStatus).toBe(0)
  })

  it('need no hooks, and without paths there are none of them', async () => {
    expect(said((await run({}, { command: 'echo made', env })).printed)).toEqual(['made', 'uploads artifact upload -- dist/*;-x'])
    expect(said((await run({ 'agent pre-artifact': 'echo never', 'agent pre-exit': 'echo last' }, { command: 'echo made' })).printed)).toEqual(['made', 'last'])
  })

  it('are those that a hook asks for', async () => {
    expect(said((await run({ 'agent pre-command': 'export BUILDKITE_ARTIFACT_PATHS=mine' })).printed)).toEqual(['uploads artifact upload -- mine'])
  })

  it('of a command that failed are uploaded too, and its status stays', async () => {
    const { printed, exitStatus } = await run({ 'agent post-artifact': 'exit 9' }, { command: 'exit 3', env })
    expect(said(printed)).toEqual(['uploads artifact upload -- dist/*;-x', 'kedge: the agent post-artifact hook ended with status 9'])
    expect(exitStatus).toBe(3)
  })

  it('that are not uploaded fail a job that has passed', async () => {
    const { printed, exitStatus } = await run({ 'agent post-artifact': 'echo never', 'agent pre-exit': 'echo last' }, { env, upload: 'echo no; exit 4' })
    expect(said(printed)).toEqual(['no', 'last'])
    expect(exitStatus).toBe(4)
    expect((await run({ 'agent pre-artifact': 'exit 8' }, { env, upload: 'echo never' })).exitStatus).toBe(8)
  })

  it('of a job that is stopped are uploaded in what is left of its grace', async () => {
    const token = uniqueSeconds()
    const running = await start({ 'agent pre-exit': 'echo last' }, { command: `sleep ${token}`, env })
    await until(() => pidsWith(token).length > 0)
    running.stop('timed_out')
    expect(await running.ended).toMatchObject({ signal: 'SIGTERM', stoppedBy: 'timed_out', leftovers: [] })
    expect(said(running.printed())).toEqual(['uploads artifact upload -- dist/*;-x', 'last'])
  })

  it('are left where they are by a stop that comes while they are uploaded', async () => {
    const token = uniqueSeconds()
    const running = await start({ 'agent pre-exit': 'echo last' }, { env, upload: `sleep ${token}` })
    await until(() => pidsWith(token).length > 0)
    running.stop('canceled')
    expect(await running.ended).toMatchObject({ signal: 'SIGTERM', stoppedBy: 'canceled', leftovers: [], survivors: [] })
    expect(said(running.printed())).toEqual(['last'])
  })
})
