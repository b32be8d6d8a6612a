/**
 * A job with hooks, or with artifacts to upload, as one bash script: `startCommand` runs it like any command, so that one process tree, one time
 * limit, one cancel and one log are for all of it.
 *
 * Each hook is sourced by a shell of its own, which writes down at its end what is exported and where it stands; this
 * script takes that over for whatever comes next. Sourcing hooks one after the other in this shell would be shorter, and
 * wrong: `exit 3`, `set -eu`, a trap or a function called `printf` of one hook would be this script's. What is written
 * down is bash's own `export -p`, which holds any value, and is believed only when it is whole: `exec`, SIGKILL and
 * a full disk leave the environment as it was. The shell writes it also from `exit` (by a trap, unless the hook sets its
 * own). Only exported variables and the folder are handed on, no functions or options.
 *
 * What one would get wrong: this shell must not need anything that a hook may change. It uses builtins only, quotes
 * everything, and knows its bash by path.
 */
import { shellWord } from '../shell-word.ts'
import { RUN_FILE } from './script-file.ts'

export type HookName = 'environment' | 'pre-checkout' | 'checkout' | 'post-checkout' | 'pre-command' | 'command' | 'post-command' | 'pre-artifact' | 'post-artifact' | 'pre-exit'

export interface Hook {
  readonly owner: 'agent' | 'repository' | 'plugin'
  readonly name: HookName
  /** Absolute. */
  readonly path: string
  /** A `program` is in another language than bash: it is executed, and hands nothing on. */
  readonly runs: 'sourced' | 'program'
  /** Whose it is, where `owner` is one of several. `env` is for its own hooks alone. */
  readonly plugin?: { readonly name: string; readonly env: Readonly<Record<string, string>> }
}

export interface HookScriptRequest {
  readonly hooks: readonly Hook[]
  /** What runs unless there is a `command` hook, in a `bash -e` of its own as without hooks. */
  readonly command: string
  /** Path of bash. */
  readonly bash: string
  /** A file that nobody else can read, or uses before the job is over: environments pass through it. */
  readonly handover: string
  /** Likewise: what `kedge env` wants of the phases to come (`env-changes.ts`). */
  readonly changes: string
  /** Path of the command `kedge`, by which artifacts are uploaded. */
  readonly kedge: string
}

/** In this order; a hook is looked for by owner and name. The checkout itself was made before all of them. */
const BEFORE_CHECKOUT = [
  ['agent', 'environment'], ['plugin', 'environment'],
  ['agent', 'pre-checkout'], ['plugin', 'pre-checkout'],
] as const
/** Those of the first that has any change the checkout that is there, as on a machine that keeps it from job to job. */
const CHECKOUT = [['plugin', 'checkout'], ['agent', 'checkout']] as const
const BEFORE = [
  ['agent', 'post-checkout'], ['repository', 'post-checkout'], ['plugin', 'post-checkout'],
  ['agent', 'pre-command'], ['repository', 'pre-command'], ['plugin', 'pre-command'],
] as const
/** The first that is there replaces the command. */
const INSTEAD = [['plugin', 'command'], ['repository', 'command'], ['agent', 'command']] as const
const AFTER = [['agent', 'post-command'], ['repository', 'post-command'], ['plugin', 'post-command']] as const
/** Around the upload of artifacts, where there are paths of any. */
const BEFORE_UPLOAD = [['agent', 'pre-artifact'], ['repository', 'pre-artifact'], ['plugin', 'pre-artifact']] as const
const AFTER_UPLOAD = [['agent', 'post-artifact'], ['repository', 'post-artifact'], ['plugin', 'post-artifact']] as const
/** Whatever happened. */
const FINALLY = [['agent', 'pre-exit'], ['repository', 'pre-exit'], ['plugin', 'pre-exit']] as const

/** The kernel takes no argument above 128 KiB; a longer command is read from a pipe. */
const ARGUMENT_BYTES = 120_000

