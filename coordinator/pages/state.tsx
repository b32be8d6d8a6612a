/**
 * How states, times and commits look. A state is always a word and a shape, never only a colour: about one person in
 * twelve could not tell passed from failed otherwise.
 */
import type { AgentView, AttemptView } from '../../schema/api.ts'
import type { BuildState, JobState } from '../../schema/job.ts'

export type AnyState = BuildState | JobState | AttemptView['state'] | AgentView['state'] | 'soft_failed'

/** Which colour and shape a state has. */
const KIND: Readonly<Record<AnyState, keyof typeof SHAPES>> = {
  passed: 'good', ready: 'good',
  failed: 'bad',
  soft_failed: 'allowed',
  errored: 'alarm', lost: 'alarm', unhealthy: 'alarm',
  timed_out: 'late',
  running: 'going', busy: 'going', assigned: 'going',
  scheduled: 'pending', queued: 'pending', waiting: 'pending',
  blocked: 'held', held_back: 'held', draining: 'held',
  canceling: 'stopped', canceled: 'stopped', broken: 'stopped', revoked: 'stopped',
  skipped: 'none', offline: 'none',
}

const SHAPES = {
  good: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.7 5.2-4.4 4.7a.9.9 0 0 1-1.3 0L4.2 9.1a.9.9 0 1 1 1.3-1.2l1.1 1.2L10.4 5a.9.9 0 1 1 1.3 1.2Z',
  bad: 'M5 1h6l4 4v6l-4 4H5l-4-4V5l4-4Zm.5 3.2a.9.9 0 0 0-1.3 1.3L6.7 8l-2.5 2.5a.9.9 0 1 0 1.3 1.3L8 9.3l2.5 2.5a.9.9 0 1 0 1.3-1.3L9.3 8l2.5-2.5a.9.9 0 1 0-1.3-1.3L8 6.7 5.5 4.2Z',
  allowed: 'M5 1h6l4 4v6l-4 4H5l-4-4V5l4-4Zm.8 2L3 5.8v4.4L5.8 13h4.4l2.8-2.8V5.8L10.2 3H5.8ZM7.1 4.5h1.8l-.3 4.4H7.4l-.3-4.4ZM8 9.7a1 1 0 1 1 0 2 1 1 0 0 1 0-2Z',
  alarm: 'M8.9 1.5 15.6 13.4a1 1 0 0 1-.9 1.5H1.3a1 1 0 0 1-.9-1.5L7.1 1.5a1 1 0 0 1 1.8 0ZM8 5a.9.9 0 0 0-.9 1l.3 3.5a.6.6 0 0 0 1.2 0L8.9 6A.9.9 0 0 0 8 5Zm0 6a1 1 0 1 0 0 2 1 1 0 0 0 0-2Z',
  late: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2.8a.8.8 0 0 1 .8.8v3.1l2.1 1.3a.8.8 0 1 1-.9 1.4L7.6 8.8a.8.8 0 0 1-.4-.7V4.6a.8.8 0 0 1 .8-.8Z',
  going: 'M8 1a7 7 0 1 0 7 7h-2a5 5 0 1 1-5-5V1Z',
  pending: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3Z',
  held: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM5.2 5h1.9v6H5.2V5Zm3.7 0h1.9v6H8.9V5Z',
  stopped: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM3 8a5 5 0 0 1 7.9-4.1l-7 7A5 5 0 0 1 3 8Zm5 5a5 5 0 0 1-2.9-.9l7-7A5 5 0 0 1 8 13Z',
  none: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3ZM5 7.2h6v1.6H5V7.2Z',
} as const

export function State({ of, live = false }: { readonly of: AnyState; readonly live?: boolean }) {
  return (
    <span class={`state ${KIND[of]}`} {...(live ? { role: 'status' } : {})}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path fill-rule="evenodd" d={SHAPES[KIND[of]]} />
      </svg>
      {inWords(of)}
    </span>
  )
}

export function inWords(state: AnyState): string {
  return state === 'soft_failed' ? 'failed (allowed)' : state.replace('_', ' ')
}

/** The state as the page's icon, so that a row of tabs can be read. */
export function stateIcon(state: BuildState): string {
  const colour = { good: '#1a8a50', bad: '#d0342c', going: '#2a6fdb' }[KIND[state] as string] ?? '#7a7f87'
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="${colour}" fill-rule="evenodd" d="${SHAPES[KIND[state]]}"/></svg>`)}`
}

/** `3m 07s`, from a tenth of a second to days. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)}s`
  const whole = Math.floor(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`
  return `${Math.floor(whole / 86_400)}d ${two(Math.floor(whole / 3600) % 24)}h`
}

/** How long something took, or takes since; nothing before its start. */
export function Took({ from, to, now }: { readonly from: string | null; readonly to: string | null; readonly now: number }) {
  if (from === null) return <span class="took" />
  return <span class="took">{duration((to === null ? now : Date.parse(to)) - Date.parse(from))}</span>
}

/** `4 min ago`; the whole instant is in its title. */
export function Ago({ at, now }: { readonly at: string; readonly now: number }) {
  return (
    <time datetime={at} title={at.replace('T', ' ').replace(/\.\d+Z$|Z$/, ' UTC')}>
      {ago(now - Date.parse(at))}
    </time>
  )
}

function ago(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${Math.floor(seconds)} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  const days = Math.floor(seconds / 86_400)
  return days === 1 ? 'yesterday' : `${days} days ago`
}

export function Commit({ sha }: { readonly sha: string | null }) {
  if (sha === null) return null
  return <code class="sha" title={sha}>{sha.slice(0, 7)}</code>
}

/** Signals behind the exit statuses that a shell gives, 128 + signal; the ones worth knowing at a glance. */
const SHELL_SIGNALS: Readonly<Record<number, string>> = { 130: 'SIGINT', 134: 'SIGABRT', 137: 'SIGKILL', 139: 'SIGSEGV', 143: 'SIGTERM' }

/** `exit 2`, `SIGKILL`; empty where it has not ended by itself. */
export function ending({ exit_status, signal }: { readonly exit_status: number | null; readonly signal: string | null }): string {
  if (signal !== null) return signal
  if (exit_status === null) return ''
  const meant = SHELL_SIGNALS[exit_status]
  return meant === undefined ? `exit ${exit_status}` : `exit ${exit_status} (${meant})`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
