/** What a build could not tell others, in sentences: one for each reason, however many it keeps from hearing. */
import type { NotificationView } from './api.ts'

/** How many a sentence names. */
const NAMED = 4

export function untold(notifications: readonly NotificationView[]): readonly string[] {
  const failed = notifications.filter(({ problem }) => problem !== null)
  const reasons = Map.groupBy(failed, ({ kind, problem, to_tell }) => JSON.stringify([kind, problem, to_tell === null]))
  return [...reasons.values()].map((all) => sentence(all))
}

function sentence(all: readonly NotificationView[]): string {
  const [{ kind, problem, to_tell } = { kind: 'webhook', problem: '', to_tell: null }] = all
  const what = kind === 'commit_status' ? (all.length === 1 ? 'the commit status' : `${all.length} commit statuses`) : all.length === 1 ? 'the webhook at' : `${all.length} webhooks at`
  const names = [...new Set(all.map(({ name }) => (kind === 'commit_status' ? `"${name}"` : name)))]
  const more = names.length > NAMED ? ' and others' : ''
  return `${what} ${names.slice(0, NAMED).join(', ')}${more} could not be told: ${problem}.${to_tell === null ? '' : all.length === 1 ? ' It is tried again.' : ' They are tried again.'}`
}