/** Text for bash. `hooks` may be in any order, but for plugins: theirs run in the order of the step. */
export function hookScript({ hooks, command, bash, handover, changes, kedge }: HookScriptRequest): string {
  const chosen = (places: readonly (readonly [Hook['owner'], HookName])[]): readonly Hook[] => places.flatMap(([owner, name]) => hooks.filter((hook) => hook.owner === owner && hook.name === name))
  const line = (when: string) => ({ owner, name, path, runs, plugin }: Hook) => {
    const own = Object.entries(plugin?.env ?? {}).map(([key, value]) => shellWord(`${key}=${value}`))
    return `__kedge_own=(${own.join(' ')}); ${when} ${runs} ${shellWord([owner, ...(plugin === undefined ? [] : [plugin.name]), name].join(' '))} ${shellWord(path)}`
  }
  const isNothing = command === '' && hooks.some(({ owner }) => owner === 'plugin') // a step that only its plugins make
  const [instead] = chosen(INSTEAD)
  const checkout = CHECKOUT.map((place) => chosen([place])).find((found) => found.length > 0) ?? []
  return [
    `__kedge_bash=${shellWord(bash)} __kedge_handover=${shellWord(handover)} __kedge_changes=${shellWord(changes)}`,
    `__kedge_source=${shellWord(SOURCE)}`,
    `__kedge_command=${shellWord(command)} __kedge_run_file=${shellWord(RUN_FILE)}`,
    RUN,
    ...[...chosen(BEFORE_CHECKOUT), ...checkout, ...chosen(BEFORE)].map(line('__kedge_before')),
    instead === undefined ? `__kedge_command ${isNothing ? 'nothing' : Buffer.byteLength(command) > ARGUMENT_BYTES ? 'piped' : 'given'}` : line('__kedge_instead')(instead),
    ...chosen(AFTER).map(line('__kedge_after')),
    'if [ -n "$BUILDKITE_ARTIFACT_PATHS" ]; then',
    ...chosen(BEFORE_UPLOAD).map(line('__kedge_around')),
    `__kedge_upload ${shellWord(kedge)}`,
    ...chosen(AFTER_UPLOAD).map(line('__kedge_around')),
    '__kedge_uploaded',
    'fi',
    ...chosen(FINALLY).map(line('__kedge_finally')),
    '__kedge_end',
    '',
  ].join('\n')
}

/** `bash -c SOURCE HOOK HANDOVER`: the shell of one hook. `$0` is the hook, and it has no arguments. */
const SOURCE = `
__kedge_handover=$1
shift
__kedge_hand_over() (
  { set +euxv +o posix; } 2>/dev/null
  { builtin export -p; builtin printf 'builtin cd -- %q\\n#whole' "$(builtin pwd)"; } >"$__kedge_handover"
)
trap __kedge_hand_over EXIT
. "$0"
__kedge_status=$?
# Here too: the hook may have set a trap of its own, which is its right.
__kedge_hand_over || :
exit "$__kedge_status"
`

/**
 * The bash that this is given to was started with `-e`, and maybe with more by its environment. Its stderr goes nowhere, where it would tell of each
 * child that a signal ended, with the text of this script; children have the job's.
 */
