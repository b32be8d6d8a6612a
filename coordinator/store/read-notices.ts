/** Whom a build tells, as people see it. Of a webhook they see the host: the rest of its address may be a secret. */
import type { NotificationView } from '../../schema/api.ts'
import type { BuildRow, Notice } from '../core/decision.ts'

export function notificationViews({ notify }: Pick<BuildRow, 'notify'>): readonly NotificationView[] {
  return (notify ?? []).map((notice) => ({
    kind: notice.to.kind,
    name: nameOf(notice),
    step: notice.s === 0 ? null : notice.s,
    told: notice.told,
    to_tell: notice.wanted,
    problem: notice.problem === null ? null : `${sentenceOf(notice)}: ${notice.problem}.`,
  }))
}

function nameOf({ to }: Notice): string {
  return to.kind === 'commit_status' ? to.context : /^https?:\/\/(?:[^/?#]*@)?([^/?#]+)/i.exec(to.url)?.[1] ?? '?'
}

function sentenceOf(notice: Notice): string {
  const { to, wanted, gaveUp } = notice
  const what = to.kind === 'commit_status' ? `the commit status "${to.context}"` : `the webhook at ${nameOf(notice)}`
  const word = wanted ?? gaveUp
  return `${what} could not be told${word === null ? '' : ` "${word}"`}${wanted === null ? '' : ' yet and is tried again'}`
}
