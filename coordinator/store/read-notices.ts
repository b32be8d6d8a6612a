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
    problem: notice.problem,
  }))
}

function nameOf({ to }: Notice): string {
  return to.kind === 'commit_status' ? to.context : /^https?:\/\/(?:[^/?#]*@)?([^/?#]+)/i.exec(to.url)?.[1] ?? '?'
}