const RUN = `
set +eu +o posix
exec 3>&2 2>/dev/null
__kedge_status=0 __kedge_upload_status=0 __kedge_ran= __kedge_stopped=
# A cancel asks the whole group at once, so the child that runs has heard of it too. Bash waits for that child, and then
# does this; what is left of the grace is for pre-exit, which starts too late to be asked. Within that nobody is asked twice.
trap '__kedge_stopped=1' TERM

__kedge_hook() {
  # A checkout hook may have left out files of the repository. A command hook is not passed over: nothing would run.
  case $2 in
    'repository command') ;;
    'repository '*) if [ ! -f "$3" ]; then printf 'kedge: the %s hook is not there any more, so it is not run\\n' "$2"; return 0; fi ;;
  esac
  printf '~~~ Running %s hook\\n' "$2"
  : >"$__kedge_handover"
  local __kedge_pair
  for __kedge_pair in "\${__kedge_own[@]}"; do export "$__kedge_pair"; done
  if [ "$1" = program ]; then "$3" 2>&3 3>&-; else "$__kedge_bash" -c "$__kedge_source" "$3" "$__kedge_handover" 2>&3 3>&-; fi
  set -- "$?" "$2"
  __kedge_take_over
  __kedge_change
  for __kedge_pair in "\${__kedge_own[@]}"; do unset -v "\${__kedge_pair%%=*}"; done
  export BUILDKITE_LAST_HOOK_EXIT_STATUS="$1"
  if [ "$1" != 0 ] && [ -z "$__kedge_stopped" ]; then printf 'kedge: the %s hook ended with status %s\\n' "$2" "$1"; fi
  return "$1"
}

__kedge_take_over() {
  local __kedge_text
  __kedge_text=$(<"$__kedge_handover")
  : >"$__kedge_handover"
  case $__kedge_text in *'#whole') ;; *) return ;; esac
  # Lines of \`export -p\` are calls of declare: first to forget each that is here, then to take each that is there.
  declare() { if __kedge_is_handed_on "\${2%%=*}"; then unset -v "\${2%%=*}"; fi; }
  eval "$(export -p)"
  declare() { if __kedge_is_handed_on "\${2%%=*}"; then export "$2"; fi; }
  eval "$__kedge_text"
  unset -f declare
}

# What \`kedge env\` has left, over what the phase itself exported. A record that is not ended is not whole.
__kedge_change() {
  local __kedge_record
  while IFS= read -r -d '' __kedge_record; do
    case \${__kedge_record%%=*} in '' | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac
    __kedge_is_handed_on "\${__kedge_record%%=*}" || continue
    case $__kedge_record in
      *=*) export "$__kedge_record" ;;
      *) unset -v "$__kedge_record" ;;
    esac
  done <"$__kedge_changes"
  : >"$__kedge_changes"
}

# Not what bash keeps itself, nor by what the processes of the job are found.
__kedge_is_handed_on() {
  case $1 in
    _ | PWD | OLDPWD | SHLVL | SHELLOPTS | BASHOPTS | KEDGE_ATTEMPT | KEDGE_AGENT_ID | __kedge_*) return 1 ;;
  esac
}

__kedge_goes_on() { [ "$__kedge_status" = 0 ] && [ -z "$__kedge_stopped" ]; }

__kedge_ran() {
  __kedge_status=$1 __kedge_ran=1
  export BUILDKITE_COMMAND_EXIT_STATUS="$1"
}

__kedge_before() {
  if __kedge_goes_on; then __kedge_hook "$@" || __kedge_status=$?; fi
}

__kedge_instead() {
  if __kedge_goes_on; then __kedge_hook "$@"; __kedge_ran "$?"; fi
}

__kedge_command() {
  __kedge_goes_on || return
  if [ "$1" = nothing ]; then __kedge_ran 0; return; fi
  printf '~~~ Running command\\n'
  # Only now: a hook may have made the file, or gone to another folder.
  if [ -f "./\${__kedge_command//$'\\n'/}" ]; then "$__kedge_bash" -e -c "$__kedge_run_file" "\${__kedge_command//$'\\n'/}" 2>&3 3>&-
  elif [ "$1" = given ]; then "$__kedge_bash" -e -c "$__kedge_command" 2>&3 3>&-
  else "$__kedge_bash" -e <(printf %s "$__kedge_command") 2>&3 3>&-; fi
  __kedge_ran "$?"
  __kedge_change
}

__kedge_after() {
  if [ -n "$__kedge_ran" ] && [ -z "$__kedge_stopped" ]; then __kedge_hook "$@" || __kedge_status=$?; fi
}

# Also after a failure, and in the grace of a job that was stopped: that is when people want to see what there is. It is
# the job's failure only where there is no other. A hook may have changed which paths.
__kedge_around() {
  if [ "$__kedge_upload_status" = 0 ]; then __kedge_hook "$@" || __kedge_upload_status=$?; fi
}

__kedge_upload() {
  [ "$__kedge_upload_status" = 0 ] || return 0
  printf '~~~ Uploading artifacts\\n'
  "$1" artifact upload -- "$BUILDKITE_ARTIFACT_PATHS" 2>&3 3>&- || __kedge_upload_status=$?
}

__kedge_uploaded() {
  [ "$__kedge_upload_status" != 0 ] || return 0
  if [ "$__kedge_status" = 0 ]; then __kedge_status=$__kedge_upload_status; fi
}

__kedge_finally() { __kedge_hook "$@" || __kedge_status=$?; }

# A job that was stopped ends by the signal, as one without hooks does.
__kedge_end() {
  if [ -n "$__kedge_stopped" ]; then trap - TERM; kill -TERM "$$"; fi
  exit "$__kedge_status"
}
`
